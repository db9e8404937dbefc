"""The gallery: search, and a grid of thousands."""

import re
import sqlite3
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.conftest import Open
from tests.imagestack import ImageStack
from tests.pictures import animation, encode, opened, photo, plain

MANY = 3_000


@pytest.fixture(scope="module")
def many(stack: ImageStack) -> None:
    """A domain of thousands of pictures, all of one original; written into the table itself."""
    stack.upload(photo(60, 40, seed=3), "many", "picture-0000.jpg")
    columns = "user_metadata, image_metadata, md5sum, sha256, format, width, height, size, rev, content_time"
    columns += ", create_time, update_time"
    with sqlite3.connect(stack.folder / "data" / "imagestore.db", timeout=30) as database:
        database.execute(
            "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)"
            f" INSERT INTO image_info (domain, dkey, {columns}) SELECT domain,"
            f" CAST('picture-' || substr('000' || n, -4) AS BLOB), {columns}"
            " FROM image_info, number WHERE dkey = CAST('picture-0000.jpg' AS BLOB)",
            [MANY - 1],
        )
    database.close()


def cells(page: Page) -> int:
    return int(page.evaluate("document.querySelectorAll('.grid-cells li').length"))


def test_thousands_of_pictures_take_few_nodes(open_console: Open, many: None) -> None:
    page = open_console("#/gallery?domain=many", viewport={"width": 1280, "height": 800})
    page.get_by_text("picture-0000.jpg").wait_for()
    before = page.evaluate("document.querySelectorAll('*').length")

    expect(page.get_by_text("End goes to the last one loaded")).to_be_visible()

    most = 0
    deadline = time.monotonic() + 60
    while not page.get_by_text(f"picture-{MANY - 1}").count() and time.monotonic() < deadline:
        page.mouse.wheel(0, 5_000)
        page.wait_for_timeout(15)
        most = max(most, cells(page))

    expect(page.get_by_text(f"picture-{MANY - 1}")).to_be_visible()
    expect(page.get_by_text("3,000 pictures")).to_be_attached()
    expect(page.get_by_text("End goes to the last one loaded")).to_have_count(0)
    # Six columns; rows of 252 pixels: 4 in sight, 2 spare on each side, and parts of rows.
    assert 24 <= most <= 6 * 9 + 1
    assert page.evaluate("document.querySelectorAll('*').length") < before + 150


def test_thumbnails_come_from_the_service(open_console: Open, many: None) -> None:
    page = open_console("#/gallery?domain=many")

    first = page.locator(".grid-cells img").first
    first.wait_for()

    page.wait_for_function("each => each.complete && each.naturalWidth > 0", arg=first.element_handle())
    assert "/image/read?" in (first.get_attribute("src") or "")


def test_thumbnails_are_small_stills(open_console: Open, stack: ImageStack) -> None:
    moving = animation("gif", [(200, 30, 30), (30, 30, 200)]).data
    clear = encode(plain((200, 30, 30, 90)), "png").data
    for name, data in {"1-clear.png": clear, "2-moving.gif": moving, "3-photo.jpg": photo(60, 40)}.items():
        stack.upload(data, "stills", name)
    page = open_console("#/gallery?domain=stills")
    page.wait_for_function("() => document.querySelectorAll('.grid-cells img').length === 3")

    sources = page.eval_on_selector_all(".grid-cells img", "all => all.map(each => each.src)")

    thumbnails = [opened(page.request.get(source).body()) for source in sources]
    assert [thumbnail.format for thumbnail in thumbnails] == ["WEBP", "JPEG", "JPEG"]
    assert [getattr(thumbnail, "n_frames", 1) for thumbnail in thumbnails] == [1, 1, 1]


def test_thumbnails_out_of_sight_are_not_loaded_on(open_console: Open, stack: ImageStack) -> None:
    for seed in (31, 32, 33):
        stack.upload(photo(60, 40, seed=seed), "passing", f"{seed}.jpg")
    page = open_console("#/upload")
    page.get_by_role("heading", level=1).wait_for()
    given_up: list[str] = []
    page.on("requestfailed", lambda request: given_up.append(request.url))
    # They come from a server that never answers.
    page.route("**/image/read?**", lambda route: None)
    page.goto("/console/#/gallery?domain=passing")
    page.wait_for_function("() => document.querySelectorAll('.grid-cells img').length === 3")

    page.goto("/console/#/upload")
    page.get_by_role("heading", level=1, name="Upload").wait_for()

    for _ in range(100):
        if len(given_up) == 3:
            break
        page.wait_for_timeout(50)
    assert len(given_up) == 3


def test_arrow_keys_move_and_the_way_back_leads_to_the_same_place(open_console: Open, many: None) -> None:
    page = open_console("#/gallery?domain=many", viewport={"width": 1280, "height": 800})
    page.get_by_text("picture-0000.jpg").wait_for()
    page.locator(".grid-cells a").first.focus()

    focused = "document.activeElement.querySelector('.name')?.textContent"
    steps = [("ArrowRight", "picture-0001"), ("ArrowDown", "picture-0007"), ("ArrowLeft", "picture-0006")]
    for key, name in steps:
        page.keyboard.press(key)
        page.wait_for_function(f"() => {focused} === '{name}'")
    # Faster than any keyboard: six columns, and each key is heard.
    keys = (
        "for (let n = 0; n < 4; n++) document.activeElement.dispatchEvent(new KeyboardEvent('keydown', down))"
    )
    page.evaluate(f"() => {{ const down = {{key: 'ArrowDown', bubbles: true}}; {keys} }}")
    page.wait_for_function(f"() => {focused} === 'picture-0030'")
    for _ in range(4):
        page.keyboard.press("PageDown")
    page.wait_for_function(f"() => Number({focused}.slice(-4)) > 60")
    name = page.evaluate(focused)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)

    page.go_back()

    expect(page.get_by_text(name)).to_be_in_viewport()


def test_chosen_cell_has_a_ring_in_sight(open_console: Open, many: None) -> None:
    page = open_console("#/gallery?domain=many")
    page.locator(".grid-cells img").first.wait_for()
    page.locator(".grid-cells a").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "() => document.activeElement.querySelector('.name')?.textContent?.endsWith('0001')"
    )

    ring = page.evaluate(
        """() => {
          const { outlineStyle, outlineWidth, outlineOffset }
            = getComputedStyle(document.activeElement.querySelector('.thumb'));
          return [outlineStyle, parseFloat(outlineWidth), parseFloat(outlineOffset)];
        }"""
    )

    # A cell paints nothing beyond itself, so the ring has to be inside.
    style, width, offset = ring
    assert style == "solid"
    assert width >= 3
    assert offset <= -width


def test_search_narrows_by_every_field(open_console: Open, stack: ImageStack) -> None:
    dusk = stack.upload(photo(80, 60, seed=11), "finds", "2026/dusk.jpg", metadata='{"artist": "Ada"}')
    stack.upload(photo(80, 60, seed=12), "finds", "2026/dawn.jpg")
    stack.upload(photo(80, 60, seed=13), "finds", "2025/noon.jpg")
    page = open_console()
    names = page.locator(".grid-cells .name")

    page.get_by_label("Domain").fill("finds")
    expect(names).to_have_text(["2025/noon.jpg", "2026/dawn.jpg", "2026/dusk.jpg"])
    page.get_by_label("Name begins with").fill("2026/")
    expect(names).to_have_text(["2026/dawn.jpg", "2026/dusk.jpg"])
    page.get_by_label("Metadata").fill("artist:Ada")
    expect(names).to_have_text(["2026/dusk.jpg"])
    page.get_by_label("Metadata").fill("artist:Bob")
    expect(page.get_by_text("No picture is like that")).to_be_visible()
    page.get_by_label("Metadata").fill("")
    page.get_by_label("Domain").fill("")
    page.get_by_label("Sum").fill(dusk["md5sum"])
    expect(names).to_have_text(["2026/dusk.jpg"])
    assert f"sum={dusk['md5sum']}" in page.url

    page.get_by_role("link", name="Gallery", exact=True).click()
    expect(page.get_by_label("Sum")).to_have_value("")


def test_a_search_that_finds_nothing_pauses_and_goes_on_when_wanted(open_console: Open) -> None:
    page = open_console("#/upload")
    page.get_by_role("heading", level=1).wait_for()
    asked: list[str] = []

    def nothing_yet(route: Route) -> None:
        """A part of the rows was read, as of a store of millions."""
        asked.append(route.request.url)
        route.fulfill(json={"images": [], "next": f"/v1/images?metadata=a%3Ab&after={len(asked)}"})

    page.route("**/v1/images?**", nothing_yet)
    page.goto("/console/#/gallery?metadata=a%3Ab")
    on = page.get_by_role("button", name="Search on")
    expect(on).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Nothing found yet, and not all pictures are searched")
    page.wait_for_timeout(500)
    first = len(asked)

    on.click()
    page.wait_for_function("() => !document.querySelector('[aria-busy]')")
    expect(on).to_be_visible()

    assert first == 5
    assert asked[-1].endswith(f"after={len(asked) - 1}")
    assert len(asked) == 10


def test_a_search_that_was_left_does_not_reach_into_the_next_page(
    open_console: Open, stack: ImageStack
) -> None:
    page = open_console()
    page.get_by_label("Domain").fill("finds")

    # The pause after typing ends while the browser is on its way.
    wait = "const end = performance.now() + 500; while (performance.now() < end);"
    page.evaluate(f"() => {{ location.hash = '#/upload'; {wait} }}")
    page.get_by_role("heading", name="Upload").wait_for()
    page.wait_for_timeout(500)

    assert page.url == f"{stack.address}/console/#/upload"


def test_a_sum_that_is_none_is_a_sentence(open_console: Open) -> None:
    page = open_console(refused=(400,))

    page.get_by_label("Sum").fill("abc")

    expect(page.get_by_role("alert")).to_contain_text("expected 32 or 64 lower-case hex digits")
    assert page.get_by_text("0+ pictures").count() == 0


def test_pictures_of_a_closed_domain_are_shown_by_key(
    open_console: Open, store_closed: Callable[[bytes, str], int]
) -> None:
    store_closed(photo(90, 60, seed=21), "secret.jpg")
    # The first thumbnail is asked for as everybody would.
    page = open_console("#/gallery?domain=closed", refused=(403,))

    thumb = page.locator(".grid-cells img")
    expect(thumb).to_have_attribute("src", re.compile("^blob:"))

    page.wait_for_function("each => each.naturalWidth > 0", arg=thumb.element_handle())
