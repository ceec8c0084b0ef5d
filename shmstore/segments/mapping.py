"""One segment mapped into this process: its bytes, its descriptor, and how both are let go."""

import errno
import os
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from typing import Final, NoReturn

from shmstore import _core
from shmstore.arguments.closing import Closing
from shmstore.errors import NotPicklable, StoreClosed
from shmstore.segments import names
from shmstore.segments.identity import describe

_POPULATE_READ: Final = 22  # MADV_POPULATE_READ and _WRITE of Linux 5.14, which the mmap module does not name
_POPULATE_WRITE: Final = 23
_NO_ADVICE: Final = (errno.EINVAL, errno.ENOSYS, errno.EPERM)  # an older kernel; a sandbox
_POPULATE_BYTES: Final = 1 << 22  # in one go; other threads and signals get their turn in between


class Segment(Closing, SharedMemory):
    """A segment as `shmstore.segments.segment.create` and `attach` hand it out; a context manager that closes it.

    It is a SharedMemory made of an open descriptor. The constructor of SharedMemory is not called: before CPython 3.13
    it registers every process that attaches with the resource tracker, which removes the living segment when that
    process ends; and in every version it removes a segment that it cannot map.

    `writable` tells whether the bytes may be written.
    """

    _track = False  # for CPython from 3.13 on
    _name: str
    _fd: int
    _size: int
    _mmap: _core.MappedFile | None
    _buf: memoryview | None

    def __init__(self, name: str, fd: int, *, writable: bool) -> None:
        """Map the whole file of `fd`, which is the segment's from now on. Raises OSError, with `fd` closed."""
        self._name = f"/{name}"
        self._file = os.fstat(fd)
        self._fd = fd
        self.writable = writable
        try:
            self._mmap = _core.MappedFile(fd, writable=writable)
        except BaseException:
            self.close()
            raise
        self._size = len(self._mmap)
        self._buf = memoryview(self._mmap)

    @property
    def buffer(self) -> memoryview:
        """All bytes of the segment. Raises StoreClosed after `close`."""
        if self._buf is None:
            self._refuse_closed()
        return self._buf

    @property
    def fd(self) -> int:
        """The descriptor of the segment's file; `close` closes it. Raises StoreClosed after that."""
        if self._fd < 0:
            self._refuse_closed()
        return self._fd

    def open_core(self) -> _core.Store:
        """What a handle of this segment stands on. Where it may write, this process takes a place in it.

        Raises ProcessTableFull, and what `_core.Store` raises.
        """
        path = names.path_of(self.name)
        return _core.Store(self.buffer, fd=self.fd, path=path, writable=self.writable, describe=describe)

    def is_linked(self) -> bool:
        """Whether the name leads to this segment, not to nothing or a newer one (best-effort). Raises StoreClosed."""
        if self._fd < 0:
            self._refuse_closed()
        try:
            return os.path.samestat(os.stat(names.path_of(self.name), follow_symlinks=False), self._file)
        except FileNotFoundError:
            return False

    def populate(self) -> None:
        """Fault every page in, so that no first touch is slow. Does nothing before Linux 5.14. Raises StoreClosed."""
        mapping = self._mmap
        if mapping is None:
            self._refuse_closed()
        advice = _POPULATE_WRITE if self.writable else _POPULATE_READ
        for start in range(0, self._size, _POPULATE_BYTES):
            try:
                mapping.advise(advice, start, min(_POPULATE_BYTES, self._size - start))
            except OSError as error:
                if error.errno in _NO_ADVICE:
                    return
                raise

    def close(self) -> None:
        """Let go of the bytes and the descriptor. Idempotent. The segment itself stays.

        While somebody exports the buffer, as the core of an open store does, the bytes stay mapped until the last
        export ends.
        """
        # The descriptor first: unmapping takes long, and a signal handler that raises may end it. What is left over
        # then is let go of only if Python itself owns it.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with suppress(OSError):  # the program has closed it
                if os.path.samestat(os.fstat(fd), self._file):  # else it is another file's by now
                    os.close(fd)
        buffer, self._buf = self._buf, None
        mapping, self._mmap = self._mmap, None
        try:
            if buffer is not None:
                buffer.release()
            if mapping is not None:
                mapping.close()
        except BufferError:
            pass

    def unlink(self) -> NoReturn:
        """Refused: a segment is removed by name, and whoever is attached is told."""
        raise TypeError(f"a mapping does not remove its segment; call shmstore.unlink({self.name!r})")

    def __reduce__(self) -> NoReturn:
        raise NotPicklable(
            f"a mapping lives in this process alone and cannot be pickled or copied; send the name {self.name!r} and "
            "attach to it"
        )

    def _refuse_closed(self) -> NoReturn:
        raise StoreClosed(f"segment {self.name!r} was closed in this process; attach to it again")
