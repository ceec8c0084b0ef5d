"""A picture of pixels on which lines, rectangles and letters are drawn with smooth edges."""

import math
from collections.abc import Iterable

from shmstore.cli.charts.font import ADVANCE, strokes

Segment = tuple[float, float, float, float]
"""A straight line from (x, y) to (x, y)."""

Color = tuple[int, int, int]
"""Red, green and blue, each from 0 to 255."""

_DOTS_AN_EM = 10  # five dots and their space are 0.6 of a text's size, as in `drawing.LETTER_WIDTH`
_PEN = 1.1  # dots: how thick letters are


class Raster:
    """Pixels of three bytes each, row by row in `pixels`. What is drawn outside is cut off."""

    def __init__(self, width: int, height: int, paper: Color) -> None:
        self.width = width
        self.height = height
        self.pixels = bytearray(bytes(paper) * (width * height))

    def fill(self, x: float, y: float, width: float, height: float, color: Color) -> None:
        """Draw a filled rectangle; a pixel that it covers in part is mixed."""
        columns = _shares(x, x + width, self.width)
        for row, down in _shares(y, y + height, self.height):
            for column, across in columns:
                self._mix(row * self.width + column, color, down * across)

    def stroke(self, segments: Iterable[Segment], width: float, color: Color) -> None:
        """Draw segments with round ends as one line: where they meet or cross it is no darker than elsewhere."""
        covered: dict[int, float] = {}
        for segment in segments:
            self._cover(covered, segment, width / 2 + 0.5)
        for place, share in covered.items():
            self._mix(place, color, share)

    def write(self, x: float, y: float, text: str, size: float, color: Color) -> None:
        """Draw a text that begins at x on the baseline y."""
        dot = size / _DOTS_AN_EM
        self.stroke(
            (
                (x + (at + x0) * dot, y + (y0 - 0.5) * dot, x + (at + x1) * dot, y + (y1 - 0.5) * dot)
                for at, character in zip(range(1, len(text) * ADVANCE, ADVANCE), text, strict=True)
                for x0, y0, x1, y1 in strokes(character)
            ),
            _PEN * dot,
            color,
        )

    def _cover(self, covered: dict[int, float], segment: Segment, reach: float) -> None:
        """Note how much of each pixel a segment covers: all of it inside, less and less within a pixel of its edge."""
        x0, y0, x1, y1 = segment
        across, down = x1 - x0, y1 - y0
        length = math.hypot(across, down)
        right, below = (across / length, down / length) if length else (1.0, 0.0)
        for row in range(max(0, int(min(y0, y1) - reach)), min(self.height, math.ceil(max(y0, y1) + reach))):
            y = row + 0.5 - y0
            near, far = (0.0, 1.0) if length else (0.0, 0.0)  # the part of the segment that this row can be close to
            if down:
                near, far = sorted(min(1.0, max(0.0, (y + side) / down)) for side in (-reach, reach))
            start, end = sorted((x0 + near * across, x0 + far * across))
            for column in range(max(0, int(start - reach)), min(self.width, math.ceil(end + reach))):
                x = column + 0.5 - x0
                along = x * right + y * below
                if 0.0 <= along <= length:
                    share = reach - abs(x * below - y * right)
                else:
                    share = reach - (math.hypot(x, y) if along < 0.0 else math.hypot(x - across, y - down))
                if share > 0.0:
                    place = row * self.width + column
                    if share > covered.get(place, 0.0):
                        covered[place] = share if share < 1.0 else 1.0

    def _mix(self, place: int, color: Color, share: float) -> None:
        at = place * 3
        if share == 1.0:
            self.pixels[at : at + 3] = bytes(color)
        else:
            old = self.pixels[at : at + 3]
            self.pixels[at : at + 3] = bytes(round(a + (b - a) * share) for a, b in zip(old, color, strict=True))


def _shares(start: float, end: float, limit: int) -> list[tuple[int, float]]:
    """The cells from 0 to `limit` that [start, end) touches, each with the share of it that lies within."""
    cells = range(max(0, math.floor(start)), min(limit, math.ceil(end)))
    return [(cell, min(end, cell + 1) - max(start, cell)) for cell in cells]
