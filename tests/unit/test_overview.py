"""The overview counts tasks for a small part of the time, however often it is asked."""

from unittest.mock import Mock

import pytest

from imagestore.overview import KEPT_AT_LEAST_S, KEPT_TIMES, Overview


def overview(counts: object) -> Overview:
    accounts = Mock(total=Mock(return_value=(1, 2, 3)))
    return Overview(accounts, Mock(counts=counts), Mock(), Mock(), Mock())


def test_tasks_of_the_same_domains_are_not_counted_anew_by_each_question() -> None:
    counts = Mock(side_effect=lambda domains: [("failed", "timeout", len(domains))])
    asked = overview(counts)

    seen = [asked.of(frozenset(domains)) for domains in ("a", "ab", "a")]

    assert [one["reasons"]["failed"] for one in seen] == [{"timeout": 1}, {"timeout": 2}, {"timeout": 1}]
    assert counts.call_count == 2


@pytest.mark.parametrize(("took", "kept"), [(0.0, KEPT_AT_LEAST_S), (0.5, 0.5 * KEPT_TIMES)])
def test_what_took_long_to_count_serves_for_long(
    monkeypatch: pytest.MonkeyPatch, took: float, kept: float
) -> None:
    now, counted = [100.0], [0]

    def counts(domains: frozenset[str]) -> list[tuple[str, None, int]]:
        now[0] += took
        counted[0] += 1
        return [("created", None, counted[0])]

    asked = overview(counts)
    monkeypatch.setattr("imagestore.overview.time.monotonic", lambda: now[0])

    def created_after(seconds: float) -> int:
        now[0] += seconds
        return int(asked.of(frozenset("a"))["tasks"]["created"])

    assert [created_after(seconds) for seconds in (0, kept - 0.1, 0.2, kept - 0.1)] == [1, 1, 2, 2]
