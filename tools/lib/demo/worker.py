"""How a worker process begins, and how a writer writes: attached by the store's name, each append acknowledged."""

import sys
import time
from collections.abc import Callable

import shmstore
from demo.board import Board
from demo.measurement import Measurement, proof_of, source_of
from shmstore import EventStore


def begin(*, read_only: bool = False) -> tuple[EventStore[Measurement], Board, list[str]]:
    """The store, the board and the role's own arguments, from the command line: NAME DESCRIPTOR ARGUMENT..."""
    _, name, fd, *arguments = sys.argv
    return shmstore.attach(name, Measurement, read_only=read_only), Board(int(fd)), arguments


def writer(store: EventStore[Measurement], board: Board, number: int) -> Callable[[int, float], int]:
    """A function (key, value) that appends the next measurement of a writer, acknowledges it and returns its time."""
    append = store.appender("metric", "writer", "sequence", "value", "timestamp", "proof")
    begin, acknowledge, clock = board.ledger.begin, board.ledger.acknowledge, time.time_ns

    def write(key: int, value: float) -> int:
        source = source_of(number, key)
        sequence = begin(source)
        now_ns = clock()
        position = append(key, number, sequence, value, now_ns, proof_of(key, number, sequence, value, now_ns))
        acknowledge(source, sequence, 1, position)
        return now_ns

    return write
