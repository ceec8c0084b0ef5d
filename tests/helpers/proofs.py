"""Records that prove themselves: every field follows from who wrote the record and the how-many-th of his it is."""

import struct
from typing import Any

import numpy as np

from shmstore import Bytes, Int64, Record, UInt8, UInt16, UInt32, UInt64
from shmstore.questions.snapshot import Snapshot

_WORDS = 5
_MASK = 2**64 - 1
_FACTOR = 0x9E3779B97F4A7C15
_PACK = struct.Struct(f"<{_WORDS}Q").pack
_STEPS = np.arange(1, _WORDS + 1, dtype=np.uint64)


class Proof(Record):
    """Fields of every size that is copied in one piece, and one that is copied in several."""

    writer: UInt32
    number: Int64
    tiny: UInt8
    short: UInt16
    digest: UInt64
    text: Bytes[8 * _WORDS]


def proof(writer: int, number: int) -> tuple[int, int, int, int, int, bytes]:
    """The one right record of this writer and number."""
    digest = ((writer << 40 ^ number) * _FACTOR) & _MASK
    words = [(digest + step * _FACTOR) & _MASK for step in range(1, _WORDS + 1)]
    return writer, number, digest >> 56, digest >> 40 & 0xFFFF, digest, _PACK(*words)


def proof_columns(writer: int, first: int, count: int) -> dict[str, Any]:
    """`count` right records from number `first` on, as columns to append."""
    numbers = np.arange(first, first + count, dtype=np.int64)
    digests, words = _derive(np.full(count, writer, np.uint64), numbers)
    return {
        "writer": np.full(count, writer, np.uint32),
        "number": numbers,
        "tiny": (digests >> np.uint64(56)).astype(np.uint8),
        "short": (digests >> np.uint64(40) & np.uint64(0xFFFF)).astype(np.uint16),
        "digest": digests,
        "text": [row.tobytes() for row in words],
    }


def is_proved(record: Any) -> bool:
    """Whether a record is one that somebody wrote, whole."""
    return tuple(record) == proof(record[0], record[1])


def unproved(snapshot: Snapshot[Any]) -> int:
    """How many records of a snapshot are torn: none that anybody wrote."""
    if not len(snapshot):
        return 0
    writers, numbers = writers_and_numbers(snapshot)
    digests, words = _derive(writers.astype(np.uint64), numbers)
    texts = np.ascontiguousarray(snapshot["text"]).view(np.uint64)
    right = np.asarray(snapshot["digest"]) == digests
    right &= np.asarray(snapshot["tiny"]) == (digests >> np.uint64(56)).astype(np.uint8)
    right &= np.asarray(snapshot["short"]) == (digests >> np.uint64(40)).astype(np.uint16)
    right &= (texts.reshape(-1, _WORDS) == words).all(axis=1)
    return len(right) - int(right.sum())


def writers_and_numbers(snapshot: Snapshot[Any]) -> tuple[Any, Any]:
    """Two columns of a snapshot as arrays."""
    return np.asarray(snapshot["writer"]), np.asarray(snapshot["number"])


def _derive(writers: Any, numbers: Any) -> tuple[Any, Any]:
    """The digests, and the words of the texts, as they must be."""
    digests = (writers << np.uint64(40) ^ numbers.astype(np.uint64)) * np.uint64(_FACTOR)
    return digests, digests[:, None] + _STEPS * np.uint64(_FACTOR)
