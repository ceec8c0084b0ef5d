"""Writes a drawing as a PNG file (W3C, "Portable Network Graphics", third edition), one pixel a point."""

import struct
import zlib
from itertools import pairwise

from shmstore.cli.charts.drawing import LIGHT, Drawing, Line, Rectangle, Text
from shmstore.cli.charts.raster import Color, Raster

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOR = 2


def png(drawing: Drawing) -> bytes:
    """The bytes of the file: 8 bits a channel, on light paper."""
    raster = _rasterized(drawing)
    stride = 3 * raster.width
    # Each row begins with its filter: 0 means none.
    rows = b"".join(b"\0" + raster.pixels[at : at + stride] for at in range(0, len(raster.pixels), stride))
    header = struct.pack(">IIBBBBB", raster.width, raster.height, 8, _TRUECOLOR, 0, 0, 0)
    title = b"Title\0\0\0\0\0" + drawing.title.encode("utf-8", "replace")
    chunks = ((b"IHDR", header), (b"iTXt", title), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def _rasterized(drawing: Drawing) -> Raster:
    raster = Raster(drawing.width, drawing.height, _rgb("paper"))
    for shape in drawing.shapes:
        match shape:
            case Line(points, color, width):
                raster.stroke(((*start, *end) for start, end in pairwise(points)), width, _rgb(color))
            case Rectangle(x, y, width, height, color):
                raster.fill(x, y, width, height, _rgb(color))
            case Text(_, y, text, color, size):
                raster.write(shape.left, y, text, size, _rgb(color))
    return raster


def _rgb(color: str) -> Color:
    red, green, blue = bytes.fromhex(LIGHT[color][1:])
    return red, green, blue


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
