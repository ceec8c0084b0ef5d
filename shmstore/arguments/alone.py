"""Objects that live in one process: whoever pickles or copies one is told what to send instead."""

from typing import ClassVar, NoReturn, Self

from shmstore.errors import NotPicklable


class Alone:
    """A base of classes whose objects cannot be sent to another process; `_SEND` says what can."""

    __slots__ = ()

    _SEND: ClassVar[str]

    def __reduce__(self) -> NoReturn:
        name = type(self).__name__
        raise NotPicklable(f"a {name} lives in this process alone and cannot be pickled or copied; {self._SEND}")


class Question(Alone):
    """The same for objects that never change: a copy is the object itself."""

    __slots__ = ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self
