"""What a load is said to have left behind."""

import pytest

from bench.held import API_REDIS, PIPE, Held


@pytest.mark.parametrize(
    ("servers", "decoders", "opened", "taken", "left"),
    [
        ((1, 2), 1, {PIPE: 7, API_REDIS: 4}, (), []),
        ((1, 2), 2, {PIPE: 10}, (), []),
        ((1, 2), 1, {PIPE: 8}, (), ["pipe: 8 and not 7"]),
        ((1, 2), 0, {PIPE: 7}, (), ["pipe: 7 and not 4"]),
        ((1, 2), 1, {API_REDIS: 5}, (), ["API to Redis: 5 and not 4"]),
        ((1, 2), 1, {"/spool/x": 1}, (), ["/spool/x: 1 and not 0"]),
        ((1,), 1, {}, (), ["process 2 is gone"]),
        ((1, 2), 1, {}, ("Redis has lock:x",), ["Redis has lock:x"]),
    ],
)
def test_what_is_more_than_before_and_in_no_pool_is_named(
    servers: tuple[int, ...], decoders: int, opened: dict[str, int], taken: tuple[str, ...], left: list[str]
) -> None:
    pools = {API_REDIS: 4}
    before = Held(frozenset({1, 2}), 1, {PIPE: 7, API_REDIS: 1}, pools, ())

    now = Held(frozenset(servers), decoders, opened, pools, taken)

    assert now.beyond(before) == left
