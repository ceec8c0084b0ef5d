"""Thousands of clients that follow streams: one thread of a process sends to all of them what comes.

Events are read and made text once for all that follow the same stream. A client that does not take what it is sent is
cut off; it may ask again, from the event that came last.
"""

import logging
import os
import select
import socket
import threading
import time
from contextlib import suppress
from typing import ClassVar, Final
from weakref import WeakSet

from shmstore.errors import StoreClosed
from shmstore.http.detaching import LAST_CHUNK, Detached, chunked, has_gone
from shmstore.http.following import AT_ONCE, HEARTBEAT, HEARTBEAT_S, Following, joined

_MOST_UNSENT: Final = 1 << 20  # bytes that are kept for a slow client
_PATIENCE_S: Final = 30.0  # for a client that takes none of them
_GONE: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_BEAT_S: Final = HEARTBEAT_S / 2  # whoever got nothing since the last beat gets a heartbeat

Found = list[tuple[int, bytes]]


class _Client:
    """A connection that is sent to without waiting."""

    __slots__ = ("channel", "fd", "is_chunked", "is_quiet", "next_version", "socket", "stuck_since_s", "unsent")

    def __init__(self, detached: Detached) -> None:
        self.socket, self.is_chunked = detached
        self.fd = self.socket.fileno()
        self.channel: _Channel | None = None
        self.next_version = 0  # it has had those before
        self.unsent = b""
        self.stuck_since_s = 0.0
        self.is_quiet = False
        """Nothing was sent since the last heartbeat."""

    def send(self, piece: bytes) -> bool:
        """Whether the client can still be sent to."""
        self.is_quiet = False
        chunk = chunked(piece) if self.is_chunked else piece
        if not self.unsent:
            return self._send(chunk)
        self.unsent += chunk
        return len(self.unsent) <= _MOST_UNSENT

    def send_unsent(self) -> bool:
        """The same, for what is left of before."""
        return self._send(self.unsent)

    def _send(self, data: bytes) -> bool:
        try:
            sent = self.socket.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            return False
        if sent or not self.unsent:
            self.stuck_since_s = time.monotonic()
        self.unsent = data[sent:]
        return len(self.unsent) <= _MOST_UNSENT

    def shut(self) -> None:
        """Nothing can be sent or comes any more."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def has_gone(self) -> bool:
        """Whether its end was heard of: an event of a number may be older than the socket that has it now."""
        return has_gone(self.socket)

    def close(self) -> None:
        self.shut()  # a fork of this process may have the socket as well: closing it would end nothing
        self.socket.close()


class _Channel:
    """One stream of one opening of a store, and who follows it. Its place is that of the follower it began with."""

    __slots__ = ("clients", "fd", "following")

    def __init__(self, following: Following) -> None:
        self.following = following
        self.fd = following.follower.fileno()
        self.clients: set[_Client] = set()


def _key_of(following: Following) -> tuple[int, str]:
    """The same for those that can share a channel."""
    return id(following.stream.store), following.stream.name


class Followers:
    """All clients of a process that follow, from `add` until they go or their stream ends. Its thread ends when none is
    left.
    """

    _all: ClassVar["WeakSet[Followers]"] = WeakSet()

    def __init__(self) -> None:
        self._begin()
        self._all.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()  # a signal handler may close it
        self._epoll: select.epoll | None = None
        self._clients: dict[int, _Client] = {}
        self._channels: dict[tuple[int, str], _Channel] = {}
        self._channel_of: dict[int, _Channel] = {}
        self._is_closed = False

    @classmethod
    def forked(cls) -> None:
        """In a forked child: those clients are the parent's, and so is the thread."""
        for each in list(cls._all):
            clients, is_closed = each._clients, each._is_closed
            each._begin()
            each._is_closed = is_closed
            for client in clients.values():
                client.socket.close()  # which ends nothing

    def __len__(self) -> int:
        return len(self._clients)

    def add(self, detached: Detached, following: Following) -> None:
        """Send a client what comes, from where `following` is. Both are this one's from now on."""
        client = _Client(detached)
        with self._lock:
            try:
                if self._is_closed:
                    raise StoreClosed("the service was closed")
                self._join(client, following)
            except BaseException:
                self._drop(client)
                following.close()
                client.close()
                raise

    def close(self) -> None:
        """Let go of all clients, for good."""
        with self._lock:
            self._is_closed = True
            for client in self._clients.values():
                client.shut()  # which wakes the thread, and that lets go of them

    # -- with the lock held

    def _join(self, client: _Client, following: Following) -> None:
        epoll = self._started()
        epoll.register(client.fd, _GONE)
        self._clients[client.fd] = client
        channel = self._channels.get(_key_of(following))
        missed: Found = []
        if channel is None:
            channel = _Channel(following)
            epoll.register(channel.fd, select.EPOLLIN)
            client.channel = channel  # so that it goes with the client, wherever a signal handler raises
            self._channels[_key_of(following)] = self._channel_of[channel.fd] = channel
        else:  # it must not be behind the channel: what comes next is for all
            while found := following.read():
                missed += found
                if len(found) < AT_ONCE:
                    break
            following.close()
        client.channel, client.next_version = channel, following.next_version
        channel.clients.add(client)
        if missed:
            self._send(client, joined(missed))
        if following.has_ended:
            self._end(client, following.ending)

    def _started(self) -> select.epoll:
        if self._epoll is None:
            epoll = select.epoll()
            threading.Thread(target=self._run, args=(epoll,), name="shmstore-followers", daemon=True).start()
            self._epoll = epoll
        return self._epoll

    def _send(self, client: _Client, piece: bytes) -> None:
        had_unsent = bool(client.unsent)
        if not client.send(piece):
            self._drop(client)
        elif bool(client.unsent) != had_unsent and self._epoll is not None:
            self._epoll.modify(client.fd, _GONE | select.EPOLLOUT)

    def _send_unsent(self, client: _Client) -> None:
        if not client.send_unsent():
            self._drop(client)
        elif not client.unsent and self._epoll is not None:
            self._epoll.modify(client.fd, _GONE)

    def _end(self, client: _Client, ending: bytes) -> None:
        """An answer that is complete."""
        if client.fd in self._clients:
            if ending:
                client.send(ending)
            if client.is_chunked and not client.unsent:
                with suppress(OSError):
                    client.socket.send(LAST_CHUNK, socket.MSG_DONTWAIT)
            self._drop(client)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.fd, None) is None:
            return
        if self._epoll is not None:
            self._epoll.unregister(client.fd)
        client.close()
        if (channel := client.channel) is not None:
            channel.clients.discard(client)
            if not channel.clients:
                self._channels.pop(_key_of(channel.following), None)
                self._channel_of.pop(channel.fd, None)
                if self._epoll is not None:
                    self._epoll.unregister(channel.fd)
                channel.following.close()

    # -- the thread

    def _run(self, epoll: select.epoll) -> None:
        try:
            self._send_to_all(epoll)
        except BaseException:  # there is no memory: whoever asks again gets another thread
            logging.getLogger(__name__).exception("all that follow are let go of")
            with self._lock:
                for client in self._clients.values():
                    client.close()
                for channel in self._channels.values():
                    channel.following.close()
                self._clients, self._channels, self._channel_of, self._epoll = {}, {}, {}, None
                epoll.close()

    def _send_to_all(self, epoll: select.epoll) -> None:
        beat_at_s = time.monotonic() + _BEAT_S
        while True:
            ready = epoll.poll(max(0.0, beat_at_s - time.monotonic()))
            with self._lock:
                for fd, event in ready:
                    if channel := self._channel_of.get(fd):
                        self._pass_on(channel)
                    elif client := self._clients.get(fd):
                        if not event & _GONE:
                            self._send_unsent(client)
                        elif client.has_gone():
                            self._drop(client)
                if time.monotonic() >= beat_at_s:
                    beat_at_s = time.monotonic() + _BEAT_S
                    self._beat()
                if not self._clients:
                    self._epoll = None
                    epoll.close()
                    return

    def _pass_on(self, channel: _Channel) -> None:
        """Send what has come to all that follow a stream, and end them where no more can come."""
        try:
            self._pass_on_what_came(channel)
        except Exception:  # the others go on
            logging.getLogger(__name__).exception("stream %r cannot be followed", channel.following.stream.name)
            for client in list(channel.clients):
                self._drop(client)

    def _pass_on_what_came(self, channel: _Channel) -> None:
        found = channel.following.read()
        if found:
            everything, first = joined(found), found[0][0]
            for client in list(channel.clients):
                if client.next_version <= first:
                    self._send(client, everything)
                elif later := [each for each in found if each[0] >= client.next_version]:
                    self._send(client, joined(later))
        elif channel.following.has_ended:
            for client in list(channel.clients):
                self._end(client, channel.following.ending)

    def _beat(self) -> None:
        """Show quiet clients that their connections live, and let go of those that are stuck."""
        now_s = time.monotonic()
        for client in list(self._clients.values()):
            if client.unsent and now_s - client.stuck_since_s > _PATIENCE_S:
                self._drop(client)
            elif client.is_quiet:
                self._send(client, HEARTBEAT)
            client.is_quiet = True


os.register_at_fork(after_in_child=Followers.forked)
