"""schemathesis asks what the OpenAPI document allows, and what it does not: never a 5xx, and every
answer as it is described."""

import pytest
import requests
import schemathesis
from hypothesis import given
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.openapi import document
from tests.attack.rounds import bounded
from tests.imagestack import API_KEY, ImageStack

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(document())
    .exclude(method="HEAD")
    .exclude(tag="Operations")
    .get_all_operations()
}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_as_described(emptied: ImageStack, label: str, mode: GenerationMode) -> None:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {API_KEY}"

        @bounded(8)
        @given(OPERATIONS[label].as_strategy(generation_mode=mode))
        def attack(case: Case) -> None:
            case.call_and_validate(
                base_url=f"{emptied.address}/v1", session=session, checks=CHECKS, timeout=30
            )

        attack()
