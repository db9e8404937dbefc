"""Addresses of Redis behind Sentinels: what they mean, and what is refused."""

import pytest

from imagestore.redisurl import SentinelURL, check_redis_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis+sentinel://one/main", SentinelURL((("one", 26379),), "main")),
        (
            "redis+sentinel://:s%2Fe%40c+ret@one:1,[::1]:2,10.0.0.3/my-master/3",
            SentinelURL((("one", 1), ("::1", 2), ("10.0.0.3", 26379)), "my-master", 3, password="s/e@c+ret"),
        ),
        (
            "redis+sentinel://app:x@one/m/0?sentinel_password=a%26b+c&sentinel_username=watch",
            SentinelURL((("one", 26379),), "m", 0, "app", "x", "watch", "a&b+c"),
        ),
    ],
)
def test_address_is_taken_apart(url: str, expected: SentinelURL) -> None:
    assert SentinelURL.parse(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://:hunter2@one:26379",
        "redis+sentinel://:hunter2@/main",
        "redis+sentinel://:hunter2@one:0/main",
        "redis+sentinel://:hunter2@one:65536/main",
        "redis+sentinel://:hunter2@one,,two/main",
        "redis+sentinel://:hunter2@one/main/zero",
        "redis+sentinel://:hunter2@one/main?sentinel_pasword=x",
        "redis+sentinel://:hunter2@one/main?sentinel_password=x&sentinel_password=y",
        "sentinel://:hunter2@one/main",
        "hunter2",
    ],
)
def test_wrong_address_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|Sentinel|\?") as refused:
        check_redis_url(url)

    assert "hunter2" not in str(refused.value)


def test_secrets_are_not_shown() -> None:
    text = repr(SentinelURL.parse("redis+sentinel://:hunter2@one/main?sentinel_password=hunter3"))

    assert "hunter" not in text
