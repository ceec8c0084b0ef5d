"""Comparisons with a constant, as closed ranges. They are exact: ints and floats of any size are not rounded."""

import math

Number = int | float


def int_range(relation: str, constant: Number, least: int, most: int) -> tuple[int, int] | None:
    """The integers of [least, most] that stand in a relation (== < <= > >=) to a constant; None when there are none."""
    if constant != constant:
        return None
    if not least <= constant <= most:  # an integer just outside compares alike, and is not infinite
        constant = least - 1 if constant < least else most + 1
    floor = math.floor(constant)
    whole = floor == constant
    low, high = least, most
    if relation == "==":
        low, high = (floor, floor) if whole else (1, 0)
    elif relation == "<":
        high = floor - whole
    elif relation == "<=":
        high = floor
    elif relation == ">":
        low = floor + 1
    else:
        low = floor + (not whole)
    low, high = max(low, least), min(high, most)
    return (low, high) if low <= high else None


def float_range(relation: str, constant: Number) -> tuple[float, float] | None:
    """The floats that stand in a relation (== < <= > >=) to a constant; None when there are none. NaN never does."""
    if constant != constant:
        return None
    near = nearest(constant)
    if relation == "==":
        return (near, near) if near == constant else None
    if relation in ("<", "<="):
        if near > constant or (relation == "<" and near == constant):
            if near == -math.inf:
                return None
            near = math.nextafter(near, -math.inf)
        return -math.inf, near
    if near < constant or (relation == ">" and near == constant):
        if near == math.inf:
            return None
        near = math.nextafter(near, math.inf)
    return near, math.inf


def nearest(constant: Number) -> float:
    """The float nearest to a number; infinite when there is none near it."""
    try:
        return float(constant)
    except OverflowError:
        return math.inf if constant > 0 else -math.inf
