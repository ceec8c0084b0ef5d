"""Writes a drawing as an SVG file that needs nothing else, on light or dark paper as its reader prefers."""

from collections.abc import Iterator

from shmstore.cli.charts.drawing import DARK, LIGHT, Drawing, Line, Rectangle, Shape, Text

_FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def svg(drawing: Drawing) -> str:
    """The text of the file. Its colours are the light ones; a reader that knows CSS may prefer the dark ones."""
    size = f'width="{drawing.width}" height="{drawing.height}" viewBox="0 0 {drawing.width} {drawing.height}"'
    paper = Rectangle(0, 0, drawing.width, drawing.height, "paper")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{_escaped(drawing.title)}</title>",
        "<style>",
        f"text {{ font-family: {_FONT}; white-space: pre }}",
        "polyline { fill: none; stroke-linecap: round; stroke-linejoin: round }",
        "@media (prefers-color-scheme: dark) {",
        *_dark_colors(sorted({shape.color for shape in (paper, *drawing.shapes)})),
        "}",
        "</style>",
        *map(_element, (paper, *drawing.shapes)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _dark_colors(names: list[str]) -> Iterator[str]:
    for name in names:
        yield f"  .{name} {{ fill: {DARK[name]} }}"
        yield f"  polyline.{name} {{ fill: none; stroke: {DARK[name]} }}"


def _element(shape: Shape) -> str:
    name, value = shape.color, LIGHT[shape.color]
    match shape:
        case Line(points, _, width):
            places = " ".join(f"{_number(x)},{_number(y)}" for x, y in points)
            return f'<polyline class="{name}" points="{places}" stroke="{value}" stroke-width="{_number(width)}"/>'
        case Rectangle(x, y, width, height):
            place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(width)}" height="{_number(height)}"'
            return f'<rect class="{name}" {place} fill="{value}"/>'
        case Text(x, y, text, _, size, anchor):
            place = f'x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" text-anchor="{anchor}"'
            return f'<text class="{name}" {place} fill="{value}">{_escaped(text)}</text>'


def _escaped(text: str) -> str:
    """Text as XML writes it between tags; the functions of the library that do this load all of HTML or HTTP."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _number(value: float) -> str:
    """At most two decimals, which no eye misses."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
