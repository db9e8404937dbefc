"""Login, navigation, and what every page of the console has in common."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.console.conftest import PHONE, Open
from tests.imagestack import API_KEY, ImageStack
from tests.pictures import photo


@pytest.fixture(scope="module")
def image_id(stack: ImageStack) -> int:
    return int(stack.upload(photo(300, 200), "frame", "a-picture.jpg")["id"])


def test_a_wrong_key_is_told(open_console: Open) -> None:
    page = open_console(key="", refused=(401,))

    page.get_by_label("API key").fill("guess-0123456789abcdef")
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_role("alert")).to_contain_text("This key is wrong")
    assert page.evaluate("sessionStorage.length") == 0


def test_the_right_key_opens_the_console_until_logout(open_console: Open) -> None:
    page = open_console(key="")

    page.get_by_label("API key").fill(API_KEY)
    page.keyboard.press("Enter")

    expect(page.get_by_role("link", name="Gallery")).to_have_attribute("aria-current", "page")
    assert API_KEY not in page.url
    page.reload()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    assert page.evaluate("[sessionStorage.length, localStorage.length]") == [0, 0]


def test_the_next_key_sees_nothing_of_the_last_one(
    open_console: Open, stack: ImageStack, picture_files: Path
) -> None:
    secret = stack.writer.post("/keys", json={"name": "cats", "rights": "read", "domains": ["cats"]}).json()
    file = picture_files / "seen.jpg"
    file.write_bytes(photo(30, 20, seed=77))
    page = open_console("#/upload?domain=frame", key="")
    page.get_by_label("API key").fill(API_KEY)
    page.keyboard.press("Enter")
    page.get_by_label("Choose files").set_input_files(file)
    expect(page.get_by_role("status")).to_have_text("1 done")

    page.get_by_role("button", name="Log out").click()
    page.get_by_label("API key").fill(secret["key"])
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Upload")).to_be_visible()
    expect(page.get_by_text("seen.jpg")).to_have_count(0)


def test_a_key_that_was_revoked_leads_to_the_login(open_console: Open) -> None:
    page = open_console("#/upload", key="revoked-0123456789abcdef", refused=(401,))

    expect(page.get_by_role("alert")).to_contain_text("no longer takes this key")


def test_a_stroke_is_not_needed(open_console: Open, stack: ImageStack) -> None:
    page = open_console(key="")

    page.goto("/console")

    expect(page).to_have_url(f"{stack.address}/console/")


def test_colours_follow_the_system_until_the_reader_chooses(open_console: Open) -> None:
    page = open_console("#/upload", color_scheme="dark")

    def darkness() -> int:
        colour = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))

    dark = darkness()
    page.get_by_label("Colours").select_option("light")

    assert dark < 150 < 600 < darkness()
    page.reload()
    expect(page.get_by_label("Colours")).to_have_value("light")
    assert darkness() > 600


@pytest.mark.parametrize("route", ["login", "gallery", "upload", "picture"])
def test_a_phone_scrolls_in_one_direction(open_console: Open, image_id: int, route: str) -> None:
    where = {"picture": f"#/picture/{image_id}", "gallery": "#/gallery?domain=frame"}.get(route, f"#/{route}")

    page = open_console(where, key="" if route == "login" else API_KEY, viewport=PHONE, has_touch=True)
    ready = {"login": "Log in", "gallery": "a-picture.jpg", "upload": "Choose files", "picture": "Copy URL"}
    page.get_by_text(ready[route]).first.wait_for()

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    outside = "[...document.querySelectorAll('button, input, select, a')].filter("
    outside += (
        "(each) => each.getBoundingClientRect().right > innerWidth && getComputedStyle(each).opacity > 0)"
    )
    assert page.evaluate(f"{outside}.map((each) => each.outerHTML)") == []


def test_the_keyboard_alone_leads_from_the_login_to_a_changed_picture(
    open_console: Open, image_id: int
) -> None:
    page = open_console("#/gallery?domain=frame", key="")
    page.keyboard.type(API_KEY)
    page.keyboard.press("Enter")
    page.get_by_text("a-picture.jpg").wait_for()

    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.grid-cells') !== null"):
            break
    page.keyboard.press("Enter")

    width = page.get_by_label("Width", exact=True)
    width.wait_for()
    for _ in range(30):
        page.keyboard.press("Tab")
        if width.evaluate("each => each === document.activeElement"):
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("150")
    expect(page.get_by_text("150×100")).to_be_visible()


def test_an_unknown_page_says_so(open_console: Open) -> None:
    page = open_console("#/nowhere")

    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
