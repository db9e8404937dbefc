"""Every parser of what strangers write gives a value or an error of ours, whatever it gets."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.responses import content_disposition, etag_listed
from api.taskbodies import parse_download, read_lines
from imagestore.accepting import accept_class
from imagestore.commands.sources import Item, Source, Unusable
from imagestore.errors import ImagestoreError, InvalidKey, SignatureExpired, SignatureInvalid
from imagestore.names import check_dkey, check_domain, check_id, check_prefix, check_sum
from imagestore.presets import Presets
from imagestore.query import parse_query
from imagestore.rendition import PARAMETER_NAMES, Rendition
from imagestore.signing import SigningKey, sign, verify
from imagestore.spelling import MAX_SPELLING_BYTES, spelling_of
from imagestore.strictjson import merge_patch, parse_json
from imagestore.weburl import WebURL
from tests.attack.rounds import bounded

HOSTILE = st.sampled_from(
    [
        *"\0\n\r\t\\/.%&=+?#;,:@[]{}\"'<>|$",
        *("..", "%00", "%2e", "\u202e", "\ufffd", "\ud800", "１", "é", "🙂", "\x85", "ſ", "\u212a"),
        *("null", "NaN", "1e999", "-0", "0x1", "pct:", "auto", "id=1", "sum=", "http://", "[::1]"),
    ]
)
TEXT = st.lists(HOSTILE | st.text(max_size=8), max_size=12).map("".join)
LATIN = st.text(st.characters(max_codepoint=255), max_size=60)
"""What WSGI hands over: bytes as Latin-1."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def value_or_error(parse: Callable[[Any], Any], given: Any) -> Any:
    """What the parser makes of it; None after an error of ours, which must say something."""
    refused: ImagestoreError | None = None
    try:
        return parse(given)
    except ImagestoreError as error:
        refused = error
    assert refused.detail
    return None


@bounded(300)
@given(text=TEXT)
@pytest.mark.parametrize("check", [check_domain, check_dkey, check_prefix, check_sum])
def test_a_name_is_itself_or_refused(check: Callable[[str], str], text: str) -> None:
    assert value_or_error(check, text) in (None, text)


@bounded(300)
@given(dkey=TEXT)
def test_every_beginning_of_a_dkey_is_a_prefix(dkey: str) -> None:
    if value_or_error(check_dkey, dkey) is None:
        return

    for length in range(1, len(dkey) + 1):
        assert check_prefix(dkey[:length]) == dkey[:length]


@bounded(300)
@given(text=TEXT)
def test_an_id_is_the_number_that_it_spells(text: str) -> None:
    number = value_or_error(check_id, text)

    assert number is None or str(number) == text


@bounded(300)
@given(query=LATIN | TEXT)
def test_a_query_gives_texts_under_names(query: str) -> None:
    parameters = value_or_error(parse_query, query)

    if parameters is not None:
        for text in (*parameters, *parameters.values()):
            text.encode("utf-8")


@bounded(500)
@given(st.lists(st.tuples(st.sampled_from(PARAMETER_NAMES), TEXT), max_size=4))
def test_a_rendition_is_what_its_key_says(pairs: list[tuple[str, str]]) -> None:
    rendition = value_or_error(Rendition.parse, "&".join(f"{name}={text}" for name, text in pairs))

    if rendition is not None:
        assert Rendition.parse(rendition.key) == rendition


@bounded(300)
@given(query=LATIN, accept=LATIN)
def test_a_spelling_is_short_and_ascii(query: str, accept: str) -> None:
    spelling = spelling_of(query, accept)

    assert accept_class(accept) in ("", "webp", "avif")
    assert spelling is None or (spelling.isascii() and len(spelling) <= MAX_SPELLING_BYTES)


@bounded(300)
@given(text=TEXT)
def test_presets_are_taken_or_refused(text: str) -> None:
    try:
        presets = Presets.parse(text)
    except ValueError:
        return

    assert all(not wish.is_original for wish in presets.renditions)


@bounded(300)
@given(host=TEXT, path=TEXT, reference=TEXT)
def test_a_url_leads_to_urls_of_the_grammar(host: str, path: str, reference: str) -> None:
    url = value_or_error(WebURL.parse, f"http://{host}/{path}") or WebURL.parse("http://example.com/a/b")
    for reference_or_more in (reference, f"//{reference}", f"http:{reference}", f"/{reference}"):
        target = value_or_error(url.join, reference_or_more)

        if target is not None:
            assert target.scheme in ("http", "https")
            assert 1 <= target.port <= 65535
            assert WebURL.parse(str(target)) == target


@bounded(150)
@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_json_is_shallow_and_can_be_written_again(body: bytes) -> None:
    value = value_or_error(lambda text: parse_json(text, what="it"), body)

    written = json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert json.loads(written) == value


@bounded(80)
@given(target=st.dictionaries(TEXT, JSON, max_size=4), patch=st.dictionaries(TEXT, JSON, max_size=4))
def test_a_patch_twice_is_a_patch_once(target: dict[str, Any], patch: dict[str, Any]) -> None:
    try:
        json.dumps([target, patch], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    once = value_or_error(lambda value: merge_patch(value, patch), target)

    if once is not None:
        assert merge_patch(once, patch) == once


DOWNLOAD = st.fixed_dictionaries(
    {},
    optional={
        "url": st.just("http://example.com/a.jpg") | JSON,
        **dict.fromkeys(("domain", "dkey", "page_url", "metadata", "callback", "overwrite", "x"), JSON),
    },
)


@bounded(120)
@given(value=DOWNLOAD | JSON)
def test_a_download_is_a_task_or_refused(value: Any) -> None:
    task = value_or_error(parse_download, value)

    if task is not None:
        assert task.url.isascii()
        check_domain(task.domain)


class Body:
    """As much of a request as `read_lines` looks at."""

    content_type = "application/x-ndjson"

    def __init__(self, data: bytes) -> None:
        self.bounded_stream = io.BytesIO(data)


@bounded(300)
@given(
    lines=st.lists(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()), max_size=8)
)
def test_lines_keep_their_numbers(lines: list[bytes]) -> None:
    data = b"\n".join(lines)
    read = list(read_lines(Body(data)))

    physical = data.split(b"\n")
    assert [number for number, _ in read] == [n for n, line in enumerate(physical, 1) if line.strip()]


@bounded(300)
@given(header=LATIN, etags=st.lists(st.sampled_from(['"a"', '"b"']), max_size=2))
def test_a_list_of_etags_names_only_what_is_in_it(header: str, etags: list[str]) -> None:
    for weak in (True, False):
        if etag_listed(header, etags, weak=weak):
            assert header.strip() == "*" or any(etag in header for etag in etags)


@bounded(300)
@given(name=st.text(min_size=1, max_size=255).filter(str.isprintable))
def test_a_file_name_cannot_leave_its_header(name: str) -> None:
    header = content_disposition(name)

    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


KEYS = (SigningKey("a", "x" * 32), SigningKey("b", "y" * 40))


@bounded(300)
@given(
    path=st.binary(max_size=20), query=LATIN, end=st.sampled_from(["", "&sig=x", "&kid=a&sig=", "&expires=0"])
)
def test_nothing_that_is_not_signed_is_taken_for_signed(path: bytes, query: str, end: str) -> None:
    with pytest.raises((SignatureInvalid, SignatureExpired)):
        verify(b"/" + path, query + end, KEYS)


@bounded(300)
@given(
    path=st.lists(st.sampled_from(["a", "%20", "%2F", "%ff", "v1", "/", "+", "~"]), max_size=6).map("".join),
    query=st.lists(st.sampled_from(["w=1", "h=2", "x", "", "kidd=1", "a=%26sig%3d"]), max_size=4).map(
        "&".join
    ),
    expires=st.none() | st.integers(2_000_000_000, 10**12 - 1),
    place=st.integers(0, 200),
    letter=st.sampled_from("0aA/&=%?"),
)
def test_a_signed_url_is_taken_and_no_other_in_its_place(
    path: str, query: str, expires: int | None, place: int, letter: str
) -> None:
    url = sign(f"/{path}?{query}", KEYS[0], expires=expires)
    raw_path, _, raw_query = url.partition("?")

    assert verify(unquote_to_bytes(raw_path), raw_query, KEYS, now=1) == expires

    place %= len(raw_query)
    changed = raw_query[:place] + letter + raw_query[place + 1 :]
    if changed != raw_query:
        with pytest.raises((SignatureInvalid, SignatureExpired)):
            verify(unquote_to_bytes(raw_path), changed, KEYS, now=1)


ROWS = st.lists(st.lists(TEXT, max_size=6).map(",".join) | TEXT, max_size=6).map("\n".join)


@bounded(150)
@given(
    head=st.sampled_from(["file,url,domain,dkey,metadata", "url", "file\tdkey", "", "\ufefffile"]) | TEXT,
    rows=ROWS | JSON.map(json.dumps),
    suffix=st.sampled_from([".csv", ".tsv", ".jsonl"]),
)
def test_a_list_gives_items_and_reasons(tmp_path: Path, head: str, rows: str, suffix: str) -> None:
    path = tmp_path / f"list{suffix}"
    path.write_bytes(f"{head}\n{rows}".encode("utf-8", "surrogatepass"))

    entries = value_or_error(lambda source: list(source), Source(path, "demo"))

    for entry in entries or []:
        assert isinstance(entry, Item | Unusable)


def test_a_dkey_with_half_a_character_is_refused() -> None:
    with pytest.raises(InvalidKey):
        check_dkey("a\ud83d")
