"""What is done to whom and when: the same for the same seed, whatever the machine does meanwhile."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import takewhile
from random import Random
from typing import NamedTuple

KILL, FREEZE = "kill", "freeze"
SHARES = {  # how often, in kills of a writer
    (KILL, "writer"): 1.0,
    (KILL, "looker"): 0.1,
    (KILL, "coordinator"): 0.1,
    (FREEZE, "writer"): 0.5,
    (FREEZE, "reader"): 0.2,
    (FREEZE, "looker"): 0.1,
    (FREEZE, "coordinator"): 0.1,
}
_FROZEN_S = 0.02  # on average; one in ten much longer


class Deed(NamedTuple):
    """One signal to one process: at a time, to the one that then plays a role."""

    at_s: float
    what: str
    role: str
    number: int
    frozen_s: float


def deeds(seed: int, kill_rate: float, cast: Mapping[str, int]) -> Iterator[Deed]:
    """Deeds without end, `kill_rate` kills of writers a second; `cast` says how many play each role."""
    dice, at_s, rate = Random(f"{seed}/deeds"), 0.0, kill_rate * sum(SHARES.values())
    while rate:
        at_s += dice.expovariate(rate)
        [(what, role)] = dice.choices(list(SHARES), list(SHARES.values()))
        number = dice.randrange(cast[role])
        frozen_s = dice.expovariate(1 / _FROZEN_S) * (10 if dice.random() < 0.1 else 1) if what == FREEZE else 0.0
        yield Deed(at_s, what, role, number, frozen_s)


def digest(seed: int, kill_rate: float, cast: Mapping[str, int], seconds: float) -> str:
    """A short name for all deeds of these seconds: two runs with the same one were told to do the same."""
    told = takewhile(lambda deed: deed.at_s < seconds, deeds(seed, kill_rate, cast))
    return hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()[:12]
