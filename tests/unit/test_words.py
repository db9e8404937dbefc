"""Names, query strings and strict JSON: what strangers may write, and what they may not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagestore.errors import ImagestoreError, InvalidKey, InvalidParameter, InvalidRequest
from imagestore.names import check_dkey, check_domain, check_id, check_sum
from imagestore.query import parse_query
from imagestore.strictjson import merge_patch, parse_json, parse_object


@pytest.mark.parametrize("domain", ["a", "0", "demo", "a.b-c_d", "x" * 16])
def test_domains_of_the_grammar_are_taken(domain: str) -> None:
    assert check_domain(domain) == domain


@pytest.mark.parametrize(
    "domain", ["", "A", "x" * 17, ".a", "-a", "ä", "a/b", "a b", "a\n", "image", "v1", "rq"]
)
def test_other_and_reserved_domains_are_refused(domain: str) -> None:
    with pytest.raises(InvalidKey):
        check_domain(domain)


@pytest.mark.parametrize(
    "dkey", ["a", "a/b", "a//b", "/a", "a/", "ä" * 255, "🙂", "a b ", "..a", "a..", "?#%&"]
)
def test_dkeys_of_the_grammar_are_taken(dkey: str) -> None:
    assert check_dkey(dkey) == dkey


@pytest.mark.parametrize(
    "dkey",
    [
        "",
        "x" * 256,
        "a\x00b",
        "a\nb",
        "\x7f",
        "\x85",
        "a\\b",
        "a\ufffdb",
        "\ud800",
        ".",
        "..",
        "../a",
        "a/./b",
        "a/..",
    ],
)
def test_other_dkeys_are_refused(dkey: str) -> None:
    with pytest.raises(InvalidKey):
        check_dkey(dkey)


@pytest.mark.parametrize(
    "text", ["", "0", "01", "+5", "1_0", "１０", " 7", "7 ", "1abc", "0x10", "-1", "1" * 19, "1\n"]
)
def test_ids_are_plain_decimal_numbers(text: str) -> None:
    with pytest.raises(InvalidParameter):
        check_id(text)


@pytest.mark.parametrize("digest", ["", "a" * 31, "A" * 32, "g" * 32, "a" * 40, "a" * 65, "a" * 64 + "\n"])
def test_sums_are_md5_or_sha256_in_hex(digest: str) -> None:
    with pytest.raises(InvalidParameter):
        check_sum(digest)


def test_query_is_decoded_once() -> None:
    assert parse_query("a=%2541&b=x+y&c=&d") == {"a": "%41", "b": "x y", "c": "", "d": ""}


def test_query_takes_raw_bytes_as_wsgi_gives_them() -> None:
    assert parse_query("a=" + "é".encode().decode("latin-1")) == {"a": "é"}


@pytest.mark.parametrize("query", ["a=1&a=2", "a=1&%61=2", "=1", "a=%ff", "a=%c0%ae"])
def test_ambiguous_queries_are_refused(query: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_query(query)


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize(
    "text",
    ["", "{", "NaN", "[Infinity]", '"\\ud800"', nested(33), nested(100_000), "1" * 5000, b"\xff", '{"a":}'],
)
def test_json_that_nobody_should_keep_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_json(text, what="metadata")


def test_json_of_32_levels_is_taken() -> None:
    assert json.dumps(parse_json(nested(32), what="metadata")) == nested(32)


def test_metadata_is_an_object_of_bounded_length() -> None:
    assert parse_object('{"a": "🙂"}', what="metadata") == {"a": "🙂"}
    with pytest.raises(InvalidRequest):
        parse_object("[]", what="metadata")
    with pytest.raises(InvalidRequest):
        parse_object(json.dumps({"a": "x" * 70_000}), what="metadata")


def test_merge_patch_follows_the_examples_of_rfc_7396() -> None:
    # The object cases of RFC 7396, appendix A.
    cases = [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ]

    for target, patch, expected in cases:
        assert merge_patch(target, patch) == expected


@given(st.text(max_size=60))
def test_any_query_gives_parameters_or_our_error(query: str) -> None:
    try:
        parameters = parse_query(query)
    except ImagestoreError:
        return

    assert all(parameters)
