"""Sizes that segments of several kinds have when nothing is said of them."""

import os

from shmstore import _core
from shmstore.arguments.checks import plain_number


def default_partitions(capacity: object) -> int:
    """One a CPU, but not more than there is to be kept."""
    wanted = plain_number(capacity)  # anything but a number is refused with the other options
    return max(1, min(os.cpu_count() or 1, wanted if isinstance(wanted, int) else 1, _core.MAX_PARTITIONS))
