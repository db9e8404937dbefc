"""`/metrics` counts what was asked, over all processes and nginx, and never by what a client wrote."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

import imagestore.metrics  # noqa: F401 - declares what there is
from tests import pictures
from tests.imagestack import ImageStack, image_stack
from tests.servers import ROOT, wait_until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    with image_stack(tmp_path_factory.mktemp("metrics")) as running:
        yield running


def picture(width: int) -> bytes:
    return pictures.encode(pictures.plain((1, 2, 3), width, 20), "png").data


def grows(stack: ImageStack, name: str, by: float, before: float, **labels: str) -> None:
    """nginx' workers add up what they count once a second."""
    wait_until(lambda: stack.metric(name, **labels) >= before + by, what=f"{name} grows by {by}")
    assert stack.metric(name, **labels) == before + by


def test_requests_are_counted_by_template_and_status(stack: ImageStack) -> None:
    stored = stack.upload(picture(30), dkey="counted.png")
    name = "imagestore_http_requests_total"
    found = {"route": "/images/{image_id}", "method": "GET", "status": "200"}
    missing = {"route": "/{domain}/{dkey:path}", "method": "GET", "status": "404"}
    before = stack.metric(name, **found), stack.metric(name, **missing)
    problems = stack.metric("imagestore_problems_total", problem="image-not-found")

    stack.http.get(f"/v1/images/{stored['id']}")
    stack.http.get(f"/images/{stored['id']}")
    stack.http.get("/nobody/was-here.png")

    assert stack.metric(name, **found) == before[0] + 2
    assert stack.metric(name, **missing) == before[1] + 1
    assert stack.metric("imagestore_problems_total", problem="image-not-found") == problems + 1
    assert "was-here" not in stack.http.get("/metrics").text


def test_the_overview_adds_up_pictures_of_nginx_and_problems(stack: ImageStack) -> None:
    stored = stack.upload(picture(33), dkey="seen.png")
    ways = [f"/image/read?id={stored['id']}&width=10", "/demo/seen.png", "/image/read?id=999999"]
    forged = {"X-Picture-Counts": "memory=77777 forged=1"}

    def told(path: str = "/overview") -> dict[str, Any]:
        return dict(stack.writer.get(path, headers=forged).json())

    before = told()
    answers = [stack.http.get(way) for way in ways for _ in range(5)]
    seen = Counter(answer.headers["X-Cache"] for answer in answers if answer.status_code == 200)
    expected = {cache: (before["nginx"] or {}).get(cache, 0) + count for cache, count in seen.items()}

    # nginx' workers add up what they count once a second.
    wait_until(lambda: (told()["nginx"] or {}).items() >= expected.items(), what="nginx tells the pictures")
    after = told("/v1/overview")
    assert after["nginx"].keys() <= {"memory", "redis", "miss"}
    renders = [sum(each["pictures"].values()) for each in (before, after)]
    assert renders[1] - renders[0] == Counter(answer.headers["X-Cache"] for answer in answers[:5])["miss"]
    missing = [each["problems"].get("image-not-found", 0) for each in (before, after)]
    assert missing[1] - missing[0] == 5
    assert (after["images"] > 0, after["bytes"] > 0, after["queues"]["workers"]) == (True, True, 0)
    assert after["store"]["free_bytes"] < after["store"]["size_bytes"]


def test_nginx_counts_the_hits_of_each_layer(stack: ImageStack) -> None:
    stored = stack.upload(picture(31), dkey="layers.png")
    url = f"/image/read?id={stored['id']}&width=10"
    name = "imagestore_nginx_requests_total"
    labels = {"route": "/image/read", "status": "200"}
    layers = ("miss", "redis", "memory")
    before = {cache: stack.metric(name, **labels, cache=cache) for cache in layers}

    seen = [stack.http.get(url).headers["X-Cache"] for _ in range(20)]

    for cache in layers:
        grows(stack, name, seen.count(cache), before[cache], **labels, cache=cache)
    assert seen[0] == "miss"
    assert {"redis", "memory"} <= set(seen)


def test_renders_are_timed_by_engine_format_and_task(stack: ImageStack) -> None:
    name, labels = "imagestore_render_seconds_count", {"engine": "vips", "format": "png"}
    stored = stack.upload(picture(32), dkey="timed.png")
    before = stack.metric(name, **labels, task="render")
    pictures_before = stack.metric("imagestore_pictures_total", source="render")

    stack.http.get(f"/image/read?id={stored['id']}&width=11")

    assert stack.metric(name, **labels, task="render") == before + 1
    assert stack.metric(name, **labels, task="inspect") >= 1
    assert stack.metric("imagestore_pictures_total", source="render") == pictures_before + 1


def test_bytes_of_uploads_are_counted(stack: ImageStack) -> None:
    body = picture(33)
    before = stack.metric("imagestore_received_bytes_total", source="upload")

    stack.upload(body, dkey="bytes.png")

    assert stack.metric("imagestore_received_bytes_total", source="upload") == before + len(body)


def test_what_is_under_way_is_shown_and_nothing_stays_under_way(stack: ImageStack) -> None:
    stack.upload(picture(34), dkey="idle.png")

    # The request for the page itself is the one.
    assert stack.metric("imagestore_http_requests_active") == 1
    assert stack.metric("imagestore_http_threads") == 2 * 16
    assert stack.metric("imagestore_decoders", state="busy") == 0
    assert stack.metric("imagestore_decoders", state="waiting") == 0
    # Something in the background may ask the database now and then.
    wait_until(lambda: stack.metric("imagestore_database_connections") == 0, what="no connection is used")
    assert stack.metric("imagestore_database_connections_limit") >= 2 * 16


def test_dependencies_say_how_they_are(stack: ImageStack) -> None:
    for name in ("database", "storage", "cache", "queue"):
        assert stack.metric("imagestore_up", dependency=name) == 1
    assert stack.metric("imagestore_store_free_bytes") > 0
    assert stack.metric("imagestore_store_size_bytes") > stack.metric("imagestore_store_free_bytes")
    assert stack.metric("imagestore_cache_used_bytes") > 0
    assert stack.metric("imagestore_queue_jobs") == 0
    assert stack.metric("imagestore_workers") == 0
    assert stack.metric("imagestore_database_seconds_count", operation="write") > 0
    assert stack.metric("imagestore_store_seconds_count", operation="put") > 0


def test_page_is_valid_and_says_what_each_line_means(stack: ImageStack) -> None:
    answer = stack.http.get("/v1/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    lines = answer.text.splitlines()
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    helped = {line.split()[2] for line in lines if line.startswith("# HELP")}
    assert len(types) == len(set(types))
    for line in lines:
        if not line.startswith("#"):
            assert re.fullmatch(r'[a-z_]+(\{([a-z_]+="[^"\n]*",?)+\})? [0-9.e+-]+', line), line
            name = re.match(r"[a-z_]+", line) or [""]
            assert {name[0], re.sub(r"_(bucket|sum|count)$", "", name[0])} & helped, line


def test_page_shows_that_redis_is_away(stack: ImageStack) -> None:
    stack.redis.kill()
    try:
        assert stack.metric("imagestore_up", dependency="cache") == 0
        assert stack.metric("imagestore_up", dependency="queue") == 0
        assert stack.metric("imagestore_up", dependency="database") == 1
    finally:
        stack.redis.start()
    wait_until(lambda: stack.metric("imagestore_up", dependency="queue") == 1, what="the queue is back")
    wait_until(lambda: stack.metric("imagestore_up", dependency="cache") == 1, what="the cache is back")
    assert stack.metric("imagestore_outages_total") >= 1


def names(page: str) -> set[str]:
    """Of all measurements: those that the page has, and those that nobody has counted yet."""
    declared = {family.name for family in REGISTRY.collect() if family.name.startswith("imagestore_")}
    return declared | {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE imagestore_")}


def plain(name: str) -> str:
    """The name of the family that a line belongs to."""
    return re.sub(r"_(total|bucket|count|sum)$", "", name)


def test_dashboard_and_alerts_ask_for_what_is_there(stack: ImageStack) -> None:
    there = {plain(name) for name in names(stack.http.get("/metrics").text)}
    files = [*(ROOT / "monitoring").glob("*.yml"), *(ROOT / "monitoring").glob("grafana/dashboards/*.json")]

    asked = {name for path in files for name in re.findall(r"\bimagestore_[a-z_]+", path.read_text())}

    assert len(files) == 4
    assert len(asked) > 20
    assert {name for name in asked if not {name, plain(name)} & there} == set()


def test_every_measurement_is_in_the_list_for_people(stack: ImageStack) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    words = re.findall(r"`([a-z_]+)`", text)
    listed = {plain("imagestore_" + word.removeprefix("imagestore_")) for word in words}

    assert {plain(name) for name in names(stack.http.get("/metrics").text)} - listed == set()
