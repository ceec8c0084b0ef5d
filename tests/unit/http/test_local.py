"""Sockets at a path: those that a dead server left are replaced, those of the living and other files are not."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from shmstore.http.local import bound_at, mark_of, remove
from shmstore.http.server import Server
from tests.helpers.raw_http import GET, LIMIT_S, Start, everything


def test_what_a_dead_server_left_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    bound_at(path).close()
    left = mark_of(path)
    with bound_at(path) as listener:
        assert mark_of(path) != left is not None
        listener.listen()
        with pytest.raises(OSError, match=rf"^cannot listen at unix:{path}: address already in use$"):
            bound_at(path)
        remove(path, left)  # not ours any more
        assert Path(path).is_socket()
    remove(path, mark_of(path))
    assert not Path(path).exists()
    remove(path, None)


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OSError, match="a file that is no socket; give another path"):
        bound_at(str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("path", "told"), [("", "1 to 107 bytes"), ("x" * 108, "1 to 107"), ("no/such", "no such file")]
)
def test_a_path_that_cannot_be_is_told(tmp_path: Path, path: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=f"^cannot listen at unix:{path}: .*{told}"):
        bound_at(path)


def test_a_server_at_a_path(tmp_path: Path) -> None:
    told: dict[str, Any] = {}

    def application(environ: dict[str, Any], start: Start) -> list[bytes]:
        told.update(environ)
        start("200 OK", [])
        return [environ["wsgi.input"].read()]

    path = str(tmp_path / "socket")
    server = Server(application, path=path)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LIMIT_S)
        client.connect(path)
        client.sendall(GET)
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200_000)
        client.shutdown(socket.SHUT_WR)
        assert everything(client).endswith(b"\r\n\r\n" + b"x" * 200_000)
    server.stop(LIMIT_S)
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert (told["REMOTE_ADDR"], told["SERVER_NAME"], told["SERVER_PORT"]) == ("", "localhost", "80")
