"""Who may ask a dependency that did not answer."""

from imagestore.breaker import Breaker


def test_only_who_has_the_time_tries_what_was_away() -> None:
    breaker = Breaker("something", pause_s=0)
    breaker.failed(TimeoutError())

    assert not breaker.allows(may_try=False)
    assert breaker.allows()

    breaker.succeeded()
    assert breaker.allows(may_try=False)
