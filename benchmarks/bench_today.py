"""What does an append cost until its record is visible, against what people write today?"""

from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from time import perf_counter_ns, time_ns

from harness import FORK, Sample, medians, nanoseconds, pin, store_of, worker
from peers import Ring
from report import Row, faster, main

CALLS = 10_000
ROUNDS = 61
SLOTS = 100_000


def append_all(append: Callable[[str, float], object]) -> None:
    for _ in range(CALLS):
        append("sensor-1", 1.5)


def put_all(connection: Connection, queue: Queue) -> None:
    """The process at the other end of the queue: puts as many records as it is told."""
    while True:
        for _ in range(connection.recv()):
            queue.put(("sensor-1", 1.5, time_ns()))


def get_all(producer: Connection, queue: Queue) -> float:
    """Nanoseconds from the first put to the last get."""
    start = perf_counter_ns()
    producer.send(CALLS)
    for _ in range(CALLS):
        queue.get()
    return perf_counter_ns() - start


def rows(smoke: bool) -> Iterator[Row]:
    queue = FORK.Queue()
    pin(0)
    with (
        worker(put_all, queue, cpu=1) as producer,
        store_of(Sample, capacity=SLOTS) as store,
    ):
        figures = medians(
            3 if smoke else ROUNDS,
            {
                "store": partial(nanoseconds, append_all, store.appender("sensor", "value")),
                "lock": partial(nanoseconds, append_all, Ring(SLOTS).locked_appender(FORK.Lock())),
                "no lock": partial(nanoseconds, append_all, Ring(SLOTS).appender()),
                "queue": partial(get_all, producer, queue),
            },
        )
        queue.close()
    ns = {name: figure / CALLS for name, figure in figures.items()}
    ours = ns["store"]
    yield Row("append, against a pack_into ring under a Lock", ours, "ns", ns["lock"], faster(6), "many writers")
    yield Row("append, against a pack_into ring without lock", ours, "ns", ns["no lock"], faster(3), "one writer only")
    yield Row("append, against multiprocessing.Queue put to get", ours, "ns", ns["queue"], faster(50), "two processes")


if __name__ == "__main__":
    main(rows)
