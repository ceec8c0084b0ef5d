"""A segment of streams, which Python has no objects for, is refused by name."""

import ctypes
import struct
import subprocess
from pathlib import Path

import pytest

from shmstore import AbiMismatch, _core
from tests.core.conftest import CC, CORE, FLAGS

STREAMS = 2  # the number of the kind
OPTIONS = struct.Struct("=Q5I2H")  # capacity, rings, data bytes, logs, streams, processes, fields, kind
TOTAL_BYTES = struct.Struct("=40xQ")  # in a header


@pytest.fixture
def segment(tmp_path: Path) -> bytearray:
    library = tmp_path / "layout.so"
    subprocess.run([*CC, *FLAGS, "-shared", "-fPIC", CORE / "base" / "layout.c", "-o", library], check=True)
    layout = ctypes.CDLL(str(library))
    options = OPTIONS.pack(100, 0, 64, 1, 10, 4, 0, STREAMS)
    geometry, why = ctypes.create_string_buffer(1 << 16), ctypes.create_string_buffer(1 << 10)
    assert layout.layout_plan(options, None, geometry, why) == 0, why.raw[4:]
    header = ctypes.create_string_buffer(1 << 13)
    layout.layout_format(header, geometry, None, bytes(range(16)), ctypes.c_int64(1))
    (total,) = TOTAL_BYTES.unpack_from(header.raw)
    return bytearray(header.raw.ljust(total, b"\0")[:total])


def test_a_segment_of_streams_is_refused_by_name(segment: bytearray) -> None:
    with pytest.raises(AbiMismatch, match="holds streams"):
        _core.read_header(segment)
    with pytest.raises(AbiMismatch, match="holds streams"):
        _core.Store(segment, fd=-1, path="", writable=False, describe=lambda: (1, 1, 1, "test"))
