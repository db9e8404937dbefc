"""Uploads: many files at once, each with its own outcome."""

from pathlib import Path

from playwright.sync_api import expect

from tests.console.conftest import Open
from tests.imagestack import ImageStack
from tests.pictures import photo

DROP = """(names) => {
    const transfer = new DataTransfer();
    for (const name of names) transfer.items.add(new File(['not a picture'], name, {type: 'image/jpeg'}));
    const drop = new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true});
    document.querySelector('.drop').dispatchEvent(drop);
}"""


def test_each_of_many_files_has_its_own_outcome(
    open_console: Open, stack: ImageStack, picture_files: Path
) -> None:
    for number in range(5):
        (picture_files / f"{number}.jpg").write_bytes(photo(64, 48, seed=100 + number))
    (picture_files / "notes.txt").write_text("no picture at all")
    page = open_console("#/upload", refused=(415,))

    page.get_by_label("Domain").fill("albums")
    page.get_by_label("Put before each name").fill("2026/")
    page.get_by_label("Choose files").set_input_files(sorted(picture_files.iterdir()))

    expect(page.get_by_role("status")).to_have_text("1 failed, 5 done")
    rows = page.locator(".row")
    expect(rows.first).to_contain_text("2026/notes.txt")
    expect(rows.first).to_contain_text("The body is not of an accepted type.")
    expect(rows.filter(has_text="✓ stored")).to_have_count(5)
    found = stack.http.get("/images?domain=albums").json()["images"]
    assert [each["dkey"] for each in found] == [f"2026/{number}.jpg" for number in range(5)]

    rows.filter(has_text="2026/3.jpg").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("albums/2026/3.jpg")


def test_a_name_that_is_taken_is_replaced_only_on_demand(
    open_console: Open, stack: ImageStack, picture_files: Path
) -> None:
    stack.upload(photo(64, 48, seed=120), "taken-names", "taken.jpg")
    other = picture_files / "taken.jpg"
    other.write_bytes(photo(32, 24, seed=121))
    page = open_console("#/upload?domain=taken-names", refused=(409,))

    page.get_by_label("Choose files").set_input_files(other)
    expect(page.locator(".row.failed")).to_contain_text("Taken-names/taken.jpg holds another picture")
    page.get_by_label("Replace pictures of the same name").check()
    page.get_by_label("Choose files").set_input_files(other)
    expect(page.get_by_role("status")).to_have_text("1 failed, 1 done")

    assert stack.http.get("/image/info?domain=taken-names&dkey=taken.jpg").json()["width"] == 32


def test_what_failed_can_be_tried_again(open_console: Open, stack: ImageStack, picture_files: Path) -> None:
    file = picture_files / "later.jpg"
    file.write_bytes(photo(64, 48, seed=130))
    stack.upload(photo(64, 48, seed=131), "tried-again", "later.jpg")
    page = open_console("#/upload?domain=tried-again", refused=(409,))
    page.get_by_label("Choose files").set_input_files(file)
    expect(page.locator(".row.failed")).to_be_visible()

    stack.writer.delete("/tried-again/later.jpg")
    page.get_by_role("button", name="Retry", exact=True).click()

    expect(page.get_by_role("status")).to_have_text("1 done")
    assert stack.http.get("/tried-again/later.jpg").content == file.read_bytes()


def test_dropped_files_are_uploaded(open_console: Open) -> None:
    page = open_console("#/upload?domain=albums", refused=(415,))

    page.evaluate(DROP, ["a.jpg", "b.jpg"])

    expect(page.locator(".row.failed")).to_have_count(2)


def test_uploads_go_on_while_other_pages_are_shown(open_console: Open, picture_files: Path) -> None:
    for number in range(20):
        (picture_files / f"{number:02}.jpg").write_bytes(photo(64, 48, seed=140 + number))
    page = open_console("#/upload?domain=onwards")

    page.get_by_label("Choose files").set_input_files(sorted(picture_files.iterdir()))
    page.get_by_role("link", name="Gallery").click()
    page.get_by_role("link", name="Upload", exact=True).click()

    expect(page.get_by_role("status")).to_have_text("20 done")
