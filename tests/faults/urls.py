"""URLs of an origin, good and bad in known shares, and how the task of each must end."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests import pictures
from tests.origin import Behaviour, Origin, answer, hang, redirect

PNG = pictures.encode(pictures.quadrants(60, 40), "png").data


@dataclass(frozen=True)
class Case:
    """What an origin does, and the end of a task that asks for it: flag and problem."""

    behaviour: Behaviour
    flag: str
    problem: str | None = None


def cases(count: int, inside: Origin) -> Iterator[Case]:
    """`count` of them: of a hundred 5 are 404, 2 no pictures, 1 hangs, 1 is cut, 1 redirects to `inside`."""
    for number in range(count):
        yield _case(number, inside)


def _case(number: int, inside: Origin) -> Case:
    match number % 100:
        case 0 | 20 | 40 | 60 | 80:
            return Case(answer(404), "failed", "http-404")
        case 10 | 30:
            return Case(answer(body=b"<html>no picture</html>"), "failed", "unsupported-media-type")
        case 50:
            return Case(hang, "failed", "timeout")
        case 70:
            return _cut(number)
        case 90:
            hosts = ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433")
            target = f"http://{hosts[number // 100 % len(hosts)]}:{inside.port}/"
            return Case(redirect(target), "failed", "fetch-target-forbidden")
    headers = {"Content-Type": "image/png"}
    # Bytes after a PNG's end are ignored by decoders, and make each another file.
    return Case(answer(headers=headers, body=PNG + b"%08d" % number), "succeed")


def _cut(number: int) -> Case:
    """In turn by the connection, which can be seen, and long before, which shows only when it is decoded."""
    rows = random.Random(number).randbytes(60 * 40 * 3)
    cut = pictures.png(60, 40, 8, 2, rows).cut(0.7).data
    if number // 100 % 2:
        return Case(answer(body=cut, length=len(cut) + 1000), "failed", "cut-short")
    return Case(answer(headers={"Content-Type": "image/png"}, body=cut), "warning", "truncated")
