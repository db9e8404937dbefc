"""A real browser for the tests of the console, and what every page of it must keep to."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.imagestack import API_KEY, ImageStack, image_stack
from tests.servers import program

SECRET = "s" * 40

FLAGS = (
    # As root, in a container, there is no sandbox; the pages are our own.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # Chromium's own questions to its makers.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)

PHONE = {"width": 375, "height": 667}

ANSWER_MS = 15_000
"""For which a page may keep a test waiting, milliseconds; the machine may be busy."""

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    """A stack for the console; pictures of the domain `closed` are seen by signed URLs alone."""
    rules = {"SIGNING": "closed=enforce, *=off", "SIGNING_KEYS": f"k1={SECRET}"}
    with image_stack(tmp_path_factory.mktemp("console"), **rules) as running:
        yield running


@pytest.fixture
def store_closed(stack: ImageStack) -> Iterator[Callable[[bytes, str], int]]:
    """Stores a picture of the domain `closed` under a name, and gives its id. It goes with the test: a
    gallery of all domains is refused its thumbnail once, and the browser writes an error."""
    ids: list[int] = []

    def store(body: bytes, dkey: str) -> int:
        ids.append(stack.upload(body, "closed", dkey)["id"])
        return ids[-1]

    yield store
    for each in ids:
        stack.writer.delete(f"/v1/images/{each}").raise_for_status()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    expect.set_options(timeout=ANSWER_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program("chromium"), args=list(FLAGS))
        yield running
        running.close()


class Watch:
    """What a page must not do: ask another origin, break its policy, or write errors."""

    def __init__(self, page: Page, origin: str) -> None:
        self._origin = origin
        self.faults: list[str] = []
        self.refused: list[int] = []
        """Statuses from 400 on that a test expects; the browser writes an error for each."""
        page.on("request", self._on_request)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.faults.append(f"{error.name}: {error.message}"))

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("blob", "data") and f"{parts.scheme}://{parts.netloc}" != self._origin:
            self.faults.append(f"asked {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        expected = any(f"status of {status} " in message.text for status in self.refused)
        if message.type in ("error", "warning") and not expected:
            self.faults.append(f"{message.type}: {message.text}")


@pytest.fixture
def open_console(browser: Browser, stack: ImageStack) -> Iterator[Open]:
    """Opens a route of the console in a window of its own, logged in unless `key` is empty.

    Whatever the test does, no page may have asked another origin, broken its policy or written an error,
    but for the statuses in `refused`.
    """
    watched: list[tuple[BrowserContext, Watch]] = []

    def open_route(
        route: str = "", *, key: str = API_KEY, refused: tuple[int, ...] = (), **options: object
    ) -> Page:
        context = browser.new_context(base_url=stack.address, **options)  # type: ignore[arg-type]
        context.set_default_timeout(ANSWER_MS)
        page = context.new_page()
        watch = Watch(page, stack.address)
        watch.refused += refused
        watched.append((context, watch))
        if key:
            page.add_init_script(f"sessionStorage.setItem('imagestore.key', '{key}')")
        page.goto(f"/console/{route}")
        return page

    yield open_route

    for context, watch in watched:
        context.close()
        assert watch.faults == []


@pytest.fixture
def picture_files(tmp_path: Path) -> Path:
    """A folder for files to choose."""
    folder = tmp_path / "chosen"
    folder.mkdir()
    return folder
