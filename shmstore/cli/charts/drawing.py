"""A drawing: lines, rectangles and texts in points, from which files of every format are made.

The origin is the top left corner; x grows to the right, y grows downwards. Colours are named by what they are for, so
that a drawing can be shown on light and on dark paper.
"""

from typing import NamedTuple

LETTER_WIDTH = 0.6
"""Of a text's size: what one letter of a monospaced font takes, so that a layout knows the width of a text."""

SERIES_COLORS = 8
"""How many colours there are to tell series apart: `series_color(0)` and on."""

# The colours of the series are those of Okabe and Ito, "Color Universal Design" (2008), which the colour-blind tell
# apart too, with gray for their black; the light ones are darker on light paper.
LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "faint": "#656d76",
    "grid": "#dfe3e8",
    "series-0": "#0072b2",
    "series-1": "#d55e00",
    "series-2": "#009e73",
    "series-3": "#b0558f",
    "series-4": "#c98500",
    "series-5": "#3a9fd6",
    "series-6": "#737b84",
    "series-7": "#a39b00",
}
DARK = {
    "paper": "#0d1117",
    "ink": "#e6edf3",
    "faint": "#9198a1",
    "grid": "#2a3038",
    "series-0": "#4ba3e3",
    "series-1": "#f0803c",
    "series-2": "#2fc79a",
    "series-3": "#e08cc0",
    "series-4": "#e69f00",
    "series-5": "#8fd0f5",
    "series-6": "#a0a8b1",
    "series-7": "#f0e442",
}


class Line(NamedTuple):
    """A line through points, with round ends; through one point twice it is a dot."""

    points: tuple[tuple[float, float], ...]
    color: str
    width: float


class Rectangle(NamedTuple):
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    color: str


class Text(NamedTuple):
    """One line of text on the baseline y; x is its start, middle or end, as `anchor` says."""

    x: float
    y: float
    text: str
    color: str
    size: float
    anchor: str = "start"

    @property
    def left(self) -> float:
        """Where its first letter begins."""
        return self.x - text_width(self.text, self.size) * {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor]


Shape = Line | Rectangle | Text


class Drawing(NamedTuple):
    """Shapes on paper; later ones cover earlier ones. `title` says what is drawn to anyone who cannot see it."""

    width: int
    height: int
    title: str
    shapes: tuple[Shape, ...]


def series_color(number: int) -> str:
    """The colour of a series; they repeat after SERIES_COLORS."""
    return f"series-{number % SERIES_COLORS}"


def text_width(text: str, size: float) -> float:
    """The width of a text in points."""
    return len(text) * size * LETTER_WIDTH


def clipped(text: str, letters: int) -> str:
    """The text, or what fits of it with an ellipsis."""
    return text if len(text) <= letters else text[: max(letters - 1, 0)] + "…"
