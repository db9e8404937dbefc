"""How long a request has waited in nginx, as the API takes it up."""

import contextvars

import falcon
import falcon.testing
import pytest

from api.app import Patience
from imagestore.patience import note_wait, waited_s


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("2.250", 2.25),
        ("0", 0),
        ("", 0),
        ("-3", 0),
        ("nan", 0),
        ("1e9", 0),
        ("inf", 0),
        ("soon", 0),
        (None, 0),
    ],
)
def test_what_nginx_says_counts_for_this_request_alone(said: str | None, seconds: float) -> None:
    request = falcon.testing.create_req(headers={} if said is None else {"X-Waited": said})

    def serve() -> float:
        # Of the request before it in this thread.
        note_wait(1.5)
        Patience().process_request(request, falcon.Response())
        return waited_s()

    assert contextvars.copy_context().run(serve) == seconds
