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
        ledger, source, now_ns = board.ledger, source_of(number, key), time.time_ns()
        if error == "repeated":
            sequence = ledger.began(source) - 1
            store.append(("faulty", number, sequence, 2.0, now_ns, proof_of(key, number, sequence, 2.0, now_ns)))
            return
        sequence, newest = ledger.begin(source), ledger.newest(source)
        assert newest is not None
        position = newest[1]
        if error == "torn":
            proof = proof_of(key, number, sequence, 4.0, now_ns)
            position = store.append(("faulty", number, sequence, 5.0, now_ns, proof))
        ledger.acknowledge(source, sequence, position=position)


if __name__ == "__main__":
    main()
