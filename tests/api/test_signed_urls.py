"""Signed URLs through the whole stack: who has no valid one gets nothing, from no cache either."""

import contextlib
import http.client
import time
from collections.abc import Iterator

import httpx
import pytest

from imagestore.signing import SigningKey, sign
from tests.api.asking import assert_problem
from tests.imagestack import API_KEY, ImageStack, image_stack
from tests.pictures import photo
from tests.servers import wait_until

KEY = SigningKey("k1", "1" * 32)
OTHER = SigningKey("k2", "2" * 32)
STRANGER = SigningKey("k1", "3" * 32)
SHOP_KEY = "key-of-the-domain-shop"
PRIVATE_KEY = "key-of-the-domain-private"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageStack]:
    with image_stack(
        tmp_path_factory.mktemp("signed"),
        SIGNING="private=enforce, watched=report, *=off",
        SIGNING_KEYS=f"k1={KEY.secret}, k2={OTHER.secret}",
        API_KEYS=f"{SHOP_KEY}=shop; {PRIVATE_KEY}=private",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def image(stack: ImageStack) -> dict[str, str]:
    """A picture of the domain that demands signatures; its values as text."""
    stored = stack.upload(photo(120, 80), domain="private", dkey="a/ü 1.jpg")
    return {name: str(stored[name]) for name in ("id", "md5sum", "sha256")}


NAME = "/private/a/%C3%BC%201.jpg"


def ask(stack: ImageStack, path: str, method: str = "GET", **headers: str) -> httpx.Response:
    """Ask nginx for `path` exactly as it is written, without a key."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.nginx.port, timeout=30)
    with contextlib.closing(connection):
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def warm(stack: ImageStack, url: str) -> httpx.Response:
    """Ask until nginx has the picture in its own memory."""

    def remembered() -> bool:
        return ask(stack, url).headers.get("X-Cache") == "memory"

    wait_until(remembered, what=f"{url} is remembered")
    return ask(stack, url)


def ways(image: dict[str, str]) -> list[str]:
    """Every public way to the picture and to what is known of it."""
    return [
        f"/image/read?id={image['id']}",
        f"/image/read?id={image['id']}&width=40",
        f"/image/read?sum={image['md5sum']}",
        f"/image/read?width=40&sum={image['sha256']}",
        NAME,
        f"/image/info?id={image['id']}",
        f"/image/info?sum={image['md5sum']}",
        "/image/info?domain=private&dkey=a/%C3%BC%201.jpg",
        f"/images/{image['id']}",
        "/images?domain=private",
    ]


def test_every_way_is_shut_without_a_signature_and_open_with_one(
    stack: ImageStack, image: dict[str, str]
) -> None:
    for way in ways(image):
        for prefix in ("", "/v1"):
            for method in ("GET", "HEAD"):
                url = prefix + way
                refused = ask(stack, url, method)
                assert refused.status_code == 403, url
                if method == "GET":
                    assert_problem(refused, 403, "signature-invalid")
                assert ask(stack, sign(url, KEY), method).status_code == 200, url
                assert ask(stack, sign(url, OTHER, expires=9_999_999_999), method).status_code == 200, url
                assert ask(stack, sign(url, STRANGER), method).status_code == 403, url
                assert_problem(ask(stack, sign(url, KEY, expires=1_000_000_000)), 403, "signature-expired")


@pytest.mark.parametrize(
    "path", ["/image/read?id={}", "/image/read?id={}&width=9", "/image/info?id={}", "/images/{}"]
)
def test_nobody_learns_which_images_there_are_without_a_signature(
    stack: ImageStack, image: dict[str, str], path: str
) -> None:
    there, missing = path.format(image["id"]), path.format(999_999_999)

    if "read" in path:
        warm(stack, sign(there, KEY))
    assert ask(stack, sign(there, KEY)).status_code == 200
    refusals = [ask(stack, url) for url in (there, missing)]

    for refusal in refusals:
        assert_problem(refusal, 403, "signature-invalid")
    bodies = [{**refusal.json(), "instance": ""} for refusal in refusals]
    assert bodies[0] == bodies[1]
    assert [*refusals[0].headers] == [*refusals[1].headers]
    assert_problem(ask(stack, sign(missing, KEY)), 404, "image-not-found")


def test_no_log_holds_a_signature(stack: ImageStack, image: dict[str, str]) -> None:
    signed = sign(f"/image/read?id={image['id']}&width=43", KEY)
    signature = signed.partition("&sig=")[2]
    access = stack.folder / "nginx" / "access.log"

    ask(stack, f"{signed}&x=1&sig={signature}")
    ask(stack, signed)

    kept = "width=43&kid=k1&sig=... HTTP/1.1"
    wait_until(lambda: access.read_text().count(kept) == 2, what="nginx logs both")
    assert not [path for path in stack.folder.rglob("*.log") if signature in path.read_text()]


@pytest.mark.parametrize("path", [NAME, "/image/read?id={id}&width=41", "/image/read?sum={md5sum}"])
def test_no_trick_gets_a_picture_that_is_in_memory(
    stack: ImageStack, image: dict[str, str], path: str
) -> None:
    path = path.format(**image)
    signed = sign(path, KEY, expires=9_999_999_999)
    head, _, query = signed.partition("?")
    kept, _, signature = query.rpartition("&sig=")
    assert warm(stack, signed).status_code == 200
    separator = "&" if "?" in path else "?"

    tricks = [
        path,
        signed + "&sig=" + signature,
        f"{path}{separator}sig={signature}&{kept.partition('?')[2]}",
        f"{head}?sig=x&{query}",
        signed.replace("sig=", "%73ig="),
        signed.replace("sig=", "SIG="),
        signed.replace("&sig=", ";sig="),
        signed.replace("&", ";"),
        signed.replace("?", "??"),
        signed.replace("?", "?&"),
        signed.replace("?", "%3F"),
        signed.replace("&sig=", "?sig="),
        signed.replace("kid=k1", "kid=k2"),
        signed.replace("kid=k1", "kid="),
        signed.replace("&kid=k1", ""),
        signed.replace("kid=k1", "%6bid=k1"),
        signed.replace("kid=k1", "kid=K1"),
        signed.replace("expires=9999999999", "expires=99999999999999999999"),
        signed.replace("expires=9999999999", "expires=9999999998"),
        signed.replace("expires=9999999999", "expires="),
        signed.replace("expires=9999999999", "expires=1"),
        signed.replace("expires=9999999999&", ""),
        signed.replace("expires=9999999999", "expires=9999999999&expires=1"),
        signed.replace(signature, ""),
        signed.replace(signature, signature[:-1]),
        signed.replace(signature, signature[:22]),
        signed.replace(signature, signature.swapcase()),
        signed.replace(signature, signature + "="),
        signed.replace(signature, signature + "A"),
        signed.replace(signature, "A" * 3000),
        signed.replace(signature, "%C3%BC" * 5),
        signed.replace(signature, "%00"),
        signed.replace(signature, "*"),
        "/" + signed,
        "/v1/v1" + signed,
        "//v1" + signed,
        "/." + signed,
        "/x/.." + signed,
        "/%2F" + signed,
        signed.replace("/", "%2F", 1),
        f"http://127.0.0.1{path}",
    ]
    for trick in tricks:
        for headers in ({}, {"If_None_Match": "*"}, {"Range": "bytes=0-9"}):
            answer = ask(stack, trick, **headers)
            assert answer.status_code in (400, 403, 404), (trick, headers, answer.status_code)
            assert "ETag" not in answer.headers
            assert not answer.headers["Content-Type"].startswith("image/")


def test_raw_bytes_outside_ascii_are_refused(stack: ImageStack, image: dict[str, str]) -> None:
    warm(stack, sign(NAME, KEY))

    for target in (b"/private/a/\xc3\xbc%201.jpg", b"/private/a/%C3%BC%201.jpg?sig=\xff&kid=k1"):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.nginx.port)) as connection:
            connection.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert connection.sock.makefile("rb").read().split(b" ")[1] in (b"400", b"403")


def test_signed_picture_is_hot_in_any_order_and_under_any_time(
    stack: ImageStack, image: dict[str, str]
) -> None:
    url = f"/image/read?id={image['id']}&width=42"
    warm(stack, sign(url, KEY))

    head, _, query = sign(url, KEY, expires=9_000_000_000).partition("?")
    turned = "&".join(reversed(query.split("&")))
    # One memory and one spelling for all signatures of a picture.
    assert ask(stack, sign(url, OTHER, expires=9_000_000_001)).headers["X-Cache"] in ("memory", "redis")
    assert ask(stack, f"/v1{head}?{turned}").status_code == 200


def test_conditional_and_partial_reads_need_the_signature_too(
    stack: ImageStack, image: dict[str, str]
) -> None:
    for path in (f"/image/read?id={image['id']}&width=43", NAME):
        for signed, wrong in ((sign(path, KEY), sign(path, STRANGER)),):
            etag = warm(stack, signed).headers["ETag"]
            assert ask(stack, signed, If_None_Match=etag).status_code == 304
            assert_problem(ask(stack, wrong, If_None_Match=etag), 403, "signature-invalid")
            assert_problem(ask(stack, path, If_None_Match="*"), 403, "signature-invalid")
            assert_problem(ask(stack, path, If_Match='"x"'), 403, "signature-invalid")
    assert ask(stack, sign(NAME, KEY), Range="bytes=0-9").status_code == 206
    assert ask(stack, sign(NAME, STRANGER), Range="bytes=0-9").status_code == 403


def test_time_ends_for_caches_too(stack: ImageStack, image: dict[str, str]) -> None:
    now = int(time.time())
    by_sum = f"/image/read?sum={image['sha256']}&width=44"

    for url, age, scope in (
        (sign(by_sum, KEY, expires=now + 1000), 1000, "immutable"),
        (sign(by_sum, KEY), 31_536_000, "immutable"),
        (sign(NAME, KEY, expires=now + 1000), 10, "must-revalidate"),
        (sign(NAME, KEY, expires=now + 5), 5, "must-revalidate"),
    ):
        # From the API, from Redis, from memory.
        for _ in range(3):
            directives = ask(stack, url).headers["Cache-Control"].split(", ")
            assert directives[0] == "public"
            assert directives[2] == scope
            left = int(directives[1].removeprefix("max-age="))
            assert age - 4 <= left <= age


def test_signed_picture_is_gone_in_the_second_in_which_it_expires(
    stack: ImageStack, image: dict[str, str]
) -> None:
    expires = int(time.time()) + 3
    signed = sign(f"/image/read?id={image['id']}&width=45", KEY, expires=expires)

    answers = []
    while not answers or answers[-1][1] != 403:
        begun = time.time()
        answers.append((begun, ask(stack, signed).status_code))

    assert {status for _, status in answers[:-1]} <= {200}
    # nginx knows the time to the last event, some milliseconds ago.
    assert all(begun < expires + 0.5 for begun, _ in answers[:-1])


def test_key_that_may_read_needs_no_signature(stack: ImageStack, image: dict[str, str]) -> None:
    rendition = f"/image/read?id={image['id']}&width=46"
    warm(stack, sign(rendition, KEY))

    for url in (rendition, *ways(image)):
        for key in (API_KEY, PRIVATE_KEY):
            answer = ask(stack, url, Authorization=f"Bearer {key}")
            assert answer.status_code == 200, url
            assert "public" not in answer.headers["Cache-Control"]
        for wrong in (f"Bearer {SHOP_KEY}", "Bearer " + "x" * 20, "Basic eDp5", "Bearer", ""):
            assert ask(stack, url, Authorization=wrong).status_code == 403, (url, wrong)


def test_list_of_everything_needs_a_signature_or_a_key_of_everything(stack: ImageStack) -> None:
    assert ask(stack, "/images?limit=1").status_code == 403
    assert ask(stack, "/images?limit=1", Authorization=f"Bearer {PRIVATE_KEY}").status_code == 403
    assert ask(stack, "/images?limit=1", Authorization=f"Bearer {API_KEY}").status_code == 200
    assert ask(stack, sign("/images?limit=1", KEY)).status_code == 200
    assert ask(stack, "/images?domain=shop").status_code == 200


def test_names_of_a_shut_domain_cannot_be_guessed(stack: ImageStack, image: dict[str, str]) -> None:
    for url in ("/private/not-there", "/image/info?domain=private&dkey=not-there"):
        assert_problem(ask(stack, url), 403, "signature-invalid")
        assert_problem(ask(stack, sign(url, KEY)), 404, "image-not-found")


def test_open_domains_take_signatures_without_looking(stack: ImageStack) -> None:
    stored = stack.upload(photo(90, 60), domain="shop", dkey="x")
    for url in (f"/image/read?id={stored['id']}&width=30", "/shop/x", f"/image/info?id={stored['id']}"):
        for way in (url, sign(url, STRANGER), sign(url, KEY, expires=1)):
            assert ask(stack, way).status_code == 200
    assert warm(stack, sign("/shop/x", STRANGER)).headers["Cache-Control"].startswith("public, max-age=10,")


def test_same_bytes_in_an_open_and_in_a_shut_domain(stack: ImageStack) -> None:
    body = photo(70, 50)
    open_first = stack.upload(body, domain="shop", dkey="shared")
    shut = stack.upload(body, domain="private", dkey="shared")
    by_sum = f"/image/read?sum={open_first['md5sum']}"

    for url in (by_sum, f"{by_sum}&width=20", f"/image/read?id={open_first['id']}&width=20", "/shop/shared"):
        assert warm(stack, url).status_code == 200
    for url in (f"/image/read?id={shut['id']}&width=20", "/private/shared", f"/image/info?id={shut['id']}"):
        assert ask(stack, url).status_code == 403
    # The image that answers for a sum is the one that has held it longest: now the other one.
    stack.writer.delete("/shop/shared")
    for url in (by_sum, f"{by_sum}&width=20"):
        wait_until(lambda url=url: ask(stack, url).status_code == 403, what="the sum is the shut domain's")
    assert ask(stack, sign(f"{by_sum}&width=20", KEY)).status_code == 200


def test_report_lets_in_and_counts(stack: ImageStack) -> None:
    stored = stack.upload(photo(66, 44), domain="watched", dkey="x")
    url = f"/image/info?id={stored['id']}"

    def counted(problem: str) -> float:
        return stack.metric("imagestore_unsigned_total", mode="report", problem=problem)

    before = counted("signature-invalid"), counted("signature-expired")
    for each in (url, sign(url, STRANGER), sign(url, KEY, expires=1), sign(url, KEY)):
        assert ask(stack, each).status_code == 200
    assert (counted("signature-invalid"), counted("signature-expired")) == (before[0] + 2, before[1] + 1)
    # Also what nginx answers itself goes on being answered.
    assert warm(stack, "/watched/x").headers["X-Cache"] == "memory"


# The server as the signer.


def signatures(stack: ImageStack, urls: list[str], key: str = API_KEY, **members: object) -> httpx.Response:
    auth = {"Authorization": f"Bearer {key}"}
    return stack.http.post("/v1/signed-urls", json={"urls": urls, **members}, headers=auth)


def test_the_server_signs_what_a_key_may_read(stack: ImageStack, image: dict[str, str]) -> None:
    open_url = f"/image/read?id={stack.upload(photo(9, 9), domain='shop', dkey='open')['id']}&width=5"
    urls = [way for way in ways(image) if not way.startswith("/images")]
    watched = f"/v1/image/read?id={stack.upload(photo(9, 9), domain='watched', dkey='w')['id']}"
    before = int(time.time())

    answer = signatures(stack, [*urls, watched, open_url], expires_in_s=400).json()

    *signed, of_watched, of_open = answer["urls"]
    assert of_open == open_url
    assert of_watched.startswith(f"{watched}&expires=")
    # Rounded down to a quarter of the life.
    assert answer["expires"] % 100 == 0
    assert before + 300 < answer["expires"] <= time.time() + 400
    for url, given in zip(urls, signed, strict=True):
        assert given == sign(url, KEY, expires=answer["expires"])
        assert ask(stack, given).status_code == 200, url


def test_a_key_of_some_domains_gets_signatures_there_alone(stack: ImageStack, image: dict[str, str]) -> None:
    urls = [
        f"/image/read?id={image['id']}",
        NAME,
        f"/v1{NAME}",
        "/image/info?domain=private&dkey=a/%C3%BC%201.jpg",
    ]
    by_sum = [
        f"/image/{route}?sum={image[sum]}" for route in ("read", "info") for sum in ("md5sum", "sha256")
    ]
    missing = "/image/read?id=999999999"

    own = signatures(stack, [*urls, *by_sum, missing], PRIVATE_KEY).json()["urls"]
    other = signatures(stack, [*urls, *by_sum, missing], SHOP_KEY).json()["urls"]

    assert [ask(stack, url).status_code for url in own[:4]] == [200] * 4
    # An image of another domain may come to answer for a sum.
    assert own[4:] == [None] * 5
    assert other == [None] * 9


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/image/read?id={}",
        "http://127.0.0.1/image/read?id={}",
        "//example.org/image/read?id={}",
        "/\\example.org/private/a",
        "image/read?id={}",
        "private/a",
        "%2Fprivate/a",
        "",
        "/",
        "/private",
        "/private/",
        "/images/{}",
        "/images?domain=private",
        "/tasks/1",
        "/v1/tasks/1",
        "/v1/v1/private/a",
        "/%76%31/private/a",
        "/v1%2Fimages/{}",
        "/image%2Fread?id={}",
        "/im%61ges/{}",
        "/keys/1",
        "/shop/../private/a",
        "/shop/%2e%2e/private/a",
        "/shop//../private/a",
        "/private/%ff",
        "/private/a b",
        "/private/a#b",
        "/private/ü",
        "/image/read",
        "/image/read?id={}&id=2",
        "/image/read?id={}&%69d=2",
        "/image/read?id={}&sum=00000000000000000000000000000000",
        "/image/read?id=x",
        "/image/read?id={}&expires=9",
        "/image/read?id={}&kid=k1",
        "/image/read?id={}&sig=x",
        "/image/read/?id={}",
    ],
)
def test_nothing_but_pictures_of_this_server_is_signed(
    stack: ImageStack, image: dict[str, str], url: str
) -> None:
    refused = signatures(stack, [NAME, url.format(image["id"])])

    assert assert_problem(refused, 400, "invalid-parameter")["detail"].startswith("urls[1]")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"urls": []},
        {"urls": "/private/a"},
        {"urls": [1]},
        {"urls": ["/private/a"] * 201},
        {"urls": ["/private/a"], "expires_in_s": 0},
        {"urls": ["/private/a"], "expires_in_s": 604801},
        {"urls": ["/private/a"], "expires_in_s": True},
        {"urls": ["/private/a"], "key": "k1"},
    ],
)
def test_a_wish_for_signatures_is_checked(stack: ImageStack, body: dict[str, object]) -> None:
    refused = stack.writer.post("/signed-urls", json=body)

    assert refused.status_code == 400
    assert "sig=" not in refused.text
