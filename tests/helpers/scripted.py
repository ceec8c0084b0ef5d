"""A server that answers what a test has written down, and the answers of a service that most tests need."""

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NOW = "2026-11-28T10:00:00.123456Z"


@dataclass
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: Any
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Say:
    """One answer."""

    status: int = 200
    value: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None
    missing: int = 0  # so many bytes of it are not sent
    closes: bool = False  # the connection is closed, without a word about it


@dataclass
class Cut:
    """The first bytes of an answer; then the connection ends."""

    raw: bytes


@dataclass
class Stream:
    """Server-sent events; then the connection ends, or nothing comes any more."""

    pieces: list[bytes]
    stays: bool = False
    chunked: bool = False


HANG_UP = "the connection is closed instead of an answer"


class Fake:
    """A server whose answers are written down before they are asked for."""

    def __init__(self, certificate: tuple[str, str] | None = None) -> None:
        self.script: list[Any] = []
        self.asked: list[Asked] = []
        self.gone = threading.Event()  # a connection that stayed was closed by the client
        fake, connection_number = self, iter(range(1_000_000))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self.number = next(connection_number)

            def log_message(self, *_: Any) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.asked.append(Asked(self.command, self.path, self.headers, body, self.number))
                answer = fake.script.pop(0)
                if answer == HANG_UP:
                    self.close_connection = True
                elif isinstance(answer, Cut):
                    self.wfile.write(answer.raw)
                    self.close_connection = True
                elif isinstance(answer, Stream):
                    self.stream(answer)
                else:
                    self.say(answer)

            do_GET = do_POST = answer

            def say(self, answer: Say) -> None:
                body = json.dumps(answer.value).encode() if answer.raw is None else answer.raw
                self.send_response(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) - answer.missing])
                self.close_connection = bool(answer.missing) or answer.closes

            def stream(self, answer: Stream) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header(*(("Transfer-Encoding", "chunked") if answer.chunked else ("Connection", "close")))
                self.end_headers()
                for piece in answer.pieces:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if answer.chunked else piece)
                if answer.stays:
                    self.connection.settimeout(10)
                    assert self.connection.recv(1) == b""
                    fake.gone.set()
                self.close_connection = True

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*certificate)
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def event(version: int, data: Any = None, **more: Any) -> dict[str, Any]:
    about = {"stream": "s", "version": version, "position": 4 * version, "eventId": f"id-{version}", "type": None}
    return {**about, "data": data, "metadata": None, "timestamp": NOW, **more}


def page(*versions: int) -> Say:
    return Say(200, [event(version) for version in versions], (("ETag", '"9"'),))


def accepted(version: int) -> Say:
    return Say(202, {"stream": "s", "version": version, "eventId": "x"})


def refusal(status: int, text: str = "found, expected", **more: Any) -> Say:
    return Say(status, {"error": text, **more})


def sent(version: int, data: Any = None) -> bytes:
    return f"id: {version}\ndata: {json.dumps(event(version, data))}\n\n".encode()


def wait_for(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    done = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():
            return True
        done.wait(0.005)
    return False
