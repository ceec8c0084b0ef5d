"""What people write by hand today to share records between processes: rings of packed structs in shared memory.

The record is that of `harness.Sample`. A string cannot lie in such a ring, so each side has the table of sensors and
the ring carries their numbers; a reader gets (timestamp, value, number), which is less than a store's reader gets.
"""

import mmap
import struct
import time
from collections.abc import Callable
from multiprocessing.synchronize import Lock

SENSORS = {f"sensor-{number}": number for number in range(64)}

_RECORD = struct.Struct("=qdI4x")
_HEADER_BYTES = 64  # the tail, on a cache line of its own


class Ring:
    """The newest `slots` records, for one writer or for several that share a lock. Forked children share the memory."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.memory = mmap.mmap(-1, _HEADER_BYTES + slots * _RECORD.size)
        self.memory.write(bytes(len(self.memory)))
        self.tail = memoryview(self.memory)[:8].cast("Q")

    def appender(self) -> Callable[[str, float], None]:
        """An append for the only writer, which therefore keeps the tail to itself as well."""
        tail, memory, slots, size = self.tail, self.memory, self.slots, _RECORD.size
        pack, now, numbers = _RECORD.pack_into, time.time_ns, SENSORS
        ticket = tail[0]

        def append(sensor: str, value: float) -> None:
            nonlocal ticket
            pack(memory, _HEADER_BYTES + ticket % slots * size, now(), value, numbers[sensor])
            ticket += 1
            tail[0] = ticket

        return append

    def locked_appender(self, lock: Lock) -> Callable[[str, float], None]:
        """An append for one of several writers."""
        tail, memory, slots, size = self.tail, self.memory, self.slots, _RECORD.size
        pack, now, numbers = _RECORD.pack_into, time.time_ns, SENSORS

        def append(sensor: str, value: float) -> None:
            number = numbers[sensor]
            with lock:
                ticket = tail[0]
                pack(memory, _HEADER_BYTES + ticket % slots * size, now(), value, number)
                tail[0] = ticket + 1

        return append

    def reader(self) -> Callable[[int], list[tuple[int, float, int]]]:
        """A read of up to n records from where the last one ended, at first the tail. OverflowError when lapped."""
        tail, memory, slots, size = self.tail, self.memory, self.slots, _RECORD.size
        unpack = _RECORD.unpack_from
        ticket = tail[0]

        def read(n: int) -> list[tuple[int, float, int]]:
            nonlocal ticket
            end = min(tail[0], ticket + n)
            found = [unpack(memory, _HEADER_BYTES + at % slots * size) for at in range(ticket, end)]
            if tail[0] - ticket > slots:
                raise OverflowError(f"{tail[0] - ticket} records behind in a ring of {slots}")
            ticket = end
            return found

        return read
