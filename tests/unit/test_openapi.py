"""The OpenAPI document is valid, and has every route of the application and no other."""

import re
from collections.abc import Iterator
from typing import Any

import falcon.inspect
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import App, build
from api.auth import needed
from api.errors import PROBLEMS
from api.openapi import document
from imagestore.errors import ImagestoreError
from imagestore.rendition import ALIASES, FITS, PARAMETERS, Parameter
from imagestore.service import ImageStore, prepare_database
from imagestore.settings import Settings

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data = tmp_path_factory.mktemp("data")
    settings = Settings.from_env({"DATA_DIR": str(data), "API_KEY": "k" * 20})
    prepare_database(settings)
    store = ImageStore.open(settings)
    yield build(store)
    store.close()


def routes(app: App) -> set[tuple[str, str]]:
    """Every method and path that the application answers."""
    return {
        (method.method, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
        for route in falcon.inspect.inspect_routes(app)
        for method in route.methods
        if method.method in METHODS and not method.internal
    }


def described() -> set[tuple[str, str]]:
    """Every method and path of the document, with and without `/v1` where both are."""
    return {
        (method.upper(), prefix + path)
        for path, item in document()["paths"].items()
        for method in item.keys() - {"servers"}
        for prefix in (("",) if "servers" in item else ("", "/v1"))
    }


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_every_route_is_described_and_no_other(app: App) -> None:
    found, told = routes(app), described()

    assert found - told == set(), "describe these in api/openapi"
    assert told - found == set(), "the document has routes that do not exist"


def test_every_operation_tells_the_right_that_it_needs(app: App) -> None:
    for route in falcon.inspect.inspect_routes(app):
        path = re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path).removeprefix("/v1") or "/"
        for method in {each.method for each in route.methods if not each.internal} & METHODS:
            right = needed(route.path, method)
            told = document()["paths"][path][method.lower()]["security"]
            assert told == ([{"apiKey": [right]}] if right else []), (method, path)


def test_operations_have_names_of_their_own() -> None:
    names = [
        operation["operationId"]
        for item in document()["paths"].values()
        for method, operation in item.items()
        if method != "servers"
    ]

    assert len(names) == len(set(names))


def test_every_problem_has_an_example_that_its_schema_takes() -> None:
    components = document()["components"]
    validator = Draft202012Validator(components["schemas"]["Problem"])

    assert components["examples"].keys() == PROBLEMS.keys()
    for name, example in components["examples"].items():
        validator.validate(example["value"])
        assert example["value"]["status"] == PROBLEMS[name][0]


def test_every_parameter_of_a_rendition_is_described() -> None:
    operation = document()["paths"]["/image/read"]["get"]

    names = {parameter.get("name") for parameter in operation["parameters"]}

    assert {*PARAMETERS, *ALIASES, "preset"} <= names


TEXTS = (
    st.text(max_size=12)
    | st.from_regex(r"[0-9.,+-]{1,12}", fullmatch=True)
    | st.sampled_from(
        ["smart", "cover", "pct:1,2,3,4", "transparent", "White", "#fff", "jpg", "0", "1", "true"]
    )
)


@pytest.mark.parametrize("name", PARAMETERS)
@given(text=TEXTS)
def test_the_schema_of_a_parameter_takes_what_its_grammar_takes(name: str, text: str) -> None:
    parameter: Parameter = PARAMETERS[name]
    try:
        parameter.grammar(name, text)
    except ImagestoreError:
        return

    typed: Any = float(text) if parameter.grammar.schema.get("type") in ("integer", "number") else text
    Draft202012Validator(dict(parameter.grammar.schema)).validate(typed)


def test_other_names_for_one_thing_are_marked() -> None:
    """A form made from the document shows each parameter and each word once."""
    parameters = document()["paths"]["/image/read"]["get"]["parameters"]

    short = {each["name"]: each["x-short-for"] for each in parameters if "x-short-for" in each}
    fit = next(each["schema"] for each in parameters if each.get("name") == "fit")

    assert short == ALIASES
    assert [word for word in fit["enum"] if word not in fit["x-synonyms"]] == list(FITS)
