"""A segment of any kind, open in this process: what is asked of all kinds alike."""

from typing import TYPE_CHECKING

from shmstore import _core
from shmstore.arguments.closing import Closing
from shmstore.segments import segment
from shmstore.segments.refusals import Kind

if TYPE_CHECKING:
    from shmstore.segments.mapping import Segment


def attach(name: str, *, kind: Kind | None = None, read_only: bool = False) -> "Handle":
    """Attach to a segment that exists, of this kind or of any. A process that may write takes a place in it.

    Raises what `segment.attach` raises, and ProcessTableFull unless it is `read_only`.
    """
    return Handle(segment.attach(name, kind=kind, writable=not read_only))


class Handle(Closing):
    """A handle that knows nothing of what its segment holds; `core` is what it stands on."""

    __slots__ = ("_mapped", "core", "header", "name")

    def __init__(self, mapped: "Segment") -> None:
        """Take over a mapped segment; it is closed when this fails."""
        self._mapped = mapped
        self.name = mapped.name
        try:
            self.core = mapped.open_core()
        except BaseException:
            mapped.close()
            raise
        self.header = self.core.header()

    def __repr__(self) -> str:
        return f"<Handle of {self.name!r}: {'closed' if self.closed else self.kind}>"

    @property
    def kind(self) -> Kind:
        """What the segment holds."""
        return self.header.options["kind"]

    @property
    def read_only(self) -> bool:
        """Whether this handle was attached for reading only."""
        return not self._mapped.writable

    @property
    def closed(self) -> bool:
        """Whether `close` was called on this handle."""
        return self.core.closed

    @property
    def unlinked(self) -> bool:
        """Whether the name was removed."""
        return self.core.unlinked

    def processes(self) -> list[_core.Place]:
        """The process table: every process attached for writing, and the dead that are not repaired yet."""
        return self.core.places()

    def check(self) -> list[str]:
        """What is wrong with the shared bytes, in words: empty when all invariants hold. Only reads."""
        return self.core.check()

    def close(self) -> None:
        """Let go of the segment, which stays. Idempotent."""
        try:
            self.core.close()
        finally:
            self._mapped.close()
