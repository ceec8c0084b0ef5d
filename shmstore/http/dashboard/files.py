"""The files of the page, as they lie beside this module, and when a browser must fetch them again."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from shmstore.http.message import Answer, Request

_FOLDER: Final = Path(__file__).with_name("page")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_SCRIPTS: Final = "chart health lists live metrics overview records streams tables view words"
FILES: Final = {
    "/": "page.html",
    "/dashboard.css": "page.css",
    "/dashboard.js": "page.js",
    "/dashboard.svg": "page.svg",
    **{f"/dashboard/{name}.js": f"{name}.js" for name in _SCRIPTS.split()},
}
"""The file at each path."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


def content_type_of(name: str) -> str:
    """What a file is, for a browser."""
    return _TYPES[Path(name).suffix]


def answer_with_file(request: Request) -> Answer:
    """`GET` of a file of the page: 304 where the browser has it."""
    content, content_type, tag = _read(FILES[request.path])
    headers = (("ETag", tag), ("Cache-Control", "no-cache"), ("Content-Security-Policy", _POLICY))
    if request.knows(tag):
        return Answer(304, headers=headers)
    return Answer(200, content, content_type, headers)


@cache
def _read(name: str) -> tuple[bytes, str, str]:
    content = (_FOLDER / name).read_bytes()
    return content, content_type_of(name), f'"{sha256(content).hexdigest()[:16]}"'
