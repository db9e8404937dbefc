"""Spellings that nginx is taught, against a real Redis."""

import pytest
import redis

from imagestore.cache import Cache
from tests.contract.cache.samples import FIELD, RECIPE


@pytest.mark.parametrize(
    ("spelling", "field", "watermark", "value"),
    [
        ("h=3&w=300", "width=300&height=3@r", None, b"width=300&height=3@r\n"),
        ("watermark=l%C3%B6go", "watermark=l%C3%B6go@r", "lögo", "watermark=l%C3%B6go@r\nlögo".encode()),
        ("format=auto|webp", "format=auto-webp@r", None, b"format=auto-webp@r\n"),
        ("w=" + "0" * 510, "width=1@r", None, b"width=1@r\n"),
    ],
)
def test_spelling_is_taught(
    cache: Cache, raw: redis.Redis, spelling: str, field: str, watermark: str | None, value: bytes
) -> None:
    cache.teach(spelling, field, watermark, RECIPE)

    assert raw.hget("spellings", spelling) == value


@pytest.mark.parametrize(
    ("spelling", "field"),
    [
        ("w=" + "0" * 511, "width=1@r"),
        ("", "original"),
        ("format=%61uto", "format=auto-webp@r"),
        ("i%64=7&w=300", "width=300@r"),
        ("w=300&", "width=300@r"),
        ("&w=300", "width=300@r"),
        ("preset=thumb&|webp", "width=300@r"),
    ],
    ids=["long", "original", "hidden auto", "hidden name", "empty end", "empty start", "empty before class"],
)
def test_spelling_that_nginx_could_misread_is_not_taught(
    cache: Cache, raw: redis.Redis, spelling: str, field: str
) -> None:
    cache.teach(spelling, field, None, RECIPE)

    assert raw.exists("spellings") == 0


def test_changed_settings_make_spellings_be_learnt_anew(cache: Cache, raw: redis.Redis) -> None:
    assert cache.agree_on("old")
    cache.teach("preset=thumb", "width=300@old", None, "old")

    assert cache.agree_on("old")
    kept = raw.hexists("spellings", "preset=thumb")
    assert cache.agree_on("new")

    assert kept == 1
    assert raw.hexists("spellings", "preset=thumb") == 0


def test_what_is_taught_before_any_process_agreed_is_kept_when_others_agree(
    cache: Cache, raw: redis.Redis
) -> None:
    cache.teach("w=300", FIELD, None, RECIPE)

    assert cache.agree_on(RECIPE)

    assert raw.hget("spellings", "w=300") == f"{FIELD}\n".encode()


def test_a_process_with_older_settings_teaches_nothing(cache: Cache, raw: redis.Redis) -> None:
    assert cache.agree_on("old")
    assert cache.agree_on("new")

    cache.teach("preset=thumb", "width=300@old", None, "old")

    assert raw.hexists("spellings", "preset=thumb") == 0


def test_teaching_keeps_the_recipe_alive(cache: Cache, raw: redis.Redis) -> None:
    assert cache.agree_on(RECIPE)
    raw.expire("recipe", 5)

    cache.teach("w=300", FIELD, None, RECIPE)

    assert raw.ttl("recipe") > 5
