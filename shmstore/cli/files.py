"""Writes files whole: whoever looks sees the old file or the new one, never a part."""

import os
from contextlib import suppress


def replace(path: str, data: bytes) -> None:
    """Make or replace a file; anything but a plain file, such as /dev/stdout, is written to.

    Raises OSError naming the path.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as stream:
                stream.write(data)
        else:
            _replace(os.path.realpath(path), data)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None


def _replace(path: str, data: bytes) -> None:
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name[:100]}.{os.urandom(4).hex()}")
    try:
        with open(draft, "xb") as file:
            file.write(data)
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
