"""A writer that makes one mistake on purpose, to show that the account finds it: NAME DESCRIPTOR WRITER ERROR."""

import time

from demo.measurement import proof_of
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
        acknowledge, (sequence, position) = board.acknowledger(number), board.acknowledged(number)
        now_ns = time.time_ns()
        match error:
            case "torn":
                proof = proof_of(key, number, sequence + 1, 4.0, now_ns)
                acknowledge(sequence + 1, store.append(("faulty", number, sequence + 1, 5.0, now_ns, proof)))
            case "lost":
                acknowledge(sequence + 1, position)
            case "repeated":
                proof = proof_of(key, number, sequence, 2.0, now_ns)
                store.append(("faulty", number, sequence, 2.0, now_ns, proof))


if __name__ == "__main__":
    main()
