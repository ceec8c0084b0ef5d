"""The processes of the gateways: started, and started again when one dies."""

import signal
import subprocess
import sys
from collections.abc import Iterator

from command_line import Failed

GATEWAYS = ("gw-1", "gw-2", "gw-3")

_OFTEN = 20  # starts in a row that fail


class Gateways:
    """Three processes that share a store; each keeps its port, which nginx knows, from one life to the next."""

    def __init__(self, store: str, mistake: str | None) -> None:
        self._arguments = (store, mistake)
        self._processes: dict[str, subprocess.Popen[str]] = {}
        self.ports: dict[str, int] = dict.fromkeys(GATEWAYS, 0)
        self._failures = 0

    def start(self) -> None:
        """Start all of them. Raises Failed."""
        for gateway in GATEWAYS:
            self._start(gateway)
            if not self.ports[gateway]:
                raise Failed(f"gateway {gateway} could not be started; above is what it said")

    def pid(self, gateway: str) -> int:
        """The process that is this gateway now."""
        return self._processes[gateway].pid

    def kill(self, gateway: str) -> None:
        """SIGKILL it."""
        self._processes[gateway].kill()

    def start_the_dead(self) -> Iterator[str]:
        """Start those again that are dead, and tell of each. Raises Failed when that does not help."""
        for gateway, process in self._processes.items():
            status = process.poll()
            if status is None:
                continue
            how = signal.Signals(-status).name if status < 0 else f"status {status}"
            self._close(process)
            self._failures = 0 if self._start(gateway) else self._failures + 1
            if self._failures > _OFTEN:
                raise Failed(f"gateway {gateway} ends whenever it is started; above is what it said")
            yield f"gateway {gateway} (pid {process.pid}) was ended by {how}; it is pid {self.pid(gateway)} now"

    def stop(self) -> None:
        """End all of them, each when its requests are answered. Idempotent."""
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10.0)
            finally:
                process.kill()
                self._close(process)

    def _start(self, gateway: str) -> bool:
        """Whether it listens. Its port is the one that it had, or any."""
        store, mistake = self._arguments
        words = [store, gateway, str(self.ports[gateway]), *([mistake] if mistake else [])]
        command = [sys.executable, "-m", "samples.gateway.gateway", *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", process_group=0)
        self._processes[gateway] = process
        assert process.stdout is not None
        said = process.stdout.readline()
        self.ports[gateway] = int(said or self.ports[gateway])
        return bool(said)

    def _close(self, process: "subprocess.Popen[str]") -> None:
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
