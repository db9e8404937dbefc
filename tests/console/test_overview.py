"""The overview of the console: numbers that follow what happens."""

from playwright.sync_api import Page, expect

from tests.console.conftest import PHONE, Open
from tests.imagestack import ImageStack
from tests.pictures import photo
from tests.servers import wait_until


def figure(page: Page, name: str) -> int:
    return int(page.locator(f"[data-figure={name}]").inner_text().replace(",", ""))


def counted(stack: ImageStack) -> int:
    """Pictures that nginx gave until now."""
    return sum((stack.writer.get("/overview").json()["nginx"] or {}).values())


def test_numbers_change_after_an_upload(open_console: Open, stack: ImageStack) -> None:
    stack.upload(photo(30, 20, seed=401), "glance", "first.jpg")
    page = open_console("#/overview")
    expect(page.locator("[data-figure=images]")).to_be_visible()
    before = figure(page, "images")

    image = stack.upload(photo(30, 20, seed=402), "glance", "second.jpg")
    expect(page.locator("[data-figure=images]")).to_have_text(f"{before + 1:,}")

    asked = counted(stack)
    for _ in range(5):
        stack.http.get(f"/image/read?id={image['id']}&width=10")
    # nginx' workers add up what they count once a second, also what earlier tests have asked for.
    wait_until(lambda: counted(stack) >= asked + 5, what="the pictures are counted")

    def told() -> str:
        sources = stack.writer.get("/overview").json()["nginx"]
        return f"{(1 - sources['miss'] / sum(sources.values())) * 100:.0f} %"

    for _ in range(100):
        if page.locator("[data-figure=hits]").inner_text() == told():
            break
        page.wait_for_timeout(200)
    expect(page.locator("[data-figure=hits]")).to_have_text(told())
    expect(page.get_by_role("img", name="Where pictures came from")).to_be_visible()
    expect(page.get_by_text("No worker is alive:")).to_be_visible()


def test_problems_are_counted_on_a_phone(open_console: Open, stack: ImageStack) -> None:
    assert stack.http.get("/image/read?id=1&width=0").status_code == 400
    page = open_console("#/overview", viewport=PHONE)

    expect(page.get_by_role("listitem").filter(has_text="invalid-parameter")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_key_of_some_domains_sees_their_numbers(open_console: Open, stack: ImageStack) -> None:
    stack.upload(photo(30, 20, seed=403), "alone", "only.jpg")
    wish = {"name": "of one", "rights": "read", "domains": ["alone"]}
    key = stack.writer.post("/keys", json=wish).json()["key"]
    page = open_console("#/overview", key=key)

    expect(page.locator("[data-figure=images]")).to_have_text("1")
    expect(page.get_by_text("This key is for some domains")).to_be_visible()
    expect(page.locator("[data-figure=jobs]")).to_have_count(0)
