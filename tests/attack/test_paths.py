"""Ways out of where a path belongs, at every level of encoding: none leads to a file or an inner location."""

import pytest

from tests.api.asking import spoken
from tests.imagestack import API_KEY, ImageStack

UP = [
    *("../", "..%2f", "%2e%2e/", "%2e%2e%2f", ".%2e/", "%2e./"),
    *("%252e%252e%252f", "%25252e%25252e%25252f", "..%252f", "%%32%65%%32%65/"),
    *("%c0%ae%c0%ae/", "%c0%ae%c0%ae%c0%af", "%e0%80%ae%e0%80%ae/", "%f0%80%80%ae%f0%80%80%ae/"),
    *("%uff0e%uff0e/", "%ef%bc%8e%ef%bc%8e/", "..%ef%bc%8f", "..%e2%88%95"),
    *("..\\", "..%5c", "%2e%2e%5c", "..%255c"),
    *("..;/", "..;a=b/", ";/../", ".../", "..../", ". ./", "..%20/", "..%09/", "..%00/", "%00../"),
    *("..//", "./../", "/./../", "//../", "..%0d%0a/", "..?/", "..#/"),
]
"""One step up, as somebody may read it."""

STARTS = ["/", "/demo/", "/v1/demo/", "/image/", "/problems/", "/docs/", "/images/"]
TARGETS = ["etc/passwd", "_original/{file}", "_found/{file}", "imagestore.db"]


@pytest.fixture(scope="module")
def file(attacked: ImageStack) -> str:
    """The path of a stored original below the store's folder."""
    sha256 = attacked.http.get("/images/1").json()["sha256"]
    path = f"{sha256[:2]}/{sha256[2:4]}/{sha256}"
    assert (attacked.folder / "data" / "originals" / path).is_file()
    return path


def asked(stack: ImageStack, target: str, method: str = "GET") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    return spoken(stack, f"{head}Authorization: Bearer {API_KEY}\r\n\r\n".encode())


@pytest.mark.parametrize("up", UP)
def test_no_step_up_leads_out(attacked: ImageStack, up: str, file: str) -> None:
    for start in STARTS:
        for target in TARGETS:
            said = asked(attacked, start + up * 6 + target.format(file=file))
            assert_nothing_found(attacked, said)


@pytest.mark.parametrize(
    "target",
    [
        "/_original/{file}",
        "/_original//{file}",
        "/%5foriginal/{file}",
        "/_origina%6c/{file}",
        "//_original/{file}",
        "/./_original/{file}",
        "/v1/_original/{file}",
        "/_found/{file}",
        "/_remote/",
        "/_problem/image-not-found",
        "/@api",
        "http://x/_original/{file}",
        "http://x:80/../_original/{file}",
        "HTTP://127.0.0.1/_found/{file}",
        "/originals/{file}",
        "/data/originals/{file}",
        "/{file}",
        "/demo/../_original/{file}",
        "/demo/..;/_original/{file}",
        "/image/read/..%2f..%2f_original/{file}",
        "/image/read?id=../../etc/passwd",
        "/image/read?id=1&watermark=../../etc/passwd",
        "/image/read?id=1&watermark=%2fetc%2fpasswd",
        "/image/read?sum=../../../../etc/passwd",
        "/image/info?domain=..&dkey=..%2fetc%2fpasswd",
        "/demo/photo-0.jpg/../../_original/{file}",
        "/demo/photo-0.jpg%00.png",
        "/demo/photo-0.jpg/.",
        "/demo/photo-0.jpg.",
        "/demo/photo-0.jpg%20",
        "/demo/photo-0.jpg;x",
        "/demo/./photo-0.jpg%2f",
        "/DEMO/photo-0.jpg",
        "/demo//photo-0.jpg",
        "*",
        "/demo/photo-0.jpg::$DATA",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_what_is_inside_has_no_name_outside(
    attacked: ImageStack, method: str, target: str, file: str
) -> None:
    said = asked(attacked, target.format(file=file), method)

    assert_nothing_found(attacked, said)


def test_originals_are_all_still_there(attacked: ImageStack) -> None:
    for number in range(3):
        assert attacked.http.get(f"/demo/photo-{number}.jpg").status_code == 200


def assert_nothing_found(stack: ImageStack, said: bytes) -> None:
    head, _, body = said.partition(b"\r\n\r\n")
    assert head[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 404", b"HTTP/1.1 405"), said[:300]
    assert b"application/problem+json" in head
    for secret in (b"root:", b"SQLite", b"\xff\xd8\xff", str(stack.folder).encode(), b"nginx", b"gunicorn"):
        assert secret not in body
