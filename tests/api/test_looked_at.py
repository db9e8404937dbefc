"""The scenes that a newcomer and an examiner look at first, on the whole stack."""

import concurrent.futures
import hashlib
import os
import threading
import time
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from tests import pictures
from tests.imagestack import ImageStack
from tests.servers import ROOT, wait_until

PHOTOS = Path(os.environ.get("IMAGESTORE_TEST_PHOTOS") or ROOT.parent / "shared" / "photos")
FITS = ("inside", "outside", "cover", "pad", "stretch")

needs_photos = pytest.mark.skipif(not PHOTOS.is_dir(), reason="the folder of photos is not on this machine")


def photos(folder: str) -> list[Path]:
    return sorted((PHOTOS / folder).iterdir()) if PHOTOS.is_dir() else []


def opened(body: bytes) -> Image.Image:
    return pictures.opened(body)


@needs_photos
@pytest.mark.parametrize(
    "path", photos("real") + photos("orientation") + photos("iiif"), ids=lambda p: p.name
)
def test_a_photo_comes_back_and_is_shown_in_every_fit(path: Path, shared_stack: ImageStack) -> None:
    body = path.read_bytes()
    image = shared_stack.upload(body, "photos", path.name)

    by_name = shared_stack.http.get(f"/photos/{path.name}")
    assert by_name.content == body
    assert image["sha256"] == hashlib.sha256(body).hexdigest()
    assert image["md5sum"] == hashlib.md5(body).hexdigest()
    for fit in FITS:
        shown = shared_stack.http.get(
            f"/image/read?id={image['id']}&width=300&height=300&fit={fit}&enlarge=1"
        )
        assert shown.status_code == 200, shown.text
        size = opened(shown.content).size
        if fit == "inside":
            assert max(size) == 300
        elif fit == "outside":
            assert min(size) == 300
        else:
            assert size == (300, 300)


@needs_photos
def test_every_odd_picture_is_served_or_cleanly_refused(shared_stack: ImageStack) -> None:
    outcomes = {}
    for path in photos("odd"):
        body = path.read_bytes()
        answer = shared_stack.writer.put(f"/odd/{path.name}", content=body)
        outcomes[path.name] = answer.status_code
        if answer.status_code in (200, 201):
            assert shared_stack.http.get(f"/odd/{path.name}").content == body
            for fit in FITS:
                url = f"/image/read?id={answer.json()['id']}&width=300&height=300&fit={fit}"
                assert shared_stack.http.get(url).status_code == 200, f"{path.name} {fit}"
        else:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.status_code in (415, 422), f"{path.name}: {answer.text}"

    # What these are is known from their makers (sharp's fixtures).
    refused = {name for name, status in outcomes.items() if status not in (200, 201)}
    assert {"check.svg", "relax.jp2", "corrupt-header.jpg", "truncated.jpg", "truncated.png"} <= refused
    assert {"swiss.png", "p3.png", "animated-loop-3.gif", "4.webp", "pitm.avif"}.isdisjoint(refused)


@needs_photos
@pytest.mark.parametrize("series", ["Landscape", "Portrait"])
def test_the_orientation_pictures_come_out_alike(series: str, shared_stack: ImageStack) -> None:
    upright = None
    for number in range(9):
        path = PHOTOS / "orientation" / f"{series}_{number}.jpg"
        image = shared_stack.upload(path.read_bytes(), "photos", path.name)
        shown = shared_stack.http.get(f"/image/read?id={image['id']}&width=300&height=300")
        pixels = np.asarray(opened(shown.content).convert("L"))
        upright = pixels if upright is None else upright
        assert pixels.shape == upright.shape
        # The nine files were made from one picture, each encoded anew, with its number painted in.
        assert structural_similarity(pixels, upright, data_range=255) > 0.9, path.name


def test_two_hundred_readers_of_one_missing_picture_cause_one_render(own_stack: ImageStack) -> None:
    image = own_stack.upload(pictures.photo(2400, 1800))
    before = own_stack.metric("imagestore_renders_total")
    url = f"{own_stack.address}/image/read?id={image['id']}&width=333"

    with concurrent.futures.ThreadPoolExecutor(200) as readers:
        answers = list(readers.map(lambda _: httpx.get(url, timeout=30), range(200)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert own_stack.metric("imagestore_renders_total") - before == 1


def test_no_old_bytes_one_second_after_a_replace_under_load(shared_stack: ImageStack) -> None:
    versions = [pictures.photo(400, 300, seed=seed) for seed in range(6)]
    order = {hashlib.sha256(body).hexdigest(): number for number, body in enumerate(versions)}
    image = shared_stack.upload(versions[0], "replaced", "under-load")
    urls = [f"/image/read?id={image['id']}", "/replaced/under-load"]
    replaced_at = [time.monotonic()]
    done = threading.Event()
    faults: list[str] = []

    def read(url: str) -> int:
        reads = 0
        with httpx.Client(base_url=shared_stack.address) as client:
            while not done.is_set():
                begun = time.monotonic()
                newest = max(n for n, at in enumerate(replaced_at) if at < begun - 1 or n == 0)
                answer = client.get(url)
                seen = order.get(hashlib.sha256(answer.content).hexdigest(), -1)
                if answer.status_code != 200 or seen < newest:
                    faults.append(f"{url}: status {answer.status_code}, version {seen}, expected {newest}")
                reads += 1
        return reads

    with concurrent.futures.ThreadPoolExecutor(4) as readers:
        reading = [readers.submit(read, url) for url in urls * 2]
        for body in versions[1:]:
            answer = shared_stack.writer.put(f"/v1/images/{image['id']}", content=body)
            replaced_at.append(time.monotonic())
            assert answer.status_code == 200
            settled = time.monotonic() + 1.5
            wait_until(lambda until=settled: time.monotonic() > until, what="time passes")
        done.set()

    assert faults == []
    assert sum(each.result() for each in reading) > 100
    old = hashlib.md5(versions[0]).hexdigest()
    assert shared_stack.http.get(f"/image/read?sum={old}").status_code == 404


def test_reads_and_uploads_go_on_without_redis_and_after_it(own_stack: ImageStack) -> None:
    body = pictures.photo(500, 400)
    image = own_stack.upload(body, "demo", "before")
    thumbnail = f"/image/read?id={image['id']}&width=100"
    first = own_stack.http.get(thumbnail)

    own_stack.redis.kill()
    assert own_stack.http.get(thumbnail).content == first.content
    assert own_stack.http.get("/demo/before").content == body
    other = own_stack.upload(pictures.photo(300, 200, seed=9), "demo", "while-away")
    replaced = own_stack.writer.put("/demo/before", content=pictures.photo(501, 400, seed=5))
    assert replaced.status_code == 200
    own_stack.redis.start()

    # The old record is in Redis' file; it must not come back.
    newer = own_stack.http.get("/health/ready")
    wait_until(
        lambda: own_stack.http.get("/health/ready").json()["checks"]["cache"], what="the cache is back"
    )
    assert newer.status_code == 200
    wait_until(
        lambda: own_stack.http.get(f"/image/info?id={image['id']}").json()["width"] == 501,
        what="the owed record is told",
        timeout_s=10,
    )
    assert own_stack.http.get(f"/image/read?id={other['id']}&width=50").status_code == 200
    wait_until(
        lambda: own_stack.http.get(f"/image/read?id={other['id']}&width=50").headers["X-Cache"] != "miss",
        what="pictures are cached again",
    )


def test_a_hung_redis_does_not_hang_readers(own_stack: ImageStack) -> None:
    image = own_stack.upload(pictures.photo(500, 400))
    url = f"/image/read?id={image['id']}&width=120"
    assert own_stack.http.get(url).status_code == 200

    own_stack.redis.pause()
    began = time.monotonic()
    answers = [own_stack.http.get(url).status_code for _ in range(5)]
    took = time.monotonic() - began
    own_stack.redis.resume()

    assert answers == [200] * 5
    assert took < 10


def patiently(http: httpx.Client, url: str) -> httpx.Response:
    """The answer, asked for again while it is a 503, as its Retry-After says (20 times at most).

    A Redis that a busy machine stalls for 200 ms is left alone for a second.
    """
    for _ in range(20):
        answer = http.get(url)
        if answer.status_code != 503:
            break
        time.sleep(float(answer.headers["Retry-After"]))
    return answer


def is_hit(http: httpx.Client, url: str) -> bool:
    return http.get(url).headers["X-Cache"] != "miss"


def test_cached_pictures_are_served_while_the_api_is_down(own_stack: ImageStack) -> None:
    image = own_stack.upload(pictures.photo(500, 400))
    url = f"/image/read?id={image['id']}&width=77&height=55&fit=cover"
    spellings = (url, f"/image/read?fit=cover&height=55&id={image['id']}&width=77")
    first = own_stack.http.get(url)
    for each in spellings:
        wait_until(partial(is_hit, own_stack.http, each), what=f"a hit of {each}")

    own_stack.api.stop()
    for each in spellings:
        answer = patiently(own_stack.http, each)
        assert (answer.status_code, answer.content) == (200, first.content)
        assert answer.headers["ETag"] == first.headers["ETag"]
    missing = own_stack.http.get(f"/image/read?id={image['id']}&width=78")
    assert missing.status_code == 503
    assert missing.headers["Content-Type"] == "application/problem+json"

    own_stack.api.start(timeout_s=40)
    own_stack.wait_ready()
    assert own_stack.http.get(f"/image/read?id={image['id']}&width=78").status_code == 200


def rss_mib(pid: int) -> float:
    """Resident memory of a process and its direct children, in MiB."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        if (
            str(pid) in (fields["Pid"], fields["PPid"])
            and "gunicorn" in (status.parent / "cmdline").read_text()
        ):
            total = max(total, int(fields.get("VmRSS", "0 kB").split()[0]))
    return total / 1024


def test_many_large_uploads_at_once_keep_memory_bounded(own_stack: ImageStack) -> None:
    bodies = [pictures.photo(600 + 100 * n, 500 + 60 * n, seed=n, quality=98) for n in range(24)]
    small = own_stack.upload(pictures.photo(300, 200, seed=99))
    done = threading.Event()
    statuses: list[int] = []

    def read() -> None:
        with httpx.Client(base_url=own_stack.address, timeout=30) as client:
            width = 40
            while not done.is_set():
                statuses.append(client.get(f"/image/read?id={small['id']}&width={width}").status_code)
                width = 40 + (width + 7) % 200

    def upload(numbered: tuple[int, bytes]) -> int:
        number, body = numbered
        answer = own_stack.writer.put(f"/bulk/{number}.jpg", content=body)
        return answer.status_code

    with concurrent.futures.ThreadPoolExecutor(9) as clients:
        reading = clients.submit(read)
        uploads = list(clients.map(upload, enumerate(bodies)))
        done.set()
        reading.result()

    assert uploads == [201] * 24
    assert set(statuses) == {200}
    assert own_stack.api.process is not None
    assert rss_mib(own_stack.api.process.pid) < 250
