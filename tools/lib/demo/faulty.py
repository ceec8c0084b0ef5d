"""A writer that makes one mistake on purpose, to show that the account finds it: NAME DESCRIPTOR WRITER ERROR."""

import time

from demo.measurement import proof_of, source_of
from demo.worker import begin, writer

ERRORS = {
    "torn": "a record of which one field belongs to another",
    "lost": "an acknowledged record that was never appended",
    "repeated": "one record appended twice",
}


def main() -> None:
    """Write three good records, then make the mistake."""
    store, board, (number_, error) = begin()
    number = int(number_)
    with store:
        key = store.key("faulty")
        write = writer(store, board, number)
        for value in range(3):
            write(key, float(value))
        source, now_ns = source_of(number, key), time.time_ns()

        def append(sequence: int, value: float, proved: float) -> int:
            proof = proof_of(key, number, sequence, proved, now_ns)
            return store.append(("faulty", number, sequence, value, now_ns, proof))

        if error == "repeated":
            append(2, 2.0, 2.0)
            return
        position = append(3, 5.0, 4.0) if error == "torn" else 0
        board.ledger.acknowledge(source, board.ledger.begin(source), position=position)


if __name__ == "__main__":
    main()
