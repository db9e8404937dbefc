"""Pictures in: every way to send one, what names may be, and that all bytes arrive."""

import hashlib
import json
import socket
import unicodedata
import zlib
from pathlib import Path
from urllib.parse import quote

import pytest

from tests import pictures
from tests.api.asking import AUTH, forget_peak, in_pieces, raw, resident_mib, spoken, workers
from tests.imagestack import ImageStack


def files_of(stack: ImageStack, sha256: str) -> list[Path]:
    return list((stack.folder / "data" / "originals").rglob(f"{sha256}*"))


def noise_png(width: int, height: int) -> bytes:
    """An uncompressed PNG, so that its size is known and nothing is saved by its content."""
    noise = pictures.texture(64, 64).tobytes()
    rows = (noise * (3 * width * height // len(noise) + 1))[: 3 * width * height]
    lines = b"".join(b"\0" + rows[at : at + 3 * width] for at in range(0, len(rows), 3 * width))
    header = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x02\0\0\0"
    body = pictures.chunk(b"IHDR", header) + pictures.chunk(b"IDAT", zlib.compress(lines, 0))
    return b"\x89PNG\r\n\x1a\n" + body + pictures.chunk(b"IEND", b"")


def form(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A multipart body by hand (RFC 7578), its parts in the given order."""
    lines = b""
    for name, value in parts:
        lines += b'--line\r\nContent-Disposition: form-data; name="' + name.encode() + b'"'
        lines += b'; filename="x.jpg"' if name == "file" else b""
        lines += b"\r\n\r\n" + value + b"\r\n"
    return lines + b"--line--\r\n", {"Content-Type": "multipart/form-data; boundary=line"}


def test_a_form_with_every_field_is_stored_as_it_says(shared_stack: ImageStack) -> None:
    body = pictures.photo(90, 60, seed=11)
    fields = {"domain": "forms", "dkey": "every/field.jpg", "metadata": '{"author": "Zoë", "n": [1, null]}'}

    answer = shared_stack.writer.post(
        "/image/upload", files={"file": ("other-name.png", body)}, data={**fields, "mode": "sync"}
    )

    assert answer.status_code == 201
    image = answer.json()
    assert answer.headers["Location"] == f"/v1/images/{image['id']}"
    assert (image["domain"], image["dkey"], image["rev"]) == ("forms", "every/field.jpg", 1)
    assert (image["width"], image["height"], image["size"]) == (90, 60, len(body))
    assert (image["format"], image["content_type"]) == ("jpeg", "image/jpeg")
    assert image["md5sum"] == hashlib.md5(body).hexdigest()
    assert image["sha256"] == hashlib.sha256(body).hexdigest()
    assert image["user_metadata"] == {"author": "Zoë", "n": [1, None]}
    for link in image["links"].values():
        assert shared_stack.http.get(link).status_code == 200
    assert shared_stack.http.get(image["links"]["original"]).content == body


@pytest.mark.parametrize("order", ["before", "after", "around"])
def test_fields_count_wherever_they_stand_in_the_form(shared_stack: ImageStack, order: str) -> None:
    picture = ("file", pictures.photo(33, 22, seed=12))
    domain, dkey = ("domain", b"forms"), ("dkey", f"fields-{order}".encode())
    parts = {
        "before": [domain, dkey, picture],
        "after": [picture, domain, dkey],
        "around": [domain, picture, dkey],
    }

    body, headers = form(*parts[order])
    answer = shared_stack.writer.post("/image/upload", content=body, headers=headers)

    assert answer.status_code == 201, answer.text
    assert (answer.json()["domain"], answer.json()["dkey"]) == ("forms", f"fields-{order}")


@pytest.mark.parametrize("path", ["/image/upload", "/v1/image/upload", "/images", "/v1/images"])
@pytest.mark.parametrize("media_type", ["image/jpeg", "application/octet-stream", None])
def test_a_raw_body_is_stored_with_the_fields_of_the_query(
    shared_stack: ImageStack, path: str, media_type: str | None
) -> None:
    body = pictures.photo(35, 25, seed=13)
    name = f"{path.strip('/')}/{media_type}"
    headers = {"Content-Type": media_type} if media_type else {}

    query = f"domain=raw&dkey={quote(name)}&metadata=%7B%22a%22%3A1%7D"
    answer = shared_stack.writer.post(f"{path}?{query}", content=body, headers=headers)

    assert answer.status_code == 201, answer.text
    assert (answer.json()["dkey"], answer.json()["user_metadata"]) == (name, {"a": 1})
    assert shared_stack.http.get(f"/raw/{quote(name)}").content == body


def test_put_by_name_creates_and_then_replaces(shared_stack: ImageStack) -> None:
    first, second = pictures.photo(31, 21, seed=14), pictures.photo(32, 22, seed=15)

    created = shared_stack.writer.put("/put/one", content=first)
    same = shared_stack.writer.put("/v1/put/one", content=first)
    replaced = shared_stack.writer.put("/put/one", content=second)

    assert (created.status_code, same.status_code, replaced.status_code) == (201, 200, 200)
    assert created.json()["id"] == replaced.json()["id"]
    assert [answer.json()["rev"] for answer in (created, same, replaced)] == [1, 1, 2]
    assert raw(shared_stack, "GET", "/put/one").content == second


def test_an_upload_without_a_name_gets_one_made_from_its_hash(shared_stack: ImageStack) -> None:
    body = pictures.photo(41, 31, seed=16)

    first = shared_stack.writer.post("/image/upload", files={"file": body})
    again = shared_stack.writer.post("/image/upload", files={"file": body})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["domain"] == "default"
    assert first.json()["dkey"] == hashlib.sha256(body).hexdigest() + ".jpeg"


def test_equal_bytes_under_several_names_are_stored_once(shared_stack: ImageStack) -> None:
    body = pictures.photo(43, 33, seed=17)

    images = [shared_stack.upload(body, domain, "same") for domain in ("one", "two", "three")]

    assert len({image["id"] for image in images}) == 3
    assert len(files_of(shared_stack, hashlib.sha256(body).hexdigest())) == 1
    assert shared_stack.writer.delete(f"/v1/images/{images[0]['id']}").status_code == 204
    assert raw(shared_stack, "GET", "/two/same").content == body


def test_overwrite_takes_new_metadata_and_its_absence_keeps_the_old(shared_stack: ImageStack) -> None:
    body = pictures.photo(44, 34, seed=18)
    shared_stack.upload(body, "meta", "x", metadata='{"v": 1}')

    kept = shared_stack.upload(body, "meta", "x", metadata='{"v": 2}')
    taken = shared_stack.upload(body, "meta", "x", metadata='{"v": 3}', overwrite="1")
    other = shared_stack.upload(pictures.photo(45, 35, seed=19), "meta", "x", overwrite="true")

    assert [image["user_metadata"] for image in (kept, taken, other)] == [{"v": 1}, {"v": 3}, {"v": 3}]
    assert [image["rev"] for image in (kept, taken, other)] == [1, 2, 3]


@pytest.mark.parametrize("field", [{"overwrite": "yes"}, {"mode": "later"}, {"domain": "A"}, {"owner": "me"}])
def test_fields_outside_their_grammar_store_nothing(shared_stack: ImageStack, field: dict[str, str]) -> None:
    body = pictures.photo(46, 36, seed=20)

    answer = shared_stack.writer.post("/image/upload", files={"file": body}, data=field)

    assert answer.status_code == 400
    assert shared_stack.http.get(f"/image/info?sum={hashlib.md5(body).hexdigest()}").status_code == 404
    assert files_of(shared_stack, hashlib.sha256(body).hexdigest()) == []


NAMES = [
    "😀/👩‍👩‍👧.jpg",
    "image .jpg",
    " leading and trailing ",
    "image%20space.jpg",
    "image.jpg%23something",
    "image.jpg%3Fts%3D1",
    "image.jpg#something",
    "image.jpg?ts=1",
    "maracujá.jpg",
    unicodedata.normalize("NFD", "maracujá.jpg"),
    "изображение.jpg",
    "%",
    "%zz%2",
    "%252e%252e/x",
    "a//b",
    "a///b",
    "/a",
    "a/",
    "a/b",
    "a+b",
    "a b",
    "A+B",
    "...",
    "a/.../b",
    "..a/b..",
    "~x;y=1,2&z='\"<>|*",
    "x:{y}|`^[z]",
    "widths=100&auto",
    "\u200b\u202e\ufeff",
    "x" * 255,
    "𝔵" * 255,
]


@pytest.mark.parametrize("safe", ["/", ""], ids=["slashes-plain", "slashes-encoded"])
def test_odd_names_are_names_of_their_own(shared_stack: ImageStack, safe: str) -> None:
    domain = "odd" if safe else "odder"
    bodies = {name: pictures.photo(16 + n, 16, seed=n) for n, name in enumerate(NAMES)}
    for name, body in bodies.items():
        answer = raw(shared_stack, "PUT", f"/{domain}/{quote(name, safe=safe)}", body)
        assert (answer.status_code, answer.json()["dkey"]) == (201, name)

    for name, body in bodies.items():
        path = f"/{domain}/{quote(name, safe=safe)}"
        assert raw(shared_stack, "GET", path).content == body, name
        # The second answer comes from what nginx has learnt from the first.
        again = raw(shared_stack, "GET", path)
        assert (again.status_code, again.content) == (200, body), name
        info = shared_stack.http.get("/image/info", params={"domain": domain, "dkey": name}).json()
        assert info["dkey"] == name
        assert raw(shared_stack, "GET", info["links"]["original"]).content == body, name


def test_a_url_that_is_not_ascii_is_refused_whether_it_is_cached_or_not(shared_stack: ImageStack) -> None:
    shared_stack.writer.put(f"/bytes/{quote('é😀')}", content=pictures.photo(20, 30, seed=21))
    assert shared_stack.http.get(f"/bytes/{quote('é😀')}").status_code == 200

    for name in ("é😀", "nobody-é"):
        ask = f"GET /bytes/{name} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        # RFC 3986 §2: what is not ASCII has to be percent-encoded.
        assert spoken(shared_stack, ask.encode()).startswith(b"HTTP/1.1 400 ")


def test_a_chunked_body_is_stored_whole(shared_stack: ImageStack) -> None:
    body = pictures.photo(900, 700, seed=22, quality=98)

    answer = shared_stack.writer.put("/chunked/x", content=in_pieces(body, 1000))

    assert answer.status_code == 201
    assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()


def test_a_chunked_body_over_the_limit_is_refused(shared_stack: ImageStack) -> None:
    body = pictures.photo(20, 20) + bytes(34 * 1024 * 1024)

    answer = shared_stack.writer.put("/chunked/big", content=in_pieces(body))

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/payload-too-large")


def test_a_client_that_waits_for_100_continue_gets_it(shared_stack: ImageStack) -> None:
    body = pictures.photo(50, 40, seed=23)
    head = f"PUT /waiting/x HTTP/1.1\r\nHost: x\r\nAuthorization: {AUTH['Authorization']}\r\n"
    head += f"Connection: close\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"

    said = spoken(shared_stack, head.encode(), body, until=b"HTTP/1.1 100 ")

    assert b"HTTP/1.1 201 " in said
    assert json.loads(said.split(b"\r\n\r\n")[-1])["size"] == len(body)


@pytest.mark.parametrize("framing", ["Content-Length: {size}", "Transfer-Encoding: chunked"])
def test_a_client_that_breaks_off_leaves_nothing(shared_stack: ImageStack, framing: str) -> None:
    body = pictures.photo(300, 200, seed=24)
    head = f"PUT /broken/off HTTP/1.1\r\nHost: x\r\nAuthorization: {AUTH['Authorization']}\r\n"
    head += framing.format(size=len(body)) + "\r\n\r\n"
    first = body[:1000] if "Length" in framing else b"3e8\r\n" + body[:1000] + b"\r\n"

    with socket.create_connection(("127.0.0.1", shared_stack.nginx.port)) as connection:
        connection.sendall(head.encode() + first)

    assert shared_stack.writer.put("/broken/other", content=pictures.photo(20, 20)).is_success
    assert shared_stack.http.get("/broken/off").status_code == 404
    assert list((shared_stack.folder / "data" / "spool").iterdir()) == []


@pytest.mark.parametrize("as_form", [False, True])
def test_a_large_upload_does_not_go_through_the_memory_of_the_api(
    shared_stack: ImageStack, as_form: bool
) -> None:
    # 3 x 3200 x 3270 bytes are 29.9 MiB.
    body = noise_png(3200, 3270)
    warm_up = shared_stack.writer.put("/large/warm-up", content=pictures.photo(30, 20))
    assert warm_up.status_code in (200, 201)
    before = {pid: resident_mib(pid) for pid in workers(shared_stack)}
    for pid in before:
        forget_peak(pid)

    if as_form:
        answer = shared_stack.writer.post(
            "/image/upload", files={"file": body}, data={"domain": "large", "dkey": "form"}
        )
    else:
        answer = shared_stack.writer.put("/large/raw", content=body)

    assert answer.status_code in (200, 201), answer.text
    grown = max(resident_mib(pid, peak=True) - size for pid, size in before.items())
    assert grown < 10
    assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()
