"""What a line of the log says, and that no client can make it say something else."""

import json
import logging

from imagestore.actor import Actor, acting_as
from imagestore.logs import JsonLines, TextLines


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("imagestore.x", logging.INFO, "x.py", 1, message, args, None)


def test_named_values_of_a_template_are_fields() -> None:
    line = json.loads(JsonLines().format(record("stored image_id=%d of %d%% sha256=%s", 7, 50, "ab")))

    assert (line["level"], line["logger"]) == ("info", "imagestore.x")
    assert line["message"] == "stored image_id=7 of 50% sha256=ab"
    assert (line["image_id"], line["sha256"]) == (7, "ab")
    assert line["time"].endswith("Z")


def test_text_of_a_client_makes_no_field_and_no_line() -> None:
    hostile = 'x image_id=9 message=gone level=error\n{"level": "error"}'

    text = JsonLines().format(record("refused problem=%s message=%s detail=%s", "p", "other", hostile))

    assert "\n" not in text
    line = json.loads(text)
    assert "image_id" not in line
    assert line["level"] == "info"
    assert line["message"].startswith("refused problem=p")
    assert line["detail"] == hostile


def test_lines_have_the_request_that_they_belong_to() -> None:
    with acting_as(Actor("3", "request-1")):
        of_request = JsonLines().format(record("stored"))
        text = TextLines().format(record("stored image_id=%d", 7))
    with acting_as(Actor("3", "task 17", origin="request-1")):
        of_task = JsonLines().format(record("stored"))

    for line in (of_request, of_task):
        assert json.loads(line)["request_id"] == "request-1"
        assert json.loads(line)["key_id"] == "3"
    assert text.endswith("stored image_id=7 request_id=request-1 key_id=3")


def test_traceback_is_a_field_of_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        failed = record("a bug")
        failed.exc_info = (type(error), error, error.__traceback__)

    text = JsonLines().format(failed)

    assert "\n" not in text
    assert "ValueError: broken" in json.loads(text)["traceback"]
