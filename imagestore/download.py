"""Fetches a picture by URL into a spool file.

To the `reason`s of `outbound` this module adds:

    http-<status>  the origin answered something else than 200 (408, 425, 429 and 5xx may pass)
    redirects      too many of them, or one that leads to no URL
    too-large      more bytes than allowed, announced or counted after decompression
"""

import contextlib
import http
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from imagestore.dialing import Connect, Deadline, Dialer, Resolve
from imagestore.errors import FetchFailed, InvalidURL, PayloadTooLarge
from imagestore.guard import PORTS, Guard
from imagestore.outbound import Answer, Outbound, http_failure
from imagestore.records import Spooled
from imagestore.weburl import WebURL

MAX_REDIRECTS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429)
"""Client errors that a later try may not get (RFC 9110 §15.5.9, RFC 8470 §5.2, RFC 6585 §4)."""

_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,64}")
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,200}"')
"""RFC 9110 §8.8.3, without obs-text, and short enough to be kept."""
_DATE = re.compile(r"[A-Za-z0-9,: +-]{1,40}")


class Inbox(Protocol):
    """Where a body is received: `imagestore.spool.Spool`."""

    def receive(self, source: Answer, /, *, max_bytes: int) -> AbstractContextManager[Spooled]: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """What an origin answered: a picture, or that the one we know has not changed.

    `etag` and `last_modified` are what to send next time, with `final_url`, where they hold.
    """

    spooled: Spooled | None
    """None when the origin answered 304."""
    final_url: str
    status: int
    """200 or 304."""
    content_type: str | None
    """As claimed: `type/subtype` in lower case."""
    etag: str | None
    last_modified: str | None
    redirects: int


class Fetcher:
    """Downloads, each within one deadline."""

    def __init__(
        self,
        *,
        allow: Sequence[str] = (),
        ports: Sequence[int] = PORTS,
        user_agent: str,
        max_bytes: int,
        connect_timeout_s: float = 5,
        total_timeout_s: float = 30,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        connect: Connect | None = None,
    ) -> None:
        """
        Args:
            allow: networks and services that may be reached besides the public ones (`Guard.build`).
            ports: 1 to 65535, open at every address that may be reached.
            user_agent: the header of that name.
            max_bytes: how large a body may be after decompression.
            connect_timeout_s: seconds for name resolution, and again for TCP and TLS together.
            total_timeout_s: seconds for all requests of one fetch together.
            tls, resolve, connect: see `Dialer`.

        Raises:
            InvalidAllow: an entry of `allow` is neither a network nor a service.
        """
        self._max_bytes = max_bytes
        self._total_timeout_s = total_timeout_s
        dialer = Dialer(
            Guard.build(allow, ports),
            connect_timeout_s=connect_timeout_s,
            tls=tls,
            resolve=resolve,
            connect=connect,
        )
        self._outbound = Outbound(dialer, user_agent=user_agent)

    @contextlib.contextmanager
    def fetch(
        self,
        url: str,
        spool: Inbox,
        *,
        etag: str | None = None,
        last_modified: str | None = None,
        final_url: str | None = None,
    ) -> Iterator[Fetched]:
        """What `url` leads to, in a file of `spool` that is gone after the `with` block.

        At most `MAX_REDIRECTS` redirects are followed, and each target is judged as the first one.

        Args:
            url: http or https.
            spool: where the body waits.
            etag, last_modified: of an earlier answer; with one of them the origin may answer 304.
            final_url: where that earlier answer came from, if not from `url` itself. They are sent
                to no other URL, since another picture may have the same.

        Raises:
            InvalidURL: `url` is outside the grammar.
            FetchTargetForbidden: it, or a redirect, leads where this server may not go.
            FetchFailed: no whole picture came; `reason` and `passing` say what to make of it.
            InsufficientStorage: the disk is full.
        """
        start = WebURL.parse(url)
        known = _Known(str(WebURL.parse(final_url)) if final_url else str(start), etag, last_modified)
        with contextlib.ExitStack() as stack:
            # The connection ends before the caller begins to work on the picture.
            with self._follow(start, known, Deadline(self._total_timeout_s)) as (answer, place, hops):
                spooled = None
                if answer.status == http.HTTPStatus.OK:
                    spooled = self._receive(answer, spool, stack)
            yield Fetched(
                spooled,
                str(place),
                answer.status,
                _matching(_MEDIA_TYPE, answer.headers.get("Content-Type", "").split(";")[0].strip().lower()),
                _matching(_ETAG, answer.headers.get("ETag", "")) or known.etag_if_same(answer.status),
                _matching(_DATE, answer.headers.get("Last-Modified", ""))
                or known.date_if_same(answer.status),
                hops,
            )

    @contextlib.contextmanager
    def _follow(
        self, url: WebURL, known: "_Known", deadline: Deadline
    ) -> Iterator[tuple[Answer, WebURL, int]]:
        """The first answer that is no redirect, if it is one to work with."""
        for hops in range(MAX_REDIRECTS + 1):
            headers = {"Accept": "image/*,*/*;q=0.8", **known.headers_for(url)}
            with self._outbound.exchange("GET", url, headers, deadline) as answer:
                if answer.status not in _REDIRECTS:
                    if answer.status != http.HTTPStatus.OK and not _is_unchanged(answer, headers):
                        passing = answer.status in _PASSING or answer.status >= 500
                        raise http_failure(answer, who="origin", passing=passing)
                    yield answer, url, hops
                    return
                url = _target(url, answer)
        raise FetchFailed("redirects", f"more than {MAX_REDIRECTS} redirects")

    def _receive(self, answer: Answer, spool: Inbox, stack: contextlib.ExitStack) -> Spooled:
        too_large = FetchFailed("too-large", f"the answer is over {self._max_bytes} bytes")
        announced = answer.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced[:19]) > self._max_bytes:
            raise too_large
        try:
            spooled = stack.enter_context(spool.receive(answer, max_bytes=self._max_bytes))
        except PayloadTooLarge as error:
            raise too_large from error
        if not spooled.content.size and not announced:
            # So it looks to http.client when the connection was lost in the middle of the headers.
            raise FetchFailed("cut-short", "the answer ended before its body", passing=True)
        return spooled


@dataclass(frozen=True, slots=True)
class _Known:
    """What was learned of a URL when it was fetched before."""

    url: str
    etag: str | None
    last_modified: str | None

    def headers_for(self, url: WebURL) -> dict[str, str]:
        """The conditions to ask `url` under (RFC 9110 §13.1.2, §13.1.3)."""
        headers = {}
        if str(url) == self.url and self.etag and _ETAG.fullmatch(self.etag):
            headers["If-None-Match"] = self.etag
        if str(url) == self.url and self.last_modified and _DATE.fullmatch(self.last_modified):
            headers["If-Modified-Since"] = self.last_modified
        return headers

    # A 304 may leave out what has not changed.
    def etag_if_same(self, status: int) -> str | None:
        return self.etag if status == http.HTTPStatus.NOT_MODIFIED else None

    def date_if_same(self, status: int) -> str | None:
        return self.last_modified if status == http.HTTPStatus.NOT_MODIFIED else None


def _is_unchanged(answer: Answer, sent: Mapping[str, str]) -> bool:
    asked = "If-None-Match" in sent or "If-Modified-Since" in sent
    return asked and answer.status == http.HTTPStatus.NOT_MODIFIED


def _target(url: WebURL, answer: Answer) -> WebURL:
    # http.client reads headers as Latin-1; what servers send there beyond ASCII is UTF-8.
    location = answer.headers.get("Location", "").encode("latin-1").decode("utf-8", "replace")
    if not location:
        raise FetchFailed("redirects", "a redirect does not say where to")
    try:
        return url.join(location)
    except InvalidURL as error:
        raise FetchFailed("redirects", "a redirect leads to no http or https URL") from error


def _matching(pattern: re.Pattern[str], value: str) -> str | None:
    return value if pattern.fullmatch(value) else None
