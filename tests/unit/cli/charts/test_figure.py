"""Charts as files: the layout has what the chart has, and the SVG and the PNG both show the layout."""

import math
import re
import struct
import time
import zlib
from collections.abc import Iterator
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from shmstore.cli.charts.drawing import (
    DARK,
    LIGHT,
    SERIES_COLORS,
    Drawing,
    Line,
    Rectangle,
    Text,
    series_color,
    text_width,
)
from shmstore.cli.charts.figure import LEAST_HEIGHT, LEAST_WIDTH, bar_chart, line_chart
from shmstore.cli.charts.font import strokes
from shmstore.cli.charts.png import png
from shmstore.cli.charts.svg import svg
from shmstore.cli.charts.terminal import Bar, Series
from shmstore.errors import InvalidOption

START_NS = 1_741_170_000 * 10**9  # 2025-03-05T10:20:00Z
SVG = "{http://www.w3.org/2000/svg}"
Pixel = tuple[int, int, int]


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def series(label: str, *values: float | None) -> Series:
    return Series(label, tuple((START_NS + second * 10**9, value) for second, value in enumerate(values)))


def texts(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Text) and shape.text]


def curves(drawing: Drawing, number: int) -> list[Line]:
    return [shape for shape in drawing.shapes if isinstance(shape, Line) and shape.color == series_color(number)]


def decoded(data: bytes) -> list[list[Pixel]]:
    """The pixels of a PNG such as this package writes: truecolor, 8 bits, rows without a filter."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"iTXt", b"IDAT", b"IEND"] and at == len(data)
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    rows = zlib.decompress(chunks[b"IDAT"])
    stride = 1 + 3 * width
    assert len(rows) == height * stride and not any(rows[::stride])
    lines = (rows[y * stride + 1 : (y + 1) * stride] for y in range(height))
    return [[(line[x], line[x + 1], line[x + 2]) for x in range(0, 3 * width, 3)] for line in lines]


def rgb(color: str) -> Pixel:
    red, green, blue = bytes.fromhex(LIGHT[color][1:])
    return red, green, blue


def distance(pixel: Pixel, color: str) -> int:
    return sum(abs(a - b) for a, b in zip(pixel, rgb(color), strict=True))


def bounds(picture: list[list[Pixel]], color: str) -> tuple[int, int, int, int]:
    """The columns and rows, ends included, between which there are pixels of exactly this colour."""
    places = [(x, y) for y, row in enumerate(picture) for x, pixel in enumerate(row) if pixel == rgb(color)]
    across, down = zip(*places, strict=True)
    return min(across), min(down), max(across), max(down)


# -- layout


def test_a_line_chart_has_title_legend_and_axes() -> None:
    drawing = line_chart("orders", "mean of value", [series("gw-1", 0, 50, 97), series("gw-2", 5, 6, 7)], 640, 300)
    values = ["0", "50", "100"]
    moments = ["10:20:00.0", "10:20:00.5", "10:20:01.0", "10:20:01.5", "10:20:02.0"]
    assert texts(drawing) == ["orders", "mean of value", "gw-1", "gw-2", *values, *moments]


def test_a_legend_that_leaves_no_room_is_told() -> None:
    many = [series(f"a rather long label {number}", 1, 2) for number in range(8)]
    with pytest.raises(InvalidOption, match=r"8 series .* height"):
        line_chart("orders", "", many, LEAST_WIDTH, LEAST_HEIGHT)


def test_one_series_needs_no_legend() -> None:
    assert "gw-1" not in texts(line_chart("orders", "", [series("gw-1", 1, 2)], 640, 300))


def test_a_line_is_broken_where_there_is_no_value() -> None:
    drawing = line_chart("", "", [series("", 1, 2, None, 3, math.nan, 5, 6, 7)], 640, 300)
    whole, dot, rest = curves(drawing, 0)
    assert (len(whole.points), len(rest.points)) == (2, 3)
    assert len(set(dot.points)) == 1 and dot.width > whole.width, "a value between two gaps is a dot"
    assert whole.points[0][0] < whole.points[1][0] < dot.points[0][0] < rest.points[0][0]
    assert [y for _, y in rest.points] == sorted((y for _, y in rest.points), reverse=True), "greater is higher"


def test_bars_begin_at_0_and_are_as_long_as_their_values() -> None:
    drawing = bar_chart("orders", "", [Bar("a", 30.0), Bar("b", -15.0), Bar("c", None)], 640, 300)
    a, b, c = (shape for shape in drawing.shapes if isinstance(shape, Rectangle))
    assert a.x == pytest.approx(b.x + b.width) and a.width == pytest.approx(2 * b.width) and c.width == 0
    assert {"a", "b", "c", "30", "-15", "-"} <= set(texts(drawing))


@pytest.mark.parametrize("count", [0, 1, 2, 8, 40])
@pytest.mark.parametrize(("width", "height"), [(LEAST_WIDTH, LEAST_HEIGHT), (960, 480), (300, 1000)])
def test_nothing_lies_outside_of_the_paper(count: int, width: int, height: int) -> None:
    values = [None if number % 7 == 3 else (-1) ** number * 10.0**number for number in range(40)]
    group = [series(f"group {number} " + "x" * number, *values) for number in range(count)]
    bars = [Bar(each.label, value) for each, value in zip(group, values, strict=False)]
    few = group[:2] if height == LEAST_HEIGHT else group[:8]
    title = "a title that is much too long for any paper" * 9
    for drawing in (line_chart(title, "note", few, width, height), bar_chart(title, "", bars, width, height)):
        for shape in drawing.shapes:
            match shape:
                case Line(points):
                    assert all(0 <= x <= width and 0 <= y <= height for x, y in points), shape
                case Rectangle(x, y, across, down):
                    assert x >= 0 and y >= 0 and x + across <= width and y + down <= height, shape
                case Text(_, y, text, _, size):
                    assert shape.left >= 0 and shape.left + text_width(text, size) <= width, shape
                    assert size * 0.7 <= y <= height - size * 0.2, shape


# -- files


def test_svg_is_xml_that_needs_nothing_else() -> None:
    hostile = "</text><script>alert(1)</script>&\x1b[2J\x00\ud800"
    text = svg(line_chart(hostile, hostile, [series(hostile, 1, 2), series("b", 2, None)], 640, 300))
    root = ElementTree.fromstring(text.encode("utf-8"))
    assert (root.tag, root.get("viewBox"), root.get("width")) == (f"{SVG}svg", "0 0 640 300", "640")
    assert {element.tag for element in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "title", "style", "rect", "text", "polyline")
    }
    assert not re.search(r"href|url\(|@import|src=", text)
    title = root.find(f"{SVG}title")
    assert title is not None and title.text == "</text><script>alert(1)</script>&\\x1b[2J\\x00\\ud800"


def test_svg_has_dark_colours_for_all_that_it_draws() -> None:
    root = ElementTree.fromstring(svg(line_chart("t", "n", [series("a", 1, 2), series("b", 2, 1)], 640, 300)))
    style = root.find(f"{SVG}style")
    assert style is not None and style.text is not None
    dark = style.text.partition("prefers-color-scheme: dark")[2]
    for element in root.iter():
        if name := element.get("class"):
            assert LIGHT[name] in (element.get("fill"), element.get("stroke"))
            assert f".{name} {{ fill: {DARK[name]} }}" in dark


def test_light_and_dark_have_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys() and len({*LIGHT.values()}) == len(LIGHT)
    assert {series_color(number) for number in range(20)} == {f"series-{number}" for number in range(SERIES_COLORS)}


def test_svg_and_png_show_every_shape_where_the_drawing_has_it() -> None:
    rectangle, line = Rectangle(10, 20, 30, 5, "series-1"), Line(((50.5, 10.5), (50.5, 40.5)), "series-2", 3)
    text = Text(90, 40, "HI", "ink", 20, "middle")
    drawing = Drawing(120, 60, "shapes", (rectangle, line, text))
    picture = decoded(png(drawing))
    assert (len(picture), len(picture[0]), picture[0][0]) == (60, 120, rgb("paper"))
    assert bounds(picture, "series-1") == (10, 20, 39, 24)
    assert bounds(picture, "series-2") == (49, 9, 51, 41), "its ends are round"
    left, top, right, bottom = bounds(picture, "ink")
    assert 78 <= left <= 82 and 96 <= right <= 100 and 24 <= top <= 28 and 38 <= bottom <= 40
    elements = list(ElementTree.fromstring(svg(drawing)))[3:]
    assert [element.get(name) for element, name in zip(elements, ("x", "points", "x"), strict=True)] == [
        "10",
        "50.5,10.5 50.5,40.5",
        "90",
    ]
    assert elements[2].text == "HI" and elements[2].get("text-anchor") == "middle"


def test_png_shows_a_chart() -> None:
    drawing = line_chart("orders", "", [series("a", *[1.0] * 30), series("b", *[3.0] * 30)], 640, 300)
    picture = decoded(png(drawing))
    (curve,) = curves(drawing, 1)
    left, right, y = curve.points[0][0], curve.points[-1][0], int(curve.points[0][1])
    for x in range(int(left), int(right)):
        column = [row[x] for row in picture[y - 3 : y + 4]]
        assert min(column, key=lambda pixel: distance(pixel, "series-1")) == column[3], "a constant is a straight line"
    assert distance(picture[y][int(right) + 3], "paper") == distance(picture[y - 5][300], "paper") == 0


def test_edges_are_smooth_and_a_line_is_nowhere_darker_than_its_colour() -> None:
    zigzag = tuple((x, 10.0 + x % 2 * 20) for x in range(5, 60))
    picture = decoded(png(Drawing(64, 40, "", (Line(zigzag, "ink", 1.5), Line(((3, 35), (60, 38)), "ink", 1)))))
    shades = sorted({pixel for row in picture for pixel in row})
    assert shades[0] == rgb("ink") and shades[-1] == rgb("paper") and len(shades) > 10


def test_what_lies_outside_is_cut_off() -> None:
    shapes = (
        Line(((-50, -50), (200, 90)), "ink", 4),
        Rectangle(-5, -5, 8, 8, "series-0"),
        Text(-20, 39, "cut", "ink", 20),
    )
    picture = decoded(png(Drawing(40, 30, "", shapes)))
    assert (len(picture), len(picture[0])) == (30, 40) and bounds(picture, "series-0") == (0, 0, 2, 2)


# -- the font


def test_every_printable_character_of_ascii_has_a_shape_of_its_own() -> None:
    shapes = {strokes(chr(code)) for code in range(33, 127)}
    assert len(shapes) == 94 and strokes("□") not in shapes and strokes(" ") == ()
    for shape in shapes:
        assert all(0 <= x <= 4 and -6 <= y <= 2 for x0, y0, x1, y1 in shape for x, y in ((x0, y0), (x1, y1)))


def test_letters_are_strokes() -> None:
    assert set(strokes("L")) == {(0, -6, 0, 0), (0, 0, 4, 0)}
    assert set(strokes("/")) == {(0, -1, 0, 0), (0, -1, 4, -5), (4, -6, 4, -5)}
    assert strokes(":") == ((2, -4, 2, -4), (2, -1, 2, -1))
    crosses = [stroke for stroke in strokes("X") if stroke[0] != stroke[2]]
    assert all(abs(x1 - x0) == abs(y1 - y0) for x0, y0, x1, y1 in crosses) and len(crosses) == 2


def test_an_unknown_character_is_a_box_or_loses_its_accent() -> None:
    assert strokes("é") == strokes("e") and strokes("漢") == strokes("□") == strokes("\x00")
    assert all(a != b for a, b in pairwise(map(strokes, "…–□")))
