"""What numbers of records come to: what is asked of the core, and how its answers become those of Python."""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from shmstore.arguments.checks import items_of, real_number, refused, whole_number
from shmstore.arguments.shown import shown
from shmstore.errors import InvalidOption
from shmstore.public import public

_QUANTILE: Final = "a number from 0 to 1, as 0.5 for the median"

Number = int | float


@public
class Summary(NamedTuple):
    """Five answers of one pass. Without values those about values are None, and the sum is 0."""

    count: int  # type: ignore[assignment]  # hides what a tuple has under this name
    sum: Number
    mean: float | None
    min: Number | None
    max: Number | None


def mean_of(total: Number, count: int) -> float | None:
    """The average; None when there are no values."""
    if not count:
        return None
    try:
        return total / count
    except OverflowError:  # no float is that large
        return math.inf if total > 0 else -math.inf


def variance_of(count: int, squares: float | None, ddof: int) -> float | None:
    """The variance of `count` values whose squared distances from their mean come to `squares`; None when there are too
    few.
    """
    return None if squares is None or count <= ddof else squares / (count - ddof)


def deviation_of(variance: float | None) -> float | None:
    """The standard deviation."""
    return None if variance is None else math.sqrt(variance)


def checked_ddof(ddof: int) -> int:
    """Raises InvalidOption for what cannot be taken from a count."""
    return whole_number("ddof", ddof, "an int: 1 for a sample's variance, 0 for a whole population's")


def checked_quantiles(wanted: Iterable[float]) -> list[float]:
    """Raises InvalidOption, naming the value, for anything that is not a quantile."""
    given = items_of(wanted)
    if given is None:
        raise InvalidOption(f"the quantiles are {shown(wanted)}; expected several numbers from 0 to 1, as [0.5, 0.99]")
    checked = []
    for q in given:
        number = real_number("the quantile", q, _QUANTILE)
        if not 0 <= number <= 1:
            raise refused("the quantile", q, _QUANTILE)
        checked.append(number)
    return checked
