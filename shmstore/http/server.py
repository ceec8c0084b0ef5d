"""A small HTTP/1.1 server of threads for any WSGI application, with the standard library alone.

One thread watches all connections that wait for their client, and takes in requests until they are whole; threads of a
pool answer them. So clients that are slow, idle or half-closed keep no thread. Of `wsgi.input` all is there already.
`environ["shmstore.is_wanted"]()` tells an application that streams whether to go on: not when its client has gone, nor
when the server is to stop.
"""

import os
import select
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from io import BytesIO
from typing import Any, Final

from shmstore.http.accepted import Connection, Gone, accept, listen
from shmstore.http.detaching import HandedOver
from shmstore.http.incoming import Received
from shmstore.http.pool import Pool
from shmstore.http.replies import Reply, refusal
from shmstore.http.request_log import Lines, RequestLog
from shmstore.http.requests import Refused

_WATCHED: Final = select.EPOLLIN | select.EPOLLONESHOT
_LOOK_S: Final = 0.25
_LOOK_STOPPING_S: Final = 0.02
_ENDING_S: Final = 2.0
_FOLLOWERS_S: Final = 0.3  # that streams of events get at a stop
_FOLLOWERS_A_THREAD: Final = 16
_TOLD_AGAIN_S: Final = 60.0
_LATE: Final = Refused("408 Request Timeout", "the request did not come in time")


class Server:
    """Listens from its making on, at `path` when there is one; `port` is the real one when 0 was asked for."""

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        host: str = "127.0.0.1",
        port: int = 7070,
        *,
        path: str | None = None,
        threads: int = 64,
        body_limit: int = 1 << 20,
        header_timeout: float = 10.0,
        keep_alive: float = 75.0,
        access_log: Lines | None = None,
    ) -> None:
        self._application = application
        self._body_limit = body_limit
        self._patience_s = header_timeout
        self._keep_alive_s = keep_alive
        self._log = RequestLog(access_log)
        self._listener: socket.socket | None = listen(host, port, header_timeout, path)
        where: tuple[str, int] = self._listener.getsockname()[:2] if path is None else ("localhost", 80)
        self.host, self.port = where
        self._pool: Pool[Connection] = Pool(self._work, threads, threads * _FOLLOWERS_A_THREAD)
        self._watched: dict[int, Connection] = {}
        self._taken: set[Connection] = set()
        self._stopping_since_s = 0.0
        self._stop_at_s = 0.0
        self._is_full_since_s = 0.0
        self._has_ended = False
        self._beginning = threading.RLock()
        self._serving: int | None = None  # the thread, once it has begun
        self._process: int | None = None
        self._epoll = select.epoll()
        self._woken, self._waking = socket.socketpair()
        self._look_s = min(_LOOK_S, header_timeout / 4, keep_alive / 4)
        self._environ: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.errors": self._log,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "SCRIPT_NAME": "",
            "SERVER_NAME": self.host if path is not None else host or self.host,
            "SERVER_PORT": str(self.port),
            "SERVER_SOFTWARE": "shmstore",
        }

    @property
    def is_stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping_since_s > 0

    def serve_forever(self) -> None:
        """Serve until `stop`."""
        with self._beginning:
            if self._listener is None:
                return
            self._serving, self._process = threading.get_ident(), os.getpid()
        try:
            self._epoll.register(self._listener, select.EPOLLIN)
            self._epoll.register(self._woken, select.EPOLLIN)
            look_at = time.monotonic() + self._look_s
            while not self._is_done():
                for fd, _ in self._epoll.poll(_LOOK_STOPPING_S if self.is_stopping else self._look_s):
                    self._notice_safely(fd)
                if self.is_stopping:
                    self._stop_listening()
                if time.monotonic() >= look_at or self.is_stopping:
                    self._look_after_the_late()
                    self._pool.grow()  # where the system had no thread before
                    look_at = time.monotonic() + self._look_s
        finally:
            self._end()

    def stop(self, timeout: float = 30.0) -> None:
        """Take no new connection, finish the requests on their way, and end; after `timeout` seconds, end anyway.

        Returns when it has ended, or at once in the thread that serves, as in a signal handler.
        """
        if self._is_of_parent:
            return
        now = time.monotonic()
        self._stop_at_s = now + timeout
        self._stopping_since_s = self._stopping_since_s or now
        if not self._has_ended:
            with suppress(OSError):  # it ends just now
                self._waking.send(b"\0", socket.MSG_DONTWAIT)
            while self._serves_elsewhere and time.monotonic() < self._stop_at_s + 1:
                time.sleep(_LOOK_STOPPING_S)  # no lock is held, for a signal handler may stop it once more

    def close(self) -> None:
        """End at once, also when it has never served. A process forked from the one that serves ends nothing."""
        if self._is_of_parent:
            return
        with self._beginning:
            if not self._serves_elsewhere:
                self._end()
                return
        self.stop(0)  # that thread uses what is closed

    @property
    def _is_of_parent(self) -> bool:
        return self._process not in (None, os.getpid())

    @property
    def _serves_elsewhere(self) -> bool:
        return not self._has_ended and self._serving not in (None, threading.get_ident())

    def _end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._stopping_since_s = self._stopping_since_s or time.monotonic()
        self._close_listener()
        for connection in list(self._taken):
            connection.shut(socket.SHUT_RDWR)
        self._epoll.close()
        self._woken.close()
        self._waking.close()
        for connection in list(self._watched.values()):
            connection.close()
        self._pool.stop()

    # -- the thread that watches

    def _notice_safely(self, fd: int) -> None:
        try:
            self._notice(fd)
        except Exception:
            self._log.write(traceback.format_exc())  # the other connections go on

    def _notice(self, fd: int) -> None:
        if fd == self._woken.fileno():
            self._woken.recv(64)
        elif self._listener is not None and fd == self._listener.fileno():
            self._accept()
        elif (connection := self._watched.pop(fd, None)) is not None:
            connection.take_in()
            if connection.is_over:
                connection.close()
            elif not connection.is_ending and connection.has_request():
                self._taken.add(connection)
                self._pool.put(connection)
            else:
                self._watch(connection)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, address = accept(self._listener, self._patience_s)
        except (BlockingIOError, ConnectionError, InterruptedError):
            return
        except OSError as error:  # too many files
            self._make_room(error)
            return
        connection = Connection(client, address, self._body_limit, self._patience_s)
        try:
            self._epoll.register(connection.fd, _WATCHED)
        except OSError as error:  # too many are watched
            connection.close()
            self._make_room(error)
            return
        self._watched[connection.fd] = connection

    def _make_room(self, error: OSError) -> None:
        """Close the connection that has been quiet for longest; or listen again at the next look."""
        if self._is_full_since_s == 0:
            self._log.write(f"no connection can be accepted, so that quiet ones are closed: {error}")
            self._is_full_since_s = time.monotonic()
        quiet = [each for each in list(self._watched.values()) if each.is_ending or each.incoming.is_idle]
        if quiet:
            connection = min(quiet, key=lambda each: each.deadline_s)
            del self._watched[connection.fd]
            connection.close()
        elif self._listener is not None:
            self._epoll.modify(self._listener, 0)

    def _watch(self, connection: Connection) -> None:
        """Let the watching thread have a connection. Nothing may be done with it after this."""
        connection.set_deadline(self._keep_alive_s)
        self._watched[connection.fd] = connection
        try:
            self._epoll.modify(connection.fd, _WATCHED)
        except (OSError, ValueError):  # the server has ended
            if self._watched.get(connection.fd) is connection:
                del self._watched[connection.fd]
            connection.close()

    def _look_after_the_late(self) -> None:
        now = time.monotonic()
        if self._is_full_since_s and self._listener is not None:
            self._epoll.modify(self._listener, select.EPOLLIN)
            if now - self._is_full_since_s > _TOLD_AGAIN_S:
                self._is_full_since_s = 0.0
        for connection in list(self._watched.values()):
            is_quiet = connection.is_ending or connection.incoming.is_idle
            if (self.is_stopping and is_quiet) or now >= connection.deadline_s:
                if self._watched.pop(connection.fd, None) is None:
                    continue
                if not is_quiet:
                    connection.say(refusal(_LATE))
                    self._tell_refused(connection, _LATE)
                connection.close()

    def _stop_listening(self) -> None:
        """Take in what has come before the stop, and nothing after it."""
        if self._listener is None:
            return
        for _ in range(1024):
            known = len(self._watched)
            self._accept()
            if len(self._watched) == known:
                break
        self._epoll.unregister(self._listener)
        self._close_listener()
        for fd, _ in self._epoll.poll(0):
            self._notice_safely(fd)

    def _close_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        if self._process is not None:  # a fork of it may have the socket as well, and would keep the port
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
        listener.close()

    def _is_done(self) -> bool:
        if not self.is_stopping or self._listener is not None:
            return False
        now = time.monotonic()
        if now >= self._stop_at_s:
            return True
        if len(self._taken) > self._pool.lent or any(not each.is_ending for each in list(self._watched.values())):
            return False
        return not self._taken or now - self._stopping_since_s > _FOLLOWERS_S

    # -- the threads of the pool

    def _work(self, connection: Connection) -> None:
        try:
            self._answer_all(connection)
        except BaseException:
            self._taken.discard(connection)
            connection.close()
            self._log.write(traceback.format_exc())

    def _answer_all(self, connection: Connection) -> None:
        """Answer a connection's requests as long as they come at once."""
        goes_on = True
        while goes_on:
            received, connection.received = connection.received, None
            if received is None:
                goes_on = False
                self._refuse(connection)
            elif not self._answer(connection, received):
                goes_on = False
            elif not connection.has_request() and not self._has_next(connection):
                break
            elif self._pool.is_short:
                self._pool.put(connection)
                return
        self._taken.discard(connection)
        if connection.is_over:
            connection.close()
        else:
            if not goes_on:
                connection.shut(socket.SHUT_WR)  # and no close yet, which would overtake the answer if more comes in
                connection.is_ending = True
                connection.deadline_s = time.monotonic() + _ENDING_S
            self._watch(connection)

    def _has_next(self, connection: Connection) -> bool:
        if self._pool.is_short or self.is_stopping or not connection.take_soon():
            return False
        return not connection.is_over and connection.has_request()

    def _answer(self, connection: Connection, received: Received) -> bool:
        """Whether the connection may be used again."""
        began = time.perf_counter()
        is_lent = False

        def follow() -> bool:
            nonlocal is_lent
            is_lent = is_lent or self._pool.lend()
            return is_lent

        def is_wanted() -> bool:
            return not self.is_stopping and connection.is_there()

        def let_go() -> socket.socket:
            with suppress(ValueError):  # the server has ended, and those that are let go end with the application
                self._epoll.unregister(connection.fd)
            return connection.let_go()

        environ = {**self._environ, **connection.environ, **received.environ}
        environ["wsgi.input"] = BytesIO(received.body)
        environ["shmstore.is_wanted"] = is_wanted
        reply = Reply(received, connection.send, lambda: self.is_stopping, follow, let_go)
        try:
            reply.give(self._application, environ, is_wanted)
        except Gone:
            connection.is_over = True
        except HandedOver:
            pass
        except BaseException as error:
            self._fail(connection, reply, error)
        finally:
            if is_lent:
                self._pool.give_back()
        if self._log.is_on:
            request_id = reply.request_id or received.environ.get("HTTP_X_REQUEST_ID", "")
            status = int(reply.status[:3]) if reply.has_begun else 0
            milliseconds = (time.perf_counter() - began) * 1e3
            method, target = received.environ["REQUEST_METHOD"], received.environ["RAW_URI"]
            remote = connection.environ["REMOTE_ADDR"]
            self._log.request(method, target, status, reply.bytes_sent, milliseconds, remote, request_id)
        return reply.keeps_alive and not connection.is_over

    def _fail(self, connection: Connection, reply: Reply, error: BaseException) -> None:
        """Answer in place of an application that raised; what has begun can only be cut off."""
        if not isinstance(error, Refused):
            self._log.write("".join(traceback.format_exception(error)))
        try:
            if reply.has_begun:
                connection.is_over = True
            elif isinstance(error, Refused):
                reply.refuse(error.status, error.sentence, [("Retry-After", "1")])
            else:
                reply.refuse("500 Internal Server Error", "the service failed; its log says why")
        except Gone:
            connection.is_over = True

    def _refuse(self, connection: Connection) -> None:
        refused = connection.refused
        assert refused is not None
        connection.say(refusal(refused))
        self._tell_refused(connection, refused)

    def _tell_refused(self, connection: Connection, refused: Refused) -> None:
        if self._log.is_on:
            method, target = connection.incoming.asked
            self._log.request(method, target, int(refused.status[:3]), 0, 0.0, connection.environ["REMOTE_ADDR"], "")
