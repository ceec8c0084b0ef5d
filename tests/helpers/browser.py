"""A real browser without a screen, which tests share, and pages of it that note whatever goes wrong in them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, Request, sync_playwright

from tests.helpers import programs

LIMIT_MS = 15_000
# Root has no sandbox; /dev/shm is for the tests; and nothing is fetched that no page asks for.
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run"]


@contextmanager
def running() -> Iterator[Browser]:
    """The browser, until the end of the block."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=programs.path("chromium"), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Look:
    """One page, in a window of its own, of a dashboard."""

    def __init__(self, browser: Browser, port: int, view: str = "", **options: Any) -> None:
        self.wrong: list[str] = []
        self.requests: list[Request] = []
        self.origin = f"http://127.0.0.1:{port}"
        self._context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, **options})
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(LIMIT_MS)
        self.page.on("console", lambda told: self.wrong.append(f"{told.type}: {told.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.goto(f"{self.origin}/{view}")

    def __enter__(self) -> "Look":
        return self

    def __exit__(self, *_error: object) -> None:
        self._context.close()

    def text(self, selector: str) -> str:
        """What people read there, in one line."""
        return " ".join(self.page.locator(selector).first.inner_text().split())

    def until(self, is_so: Callable[[], bool], what: str = "") -> None:
        """Wait until it is so."""
        for _ in range(LIMIT_MS // 50):
            if is_so():
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"not so: {what}; the page says: {self.text('body')[:2000]}")

    def reads(self, selector: str, *parts: str) -> None:
        """Wait until all of this is to be read there."""

        def found() -> bool:
            place = self.page.locator(selector).first
            text = self.text(selector) if place.count() and place.is_visible() else ""
            return all(part in text for part in parts)

        self.until(found, f"{selector} reads {parts}")

    def row(self, table: str, name: str) -> list[str]:
        """The cells of the row with this name, once it is there."""
        row = self.page.locator(f"{table} tbody tr", has=self.page.get_by_text(name, exact=True)).first
        row.wait_for()
        return [" ".join(cell.split()) for cell in row.locator("th, td").all_inner_texts()]
