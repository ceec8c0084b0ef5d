"""`tools/fuzz --python`: rounds of random work, each with a seed of its own, until time is up or something differs."""

import argparse
import itertools
import os
import random
import secrets
import sys
import time

import shmstore
from tests.helpers.differential import run_round
from tests.helpers.random_stores import RandomStore
from tests.property.test_questions import CHANGES, put

QUESTIONS = 20


def ask_round(name: str, seed: str) -> None:
    """A store that changes, and questions about it in every way to ask them."""
    subject = RandomStore(name, random.Random(seed))
    try:
        for _ in range(QUESTIONS):
            for _ in range(subject.dice.randrange(4)):
                subject.dice.choice(CHANGES)(subject)
            put(subject)
    except BaseException:
        print(f"questions, seed {seed}")
        raise
    finally:
        subject.close()
        shmstore.unlink(name)


def main() -> int:
    """Returns 0 when nothing differed."""
    parser = argparse.ArgumentParser(prog="fuzz --python", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="repeat the run of this seed")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    end = time.monotonic() + args.seconds
    for number in itertools.count():
        if time.monotonic() > end:
            print(f"{number} rounds, nothing differs")
            return 0
        one_round = run_round if number % 2 else ask_round
        one_round(f"shmstore-fuzz-{os.getpid()}", f"{args.seed}/{number}")
    raise AssertionError("count() has no end")


if __name__ == "__main__":
    sys.exit(main())
