"""What nginx answers itself under the rules of domains: what it remembers of other rules does not count."""

import dataclasses
import http.client
import os
import random
import signal
import time
from pathlib import Path

import pytest

from imagestore.errors import SignatureExpired, SignatureInvalid
from imagestore.records import Picture
from imagestore.signing import SigningKey, sign, verify
from tests.front import PICTURE, RECIPE, RECORD, SHA, front
from tests.nginx import nginx_server
from tests.servers import wait_until

KEY = SigningKey("k1", "1" * 32)
URL = "/image/read?id=7&w=300"
SIGNED = sign(URL, KEY)


def test_rules_that_come_by_a_reload_hold_for_what_is_in_memory(tmp_path: Path) -> None:
    with front(tmp_path, signing_keys=f"k1={KEY.secret}", RECORD_MEMORY_S="600") as running:
        wait_until(lambda: running.http.get(URL).headers["X-Cache"] == "memory", what="it is remembered")
        configuration = tmp_path / "nginx" / "nginx.conf"
        text = configuration.read_text()

        configuration.write_text(text.replace('signing = ""', 'signing = "demo=enforce"'))
        assert running.nginx.process is not None
        os.kill(running.nginx.process.pid, signal.SIGHUP)

        wait_until(lambda: running.http.get(URL).status_code == 403, what="the new rules hold")
        assert running.http.get(SIGNED).content == PICTURE.body
        assert running.api.asked == []


def test_rules_of_another_nginx_hold_for_what_is_in_redis(tmp_path: Path) -> None:
    with front(tmp_path) as running:
        assert running.http.get(URL).status_code == 200
        with nginx_server(
            tmp_path / "other",
            api=running.api.address,
            redis_url=f"redis://127.0.0.1:{running.redis.port}/0",
            originals=running.originals,
            signing_keys=f"k1={KEY.secret}",
            SIGNING="*=enforce",
        ) as other:
            address = f"http://127.0.0.1:{other.port}"
            assert running.http.get(address + URL).json()["type"] == "/problems/signature-invalid"
            assert running.http.get(address + SIGNED).headers["X-Cache"] == "redis"


@pytest.mark.parametrize("mode", ["enforce", "report"])
def test_descriptions_of_a_closed_domain_are_the_apis_business(tmp_path: Path, mode: str) -> None:
    rules = f"demo={mode}"
    with front(tmp_path, signing_keys=f"k1={KEY.secret}", SIGNING=rules) as running:
        urls = [
            url
            for kind in ("id=7", f"sum={SHA}")
            for url in (f"/image/info?{kind}", sign(f"/image/info?{kind}", KEY))
        ]
        for url in urls:
            assert running.http.get(url).content == b"from the API"
        assert len(running.api.asked) == len(urls)


def test_reported_request_is_answered_and_logged(tmp_path: Path) -> None:
    with front(tmp_path, signing_keys=f"k1={KEY.secret}", SIGNING="demo=report") as running:
        for url in (URL, sign(URL, KEY, expires=1), SIGNED):
            assert running.http.get(url).content == PICTURE.body

        def logged() -> bool:
            lines = running.access_log.read_text()
            return all(
                f"signature={word} " in lines for word in ("signature-invalid", "signature-expired", "-")
            )

        wait_until(logged, what="the log names the faults")

        def counted() -> bool:
            page = running.http.get("/metrics").text
            head = 'imagestore_nginx_unsigned_total{mode="report",problem="signature-'
            return all(f'{head}{word}"}} 1\n' in page for word in ("invalid", "expired"))

        wait_until(counted, what="the counters of both workers are on the page")
        assert {asked.path for asked in running.api.asked} == {"/metrics"}


@pytest.mark.parametrize("rules", ["demo=enforce", "*=report", "demo=loose", "demo"])
def test_nginx_does_not_start_on_rules_that_it_cannot_keep(tmp_path: Path, rules: str) -> None:
    with (
        pytest.raises(RuntimeError),
        nginx_server(tmp_path, api="127.0.0.1:9", redis_url="redis://x", originals=None, SIGNING=rules),
    ):
        pass


def test_thousands_of_signed_urls_are_judged_alike(tmp_path: Path) -> None:
    # More than a worker keeps questions of.
    with front(tmp_path, signing_keys=f"k1={KEY.secret}", SIGNING="*=enforce") as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.nginx.port, timeout=20)
        for number in range(1200):
            signed = sign(URL, KEY, expires=9_000_000_000 + number)
            for url, status in ((signed, 200), (signed[:-1] + "~", 403))[: 2 if number % 50 == 0 else 1]:
                connection.request("GET", url)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == status
        connection.close()


def test_a_walk_over_all_sizes_of_one_picture_leaves_others_in_memory(tmp_path: Path) -> None:
    # 200 sizes of 100 KB into a memory of 8 MB, of which a picture may have an eighth.
    with front(tmp_path, PICTURE_MEMORY="8m", RECORD_MEMORY_S="600") as running:
        others = [
            dataclasses.replace(RECORD, id=number, dkey=f"{number}", sha256=f"{number}" * 32)
            for number in range(10, 30)
        ]
        for other in others:
            running.cache.publish(other)
            running.cache.keep(other.sha256, "width=9@r", '"e"', Picture("image/webp", bytes(100_000)))
        running.cache.teach("w=9", "width=9@r", None, RECIPE)
        urls = [f"/image/read?w=9&id={other.id}" for other in others]
        for url in urls * 2:
            last = running.http.get(url)
        assert last.headers["X-Cache"] == "memory"

        for width in range(1000, 1200):
            field = f"width={width}@r"
            running.cache.keep(SHA, field, '"w"', Picture("image/webp", bytes(100_000)))
            running.cache.teach(f"w={width}", field, None, RECIPE)
            assert running.http.get(f"/image/read?w={width}&id=7").headers["X-Cache"] == "redis"

        assert {running.http.get(url).headers["X-Cache"] for url in urls} == {"memory"}
        # It has its own share: the last ones, and not the first ones.
        newest = [running.http.get(f"/image/read?w={width}&id=7") for width in range(1195, 1200)]
        assert {answer.headers["X-Cache"] for answer in newest} == {"memory"}


def test_nginx_and_python_agree_on_every_mutation_of_a_signed_url(tmp_path: Path) -> None:
    # With `random` of a fixed seed, and not with Hypothesis: one nginx for all of them.
    chance = random.Random(20261123)
    alphabet = "&=?;%/.~+_-0179azAZ" + "|"
    words = [
        "sig=",
        "&kid=k1",
        "&expires=1",
        "expires=9999999999",
        "%26",
        "%73ig",
        "&&",
        "w=300",
        "id=7",
        "?",
    ]
    let_in = 0
    with front(tmp_path, signing_keys=f"k1={KEY.secret}", SIGNING="*=enforce") as running:
        connection = http.client.HTTPConnection("127.0.0.1", running.nginx.port, timeout=20)
        for _ in range(1500):
            query = list(sign(URL, KEY, expires=chance.choice([None, 1, 9_999_999_999])).partition("?")[2])
            if chance.random() < 0.3:
                elements = "".join(query).split("&")
                chance.shuffle(elements)
                query = list("&".join(elements))
            for _ in range(chance.choice([0, 0, 1, 1, 2])):
                place = chance.randrange(len(query) + 1)
                query[place : place + chance.choice([0, 1, 1])] = chance.choice([*alphabet, *words])
            raw = "".join(query)
            try:
                verify(b"/image/read", raw, (KEY,), now=time.time())
                is_valid = True
            except (SignatureInvalid, SignatureExpired):
                is_valid = False
            connection.request("GET", f"/image/read?{raw}")
            answer = connection.getresponse()
            body = answer.read()

            # A stranger's URL is refused, or judged by the API (which this one is not); never answered.
            assert body != PICTURE.body or is_valid, raw
            assert not (is_valid and answer.status == 403), raw
            let_in += body == PICTURE.body
        connection.close()
    assert let_in > 300
