"""The files of the page: what a browser is told of them, and that they are few and small."""

import re

import pytest

from shmstore.http.dashboard.files import FILES
from tests.helpers.asked import Ask

MOST_BYTES = 60_000
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@pytest.mark.parametrize("path", FILES)
def test_a_file_is_fetched_once_and_then_only_when_it_is_another(ask: Ask, path: str) -> None:
    first = ask("GET", path)
    assert first.status == 200 and first.body
    assert first.headers["Content-Type"].startswith(TYPES[FILES[path].rpartition(".")[2]])
    assert first.headers["Cache-Control"] == "no-cache" and first.headers["X-Content-Type-Options"] == "nosniff"
    for known in (first.headers["ETag"], f'"other", W/{first.headers["ETag"]}', "*"):
        again = ask("GET", path, if_none_match=known)
        assert (again.status, again.body) == (304, b"") and again.headers["ETag"] == first.headers["ETag"]
    assert ask("GET", path, if_none_match='"other"').status == 200
    assert ask("HEAD", path).body == b""
    assert ask("POST", path).status == 405


def test_the_page_may_load_and_run_what_comes_from_here_alone(ask: Ask) -> None:
    policy = dict(each.split(" ", 1) for each in ask("GET", "/").headers["Content-Security-Policy"].split("; "))
    ours = dict.fromkeys(("script-src", "style-src", "img-src", "connect-src"), "'self'")
    none = dict.fromkeys(("default-src", "frame-ancestors", "base-uri", "form-action"), "'none'")
    assert policy == {**ours, **none}
    assert ask("GET", "/health").headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_nothing_in_the_page_makes_markup_of_texts_or_breaks_its_policy(ask: Ask) -> None:
    texts = {path: ask("GET", path).body.decode() for path in FILES}
    for path, text in texts.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|new Function", text), path
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
    assert not re.search(
        r"<style|\sstyle=|\son\w+=|<script(?! type=\"module\" src=\"/dashboard.js\"></script>)", texts["/"]
    )


def test_the_page_is_small(ask: Ask) -> None:
    assert sum(len(ask("GET", path).body) for path in FILES) <= MOST_BYTES


def luminance(color: str) -> float:
    """As WCAG 2.2 defines it."""
    full = color * 2 if len(color) == 3 else color
    parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_can_be_told_from_their_ground(ask: Ask, scheme: int) -> None:
    css = ask("GET", "/dashboard.css").body.decode()
    rules = re.findall(r":root \{(.*?)\}", css, re.S)
    colors = dict(re.findall(r"--(\w+): #([0-9a-f]{3,6});", rules[scheme]))
    for text in ("ink", "soft", "accent", "good", "warning", "bad"):
        for ground in ("ground", "panel", "hover"):
            low, high = sorted(luminance(colors[each]) for each in (text, ground))
            contrast = (high + 0.05) / (low + 0.05)
            assert contrast >= 4.5, (text, ground, contrast)
