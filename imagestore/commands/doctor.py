"""`imagestore doctor`: is everything there, and set up well? What is to be done otherwise?"""

import email.utils
import logging
import time
from collections.abc import Iterator

import click

from imagestore.client import Client, ClientError, NotAllowed
from imagestore.commands import OK, PROBLEMS
from imagestore.commands.options import find_settings, open_client, prints
from imagestore.commands.output import Output
from imagestore.diagnosis import CLOCK_TOLERANCE_S, Check, examine
from imagestore.settings import InvalidSettings

ALONE = ("memory", "redis")
"""`X-Cache` of what nginx answers without asking Python."""


@click.command()
@click.option("--data-dir", metavar="DIR", help="The server's data directory [env: DATA_DIR].")
@click.option("--server", metavar="URL", help="Where the server is [env: IMAGESTORE_SERVER; default: here].")
@click.option("--offline", is_flag=True, help="Do not ask the server: it is not meant to run.")
@prints
def command(out: Output, data_dir: str | None, server: str | None, offline: bool) -> int:
    """Check settings, database, store, engines, Redis, workers, disks, clocks, and the running server.

    Says of each fault what to do, and changes nothing. 1 if there is a fault.
    """
    # What is away is told once, as a check.
    logging.basicConfig(level=logging.ERROR)
    faults = warnings = 0
    for check in _checks(data_dir, server, offline):
        faults += check.state == "fault"
        warnings += check.state == "warning"
        value = {"check": check.name, "state": check.state, "found": check.found, "advice": check.advice}
        out.text(f"{check.state:<8} {check.name:<14} {check.found}", value)
        if check.advice:
            out.text(f"{'':<23} -> {check.advice}")
    if faults or warnings:
        out.hint(f"{faults} faults, {warnings} warnings")
    return PROBLEMS if faults else OK


def _checks(data_dir: str | None, server: str | None, offline: bool) -> Iterator[Check]:
    try:
        settings = find_settings(data_dir)
    except InvalidSettings as error:
        for line in str(error).splitlines():
            yield Check("settings", "fault", line, "docs/settings.md has every variable and its range")
        return
    if not settings.data_dir.is_dir():
        advice = "name the folder of the server by --data-dir or DATA_DIR; its first start makes it"
        yield Check("settings", "fault", f"DATA_DIR is {settings.data_dir}, which is not there", advice)
        return
    yield Check("settings", "ok", f"DATA_DIR is {settings.data_dir}")
    yield from examine(settings)
    if offline:
        return
    try:
        with open_client(server, None, data_dir=data_dir) as client:
            yield from _server(client)
    except ClientError as error:
        yield Check(
            "server", "fault", error.detail, "start it, or name it by --server; --offline leaves it out"
        )


def _server(client: Client) -> Iterator[Check]:
    client.health()
    yield Check("server", "ok", f"{client.server} is ready")
    try:
        client.tasks.summary()
        yield Check("API key", "ok", "the server knows it")
    except NotAllowed as error:
        advice = "set API_KEY or API_KEY_FILE to a key of this server; reading works without"
        yield Check("API key", "warning", error.detail, advice)
    picture = next(client.images(), None)
    if picture is None:
        yield Check("hot path", "skipped", "there is no picture to read", "store one, and look again")
        return
    seen = []
    for _ in range(2):
        with client.open(picture, width=16) as reading:
            seen.append(reading.headers.get("X-Cache", "nothing"))
            _ = b"".join(reading.chunks)
            told = reading.headers.get("Date", "")
    if seen[-1] in ALONE:
        yield Check("hot path", "ok", f"nginx answers by itself, from {seen[-1]}")
    else:
        advice = "ask nginx and not the API; REDIS_URL of nginx must be the API's, and not full"
        yield Check("hot path", "warning", f"a second read came from {seen[-1]}", advice)
    yield from _clock(told)


def _clock(date: str) -> Iterator[Check]:
    try:
        skew_s = abs(email.utils.parsedate_to_datetime(date).timestamp() - time.time())
    except ValueError:
        return
    # The header has whole seconds.
    if skew_s > CLOCK_TOLERANCE_S + 1:
        advice = "let both machines ask a time server (chrony, systemd-timesyncd)"
        yield Check("server clock", "fault", f"{skew_s:.0f} s away from this machine's", advice)
