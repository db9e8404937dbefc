"""A picture's page: the playground, and what can be done with the picture."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from imagestore.rendition import PARAMETERS
from tests.console.conftest import Open
from tests.imagestack import ImageStack
from tests.pictures import BLUE, encode, near, opened, photo, plain, quadrants

CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest.fixture
def image_id(stack: ImageStack) -> int:
    """An image of its own for each test: four colours, 400x300."""
    count = len(stack.http.get("/images?domain=lab&limit=1000").json()["images"])
    body = encode(quadrants(400, 300), "png").data
    return int(stack.upload(body, "lab", f"quadrants-{count}", metadata='{"old": 1, "kept": true}')["id"])


def copied(page: Page) -> str:
    page.get_by_role("button", name="Copy URL").click()
    page.get_by_role("button", name="Copied").wait_for()
    return str(page.evaluate("navigator.clipboard.readText()"))


class Stage:
    """What the playground of a page shows. Made before the page has a picture, since it listens."""

    KEEP = "const make = URL.createObjectURL; URL.createObjectURL = (blob) => make(window.lastBlob = blob)"

    def __init__(self, page: Page) -> None:
        self._page = page
        page.add_init_script(self.KEEP)
        page.reload()

    def settled(self, *wishes: str) -> bytes:
        """The bytes of the picture on the stage, once the copied URL has all `wishes`."""
        texts = json.dumps(wishes)
        self._page.wait_for_function(
            f"() => {texts}.every((wish) => document.getElementById('made-url').value.includes(wish))"
            " && document.querySelector('.canvas:not(.busy) img')"
        )
        body = "window.lastBlob.arrayBuffer().then((buffer) => [...new Uint8Array(buffer)])"
        return bytes(self._page.evaluate(body))


def test_every_parameter_has_a_control(open_console: Open, image_id: int) -> None:
    page = open_console(f"#/picture/{image_id}")
    page.locator(".control").first.wait_for()

    names = page.evaluate("[...document.querySelectorAll('.control [name]')].map((each) => each.name)")

    assert names == [*PARAMETERS, "preset"]


def test_the_playground_shows_and_copies_what_the_controls_say(open_console: Open, image_id: int) -> None:
    page = open_console(f"#/picture/{image_id}", permissions=CLIPBOARD)
    stage = Stage(page)

    page.get_by_label("Width", exact=True).fill("120")
    expect(page.get_by_text("120×90")).to_be_visible()
    page.get_by_label("Crop").fill("0,150,200,150")
    page.get_by_label("Fit").select_option("stretch")
    page.get_by_label("Height").fill("50")
    page.get_by_label("Format").select_option("png")
    expect(page.get_by_text("120×50")).to_be_visible()
    body = stage.settled("width=120", "height=50", "crop=", "fit=stretch", "format=png")

    assert httpx.get(copied(page)).content == body
    assert near(opened(body), (60, 25), BLUE), "the lower left quarter is blue"


def test_an_impossible_wish_is_a_sentence_and_the_picture_stays(open_console: Open, image_id: int) -> None:
    page = open_console(f"#/picture/{image_id}?width=100", refused=(400,))
    expect(page.get_by_text("100×75")).to_be_visible()

    page.get_by_label("Width", exact=True).fill("5000")

    expect(page.get_by_role("alert")).to_contain_text("Width is '5000', expected an integer from 1 to 4096.")
    expect(page.locator(".canvas img")).to_be_visible()
    page.get_by_label("Width", exact=True).fill("50")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_the_copied_url_of_a_closed_domain_is_signed(
    open_console: Open, stack: ImageStack, store_closed: Callable[[bytes, str], int]
) -> None:
    closed_id = store_closed(encode(quadrants(), "png").data, "signed.png")
    page = open_console(f"#/picture/{closed_id}?width=30", permissions=CLIPBOARD)
    page.wait_for_function("() => document.getElementById('made-url')?.value.includes('sig=')")

    answer = httpx.get(copied(page))

    assert (answer.status_code, opened(answer.content).size) == (200, (30, 20))
    assert httpx.get(f"{stack.address}/image/read?id={closed_id}&width=30").status_code == 403


def test_facts_are_told_in_words(open_console: Open, image_id: int) -> None:
    page = open_console(f"#/picture/{image_id}")
    facts = page.get_by_role("region", name="About")

    for name, value in {"alpha": "no", "has profile": "no", "SHA-256": re.compile("^[0-9a-f]{64}$")}.items():
        row = facts.locator("dl > div").filter(has=page.get_by_text(name, exact=True))
        expect(row.locator("dd")).to_have_text(value)


def test_every_link_leads_to_the_picture(open_console: Open, image_id: int) -> None:
    page = open_console(f"#/picture/{image_id}")
    links = page.locator(".links a")
    expect(links).to_have_count(5)

    urls = [str(link.get_attribute("href")) for link in links.all()]

    original = encode(quadrants(400, 300), "png").data
    assert [httpx.get(url).content == original for url in urls] == [True] * 4 + [False]
    assert httpx.get(urls[4]).json()["id"] == image_id


def test_metadata_is_edited_as_a_patch(open_console: Open, stack: ImageStack, image_id: int) -> None:
    page = open_console(f"#/picture/{image_id}")
    editor, save = page.get_by_label("Metadata"), page.get_by_role("button", name="Save metadata")

    editor.fill('{"kept": true, "broken"')
    expect(page.get_by_text("This is no JSON")).to_be_visible()
    expect(save).to_be_disabled()
    editor.fill(json.dumps({"kept": True, "title": "Grüße", "inner": {"a": [1, 2]}}))
    save.click()

    expect(page.get_by_text("Saved.")).to_be_visible()
    found = stack.http.get(f"/v1/images/{image_id}").json()["user_metadata"]
    assert found == {"kept": True, "title": "Grüße", "inner": {"a": [1, 2]}}


def test_an_edit_meanwhile_is_not_overwritten(open_console: Open, stack: ImageStack, image_id: int) -> None:
    page = open_console(f"#/picture/{image_id}", refused=(412,))
    page.get_by_label("Metadata").fill('{"mine": 1}')

    stack.writer.patch(f"/v1/images/{image_id}", json={"user_metadata": {"theirs": 2}})
    page.get_by_role("button", name="Save metadata").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody changed this picture meanwhile")
    with page.expect_response(lambda answer: f"/v1/images/{image_id}" in answer.url and answer.ok):
        page.get_by_role("button", name="Load what is stored").click()
    # From the answer to the form.
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Save metadata").click()

    expect(page.get_by_text("Saved.")).to_be_visible()
    assert stack.http.get(f"/v1/images/{image_id}").json()["user_metadata"] == {"mine": 1}


def test_a_replaced_picture_is_shown_at_once(
    open_console: Open, stack: ImageStack, image_id: int, picture_files: Path
) -> None:
    other = picture_files / "other.jpg"
    other.write_bytes(photo(200, 100, seed=5))
    page = open_console(f"#/picture/{image_id}")
    expect(page.get_by_text("400×300")).to_be_visible()

    page.get_by_label("Replace").set_input_files(other)

    expect(page.get_by_text("200×100")).to_be_visible()
    expect(page.get_by_role("status").filter(has_text="Replaced")).to_be_visible()
    assert stack.http.get(f"/v1/images/{image_id}").json()["user_metadata"] == {"old": 1, "kept": True}


def test_a_replacement_that_is_no_picture_changes_nothing(
    open_console: Open, stack: ImageStack, image_id: int, picture_files: Path
) -> None:
    other = picture_files / "other.jpg"
    other.write_text("no picture")
    page = open_console(f"#/picture/{image_id}", refused=(415,))

    page.get_by_label("Replace").set_input_files(other)

    expect(page.get_by_role("alert")).to_contain_text("The body is not of an accepted type.")
    assert stack.http.get(f"/v1/images/{image_id}").json()["width"] == 400


def test_deleting_asks_first(open_console: Open, stack: ImageStack, image_id: int) -> None:
    page = open_console(f"#/picture/{image_id}")

    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Cancel").click()
    assert stack.http.get(f"/v1/images/{image_id}").status_code == 200
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()

    expect(page.get_by_label("Domain")).to_have_value("lab")
    assert stack.writer.get(f"/v1/images/{image_id}").status_code == 404


def test_a_picture_that_is_not_there_is_a_sentence(open_console: Open) -> None:
    page = open_console("#/picture/999999", refused=(404,))

    expect(page.get_by_role("alert")).to_contain_text("There is no such image.")


def test_a_watermark_is_suggested_and_laid_over(open_console: Open, stack: ImageStack, image_id: int) -> None:
    stack.upload(encode(plain((0, 0, 0), 40, 30), "png").data, "watermark", "black-mark")
    page = open_console(f"#/picture/{image_id}?width=400&format=png")
    stage = Stage(page)
    page.locator("datalist option[value='black-mark']").wait_for(state="attached")

    page.get_by_label("Watermark", exact=True).fill("black-mark")
    page.get_by_label("Watermark position").select_option("center")

    assert near(opened(stage.settled("watermark=black-mark", "position=center")), (200, 150), (0, 0, 0))
