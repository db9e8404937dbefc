"""Tasks in the console while no worker is there: they wait, and may be taken back."""

import re

from playwright.sync_api import expect

from tests.console.conftest import Open
from tests.imagestack import ImageStack


def test_a_waiting_task_is_taken_back(open_console: Open, stack: ImageStack) -> None:
    page = open_console("#/tasks?domain=waiting")
    url = "http://192.0.2.1/never.jpg"
    task = stack.writer.post("/tasks", json=[{"url": url, "domain": "waiting"}]).json()["tasks"][0]

    page.locator("table.tasks tbody tr").filter(has_text=url).get_by_role(
        "button", name=f"Take back task {task['id']}"
    ).click()

    expect(page.get_by_text("No task is like that.")).to_be_visible()
    assert stack.writer.get(f"/tasks/{task['id']}").status_code == 404


def test_a_hidden_tab_asks_nothing(open_console: Open, stack: ImageStack) -> None:
    page = open_console("#/tasks")
    expect(page.get_by_role("link", name=re.compile("^All"))).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def set_hidden(value: str) -> None:
        page.evaluate(
            f"""Object.defineProperty(document, 'hidden', {{value: {value}, configurable: true}});
                document.dispatchEvent(new Event('visibilitychange'))"""
        )

    set_hidden("true")
    page.wait_for_timeout(300)
    asked.clear()
    # Longer than the first pause between two questions.
    page.wait_for_timeout(2500)
    assert asked == []
    set_hidden("false")
    with page.expect_request("**/v1/tasks/summary*"):
        pass
