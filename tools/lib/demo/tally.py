"""Reading with suspicion: is every record whole, is every one there once, and in the order of its writer?"""

from collections import defaultdict
from collections.abc import Callable, Sequence

from demo.measurement import Measurement, proof_of

_KEY_BITS = 32


class _Numbers(dict[str, int]):
    """Numbers of keys by their text, each asked for once."""

    def __init__(self, number_of: Callable[[str], int]) -> None:
        self._number_of = number_of

    def __missing__(self, text: str) -> int:
        self[text] = number = self._number_of(text)
        return number


class Tally:
    """Counts records by writer and key. The order of a key's records is kept, as they share a partition."""

    def __init__(self, number_of: Callable[[str], int]) -> None:
        """`number_of` is the store's `key`."""
        self.records = 0
        self.torn = 0
        self.repeated = 0
        self._numbers = _Numbers(number_of)
        self._last: defaultdict[int, int] = defaultdict(int)
        self._counts: defaultdict[int, int] = defaultdict(int)

    def add(self, records: Sequence[Measurement]) -> None:
        """Look at these records, which follow those looked at before."""
        numbers, last, counts = self._numbers, self._last, self._counts
        for metric, writer, sequence, value, timestamp, proof in records:
            key = numbers[metric]
            if proof != proof_of(key, writer, sequence, value, timestamp):
                self.torn += 1
            source = writer << _KEY_BITS | key
            counts[source] += 1
            if sequence > last[source]:
                last[source] = sequence
            else:
                self.repeated += 1
        self.records += len(records)

    def by_source(self) -> list[tuple[int, int, int, int]]:
        """(writer, number of the key, records, highest sequence) of each writer's records of each key."""
        return [
            (source >> _KEY_BITS, source & ((1 << _KEY_BITS) - 1), count, self._last[source])
            for source, count in self._counts.items()
        ]
