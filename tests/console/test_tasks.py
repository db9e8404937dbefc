"""Tasks in the console: hand URLs in, see each end with its reason, try again."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Open
from tests.imagestack import ImageStack, image_stack
from tests.origin import Origin, answer, origin
from tests.pictures import photo
from tests.servers import ROOT, wait_until

PICTURE = photo(120, 80, seed=301)


@pytest.fixture(scope="module")
def web() -> Iterator[Origin]:
    """What is downloaded from."""
    with origin() as server:
        server.paths["/good.jpg"] = answer(body=PICTURE)
        server.paths["/typed.jpg"] = answer(body=PICTURE)
        server.paths["/named.jpg"] = answer(body=photo(90, 60, seed=302))
        server.paths["/cut.jpg"] = answer(body=photo(400, 300, seed=303)[:-4000])
        server.paths["/text.jpg"] = answer(body=b"<html>no picture</html>")
        yield server


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, web: Origin) -> Iterator[ImageStack]:
    """A stack of this module's own, which may fetch from `web`."""
    folder = tmp_path_factory.mktemp("console-tasks")
    with image_stack(
        folder, FETCH_ALLOW=web.service, FETCH_RATE_PER_HOST="1000", WORKER_PROCESSES="2"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def worker(stack: ImageStack) -> Iterator[None]:
    """Works on the tasks of `stack`."""
    with (stack.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **stack.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(lambda: stack.writer.get("/overview").json()["queues"]["workers"] > 0, what="a worker")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=40)


def submit(page: Page, *lines: str, domain: str) -> None:
    page.get_by_label("URLs of pictures").fill("\n".join(lines))
    page.get_by_label("Into domain").fill(domain)
    page.get_by_role("button", name=re.compile("^Fetch")).click()


def row(page: Page, url: str) -> Locator:
    return page.locator("table.tasks tbody tr").filter(has_text=url)


def test_flags_change_live_and_end_with_their_reasons(
    open_console: Open, worker: None, web: Origin, stack: ImageStack
) -> None:
    page = open_console("#/tasks")
    urls = {name: web.url(f"/{name}.jpg") for name in ("good", "named", "cut", "text", "gone")}
    named = f'{{"url": "{urls["named"]}", "dkey": "a/named.jpg", "metadata": {{"artist": "Ada"}}}}'
    lines = [urls["good"], "", "ftp://example.org/a.jpg", named, "{broken", urls["cut"], urls["text"]]

    submit(page, *lines, urls["gone"], domain="crawl")

    expect(page.get_by_role("status")).to_have_text("5 tasks taken.")
    refused = page.get_by_role("alert").get_by_role("listitem")
    expect(refused).to_have_count(2)
    expect(refused.nth(0)).to_contain_text("ftp://example.org/a.jpg")
    expect(refused.nth(0)).to_contain_text("Line 3 · invalid-url")
    expect(refused.nth(1)).to_contain_text("The line is not valid JSON (RFC 8259).")
    # To be mended.
    expect(page.get_by_label("URLs of pictures")).to_have_value("ftp://example.org/a.jpg\n{broken")
    expect(row(page, urls["good"])).to_contain_text("Succeeded")
    expect(row(page, urls["named"]).get_by_role("link", name="crawl/a/named.jpg")).to_be_visible()
    expect(row(page, urls["cut"])).to_contain_text(
        "The picture is cut short; what is there of it was stored."
    )
    expect(row(page, urls["cut"])).to_contain_text("Warning")
    expect(row(page, urls["gone"])).to_contain_text("Origin answered 404 Not Found.")
    expect(row(page, urls["text"])).to_contain_text("The first bytes are of no known format")
    expect(page.get_by_role("link", name="Failed 2")).to_be_visible()
    stored = stack.http.get("/image/info?domain=crawl&dkey=a/named.jpg").json()
    assert stored["user_metadata"] == {"artist": "Ada"}

    page.get_by_role("link", name="Failed 2").click()
    page.get_by_label("Reason").select_option("http-404")
    expect(page.locator("table.tasks tbody tr")).to_have_count(1)
    row(page, urls["gone"]).get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Task "))
    expect(page.get_by_role("definition").first).to_have_text("Origin answered 404 Not Found. http-404")


def test_failed_tasks_are_tried_again_alone_and_together(
    open_console: Open, worker: None, web: Origin
) -> None:
    page = open_console("#/tasks?domain=again")
    urls = [web.url(f"/later-{number}.jpg") for number in range(3)]
    submit(page, *urls, domain="again")
    expect(page.get_by_text("Origin answered 404 Not Found.")).to_have_count(3)

    for number, url in enumerate(urls):
        web.paths[url.removeprefix(web.url(""))] = answer(body=photo(50, 40, seed=310 + number))
    row(page, urls[0]).get_by_role("button", name="Retry").click()
    expect(row(page, urls[0])).to_contain_text("Succeeded")
    expect(row(page, urls[1])).to_contain_text("Failed")

    page.get_by_role("link", name="Failed 2").click()
    page.get_by_label("Reason").select_option("http-404")
    page.get_by_role("button", name="Retry all 2 with http-404").click()
    page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    expect(page.get_by_role("link", name="Succeeded 3")).to_be_visible()
    expect(page.get_by_text("No task is like that.")).to_be_visible()


def test_the_page_is_used_by_keyboard_on_a_phone(open_console: Open, worker: None, web: Origin) -> None:
    page = open_console("#/tasks", viewport={"width": 375, "height": 667})
    page.get_by_label("URLs of pictures").focus()
    page.keyboard.type(web.url("/typed.jpg"))
    while not page.evaluate("document.activeElement.textContent").startswith("Fetch"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_have_text("1 task taken.")
    expect(row(page, "/typed.jpg")).to_contain_text("Succeeded")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
