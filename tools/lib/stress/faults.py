"""Which process is killed or frozen, and when: the same for the same seed, whatever the machine does meanwhile."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import takewhile
from random import Random
from typing import NamedTuple

KILL, FREEZE = "kill", "freeze"
SHARES = {  # how often, in kills of a writer
    (KILL, "writer"): 1.0,
    (KILL, "observer"): 0.1,
    (KILL, "coordinator"): 0.1,
    (FREEZE, "writer"): 0.5,
    (FREEZE, "reader"): 0.2,
    (FREEZE, "observer"): 0.1,
    (FREEZE, "coordinator"): 0.1,
}
_FROZEN_S = 0.02  # on average; one in ten much longer


class Fault(NamedTuple):
    """One signal to one process: when, and to which; the process that has the role and number at that time gets it."""

    at_s: float
    what: str
    role: str
    number: int
    frozen_s: float


def faults(seed: int, kill_rate: float, roles: Mapping[str, int]) -> Iterator[Fault]:
    """Faults without end, `kill_rate` kills of writers a second; `roles` says how many have each role."""
    dice, at_s, rate = Random(f"{seed}/faults"), 0.0, kill_rate * sum(SHARES.values())
    while rate:
        at_s += dice.expovariate(rate)
        [(what, role)] = dice.choices(list(SHARES), list(SHARES.values()))
        number = dice.randrange(roles[role])
        frozen_s = dice.expovariate(1 / _FROZEN_S) * (10 if dice.random() < 0.1 else 1) if what == FREEZE else 0.0
        yield Fault(at_s, what, role, number, frozen_s)


def digest(seed: int, kill_rate: float, roles: Mapping[str, int], seconds: float) -> str:
    """A short name for all faults of these seconds: two runs that show the same one had the same faults planned."""
    told = takewhile(lambda fault: fault.at_s < seconds, faults(seed, kill_rate, roles))
    return hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()[:12]
