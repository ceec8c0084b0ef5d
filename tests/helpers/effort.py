"""How many of thousands of like cases a run tries: a sample, which its seed draws, or all of them.

tools/prove sets SHMSTORE_FULL and so tries all; every other run of the tests takes the samples, which cost a quarter.
"""

import os

FULL = os.environ.get("SHMSTORE_FULL") == "1"


def cases(*, full: int, sample: int) -> int:
    """How many this run tries."""
    return full if FULL else sample
