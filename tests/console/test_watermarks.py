"""Watermarks in the console: upload one, try it on a picture, keep its defaults, replace and delete it."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.console.conftest import Open
from tests.imagestack import ImageStack
from tests.pictures import BLUE, LOSSY, RED, encode, plain

WHITE = (255, 255, 255)
PIXEL = """(image, [x, y]) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const drawn = canvas.getContext('2d');
    drawn.drawImage(image, 0, 0);
    return [...drawn.getImageData(x, y, 1, 1).data].slice(0, 3);
}"""


def shows(page: Page, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Wait until the picture with the mark has that colour there, in its own pixels."""
    seen: list[int] = []

    def is_shown() -> bool:
        seen[:] = page.locator(".mark .canvas:not(.busy) img").evaluate(PIXEL, list(at))
        return all(abs(one - other) <= LOSSY for one, other in zip(seen, colour, strict=True))

    # Playwright's own loop has to run meanwhile.
    for _ in range(100):
        if is_shown():
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{at} is {seen}, expected {colour}")


def test_a_mark_is_uploaded_tried_and_given_defaults(
    open_console: Open, stack: ImageStack, picture_files: Path
) -> None:
    stack.upload(encode(plain(WHITE, 400, 300), "png").data, "ground", "white.png")
    file = picture_files / "square.png"
    file.write_bytes(encode(plain(RED, 40, 40), "png").data)
    page = open_console("#/watermarks")

    page.get_by_label("Upload a watermark").set_input_files(file)
    expect(page.get_by_role("link", name="square")).to_be_visible()
    # The list of marks keeps away from the picture below.
    assert page.locator(".marks").evaluate("list => parseFloat(getComputedStyle(list).marginBottom)") > 8
    page.get_by_label("Try it on pictures of").fill("ground")
    page.get_by_role("button", name="white.png").click()

    # Southeast, 10 pixels from the edges.
    shows(page, (370, 270), RED)
    shows(page, (30, 30), WHITE)
    page.get_by_label("Position").select_option("northwest")
    page.get_by_label("Margin").fill("0")
    shows(page, (5, 5), RED)
    shows(page, (370, 270), WHITE)
    page.get_by_role("button", name="Save as defaults").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    told = stack.http.get("/image/info?domain=watermark&dkey=square").json()["user_metadata"]
    assert told == {"position": "northwest", "margin": 0}

    other = picture_files / "blue.png"
    other.write_bytes(encode(plain(BLUE, 40, 40), "png").data)
    page.get_by_label("Replace").set_input_files(other)
    shows(page, (5, 5), BLUE)

    # What is deleted while a picture of it is on its way is a 404, which the browser writes down.
    page.wait_for_function("() => [...document.images].every(each => each.complete)")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("link", name="square")).to_have_count(0)
    assert stack.http.get("/image/info?domain=watermark&dkey=square").status_code == 404


def test_a_refused_default_says_why(open_console: Open, stack: ImageStack) -> None:
    stack.upload(encode(plain(RED, 20, 20), "png").data, "watermark", "other")
    page = open_console("#/watermarks/other", refused=(400,), viewport={"width": 375, "height": 667})
    expect(page.locator(".mark .canvas img")).to_be_visible()
    below = [page.locator(f".mark {each}").bounding_box() for each in (".canvas", ".side", ".tryon")]
    tops = [box["y"] for box in below if box]
    assert tops == sorted(tops)

    page.get_by_label("Opacity").fill("7")

    expect(page.get_by_role("alert")).to_contain_text("expected a number from 0.01 to 1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_a_key_that_may_not_write_is_told(open_console: Open, stack: ImageStack, picture_files: Path) -> None:
    made = stack.writer.post("/keys", json={"name": "looks on", "rights": "read"}).json()["key"]
    file = picture_files / "mine.png"
    file.write_bytes(encode(plain(RED, 20, 20), "png").data)
    page = open_console("#/watermarks", key=made, refused=(403,))

    page.get_by_label("Upload a watermark").set_input_files(file)

    expect(page.get_by_role("alert")).to_contain_text("This API key has the right 'read', expected 'write'.")
