"""What does one append cost in a Python loop, against the same loop calling a bound list.append?"""

from collections.abc import Callable, Iterator
from functools import partial

from harness import DEFAULT_LAYOUT, LAYOUTS, Sample, medians, nanoseconds, store_of
from report import Row, at_most, main

CALLS = 10_000
ROUNDS = 201
KEYS = 100


def append_value(append: Callable[[float], object]) -> None:
    for _ in range(CALLS):
        append(1.5)


def append_sample(append: Callable[[str, float], object]) -> None:
    for _ in range(CALLS):
        append("sensor-1", 1.5)


def append_fields(append: Callable[..., object]) -> None:
    for _ in range(CALLS):
        append(sensor="sensor-1", value=1.5)


def append_key(append: Callable[[str], object], keys: list[str]) -> None:
    for key in keys:
        append(key)


def append_keys(append: Callable[[str, float], object], keys: list[str]) -> None:
    for key in keys:
        append(key, 1.5)


def rows(smoke: bool) -> Iterator[Row]:
    # Strings that are equal but not the same object, as they come out of parsed input.
    keys = [f"sensor-{number % KEYS}" for number in range(CALLS)]
    for layout in LAYOUTS:
        with store_of(Sample, capacity=100_000, layout=layout) as store:
            append = store.appender("sensor", "value")
            figures = medians(
                5 if smoke else ROUNDS,
                {
                    "list": lambda: nanoseconds(append_value, [].append),
                    "list of keys": lambda: nanoseconds(append_key, [].append, keys),
                    "appender": partial(nanoseconds, append_sample, append),
                    "appender, new keys": partial(nanoseconds, append_keys, append, keys),
                    "append": partial(nanoseconds, append_fields, store.append),
                },
            )
        ns = {name: figure / CALLS for name, figure in figures.items()}
        appender_bar, append_bar = (at_most(4), at_most(9)) if layout == DEFAULT_LAYOUT else (None, None)
        yield Row(f"appender(key, float), {layout}", ns["appender"], "ns", ns["list"], appender_bar, "list.append")
        yield Row(f"append(**fields), {layout}", ns["append"], "ns", ns["list"], append_bar, "list.append")
        question, note = f"appender, every key a new str, {layout}", f"list.append; {KEYS} keys"
        yield Row(question, ns["appender, new keys"], "ns", ns["list of keys"], None, note)


if __name__ == "__main__":
    main(rows)
