"""A proxy that cuts connections after random numbers of bytes, at any place of a request or of its answer."""

import random
import select
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

FEWEST, MOST = 200, 40_000  # bytes that a connection carries


class CuttingProxy:
    """Listens at `port` from `with` to its end, and counts its `cuts`; the seed decides where they are."""

    def __init__(self, to_port: int, seed: int) -> None:
        self.cuts = 0
        self._to_port = to_port
        self._chance = random.Random(seed)
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _start(self, *work: object) -> None:
        function, *values = work
        thread = threading.Thread(target=function, args=values)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                client, _ = self._listener.accept()
                self._start(self._carry, client, self._chance.randrange(FEWEST, MOST))

    def _carry(self, client: socket.socket, left: int) -> None:
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._to_port)) as server:
            other = {client: server, server: client}
            while left > 0:
                for side in select.select([client, server], [], [])[0]:
                    data = side.recv(4096)
                    if not data:
                        return
                    other[side].sendall(data[:left])
                    left -= len(data)
            self.cuts += 1
