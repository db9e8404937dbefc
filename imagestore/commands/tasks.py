"""`imagestore tasks`: what the server was told to do later, and what became of it."""

import itertools
import time

import click

from imagestore.client import Client, Task, Unfinished
from imagestore.commands import OK, PROBLEMS
from imagestore.commands.options import asks_server, works_on_server
from imagestore.commands.output import Output
from imagestore.errors import InvalidRequest
from imagestore.taskrecords import FLAGS

COLUMNS = ("id", "flag", "kind", "domain", "dkey", "url", "image_id", "flag_ext")

LOOK_S = 1.0
"""Between two looks at how many have not ended."""

_domain = click.option("--domain", metavar="DOMAIN", help="Only of this domain.")
_reason = click.option("--reason", metavar="WORD", help="Only with this reason, as http-404.")
_ids = click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(1))


@click.group()
def command() -> None:
    """List, count, await and retry downloads and other tasks; `import` makes them of a list of URLs."""


@command.command("list")
@click.option("--flag", type=click.Choice(FLAGS), help="Only with this flag.")
@_reason
@_domain
@click.option("--after", type=click.IntRange(1), metavar="ID", help="Only later ones than this.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="No more than these.")
@asks_server
def list_(
    client: Client,
    out: Output,
    flag: str | None,
    reason: str | None,
    domain: str | None,
    after: int | None,
    limit: int,
) -> None:
    """List tasks, the oldest first."""
    found = client.tasks.all(flag=flag, reason=reason, domain=domain, after=after)
    out.rows((task.described for task in itertools.islice(found, limit)), COLUMNS)


@command.command()
@_domain
@asks_server
def summary(client: Client, out: Output, domain: str | None) -> None:
    """Count tasks by flag, and the failed ones and the warnings by reason."""
    counts = client.tasks.summary(domain)
    if out.as_json:
        out.record(counts)
        return
    out.record(counts["flags"])
    for flag, problems in counts["problems"].items():
        for problem, count in sorted(problems.items(), key=lambda pair: -pair[1]):
            out.text(f"{flag:<8} {count:>8}  {problem}")


@command.command()
@_ids
@_domain
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), default=3600, metavar="SECONDS")
@works_on_server
def wait(client: Client, out: Output, ids: tuple[int, ...], domain: str | None, timeout_s: float) -> int:
    """Wait for the tasks with these IDs, or without IDs until none is under way; 1 if one of them failed."""
    if not ids:
        return _wait_for_all(client, out, domain, timeout_s)
    if domain is not None:
        raise InvalidRequest("--domain is given with IDs, expected one of them")
    deadline = time.monotonic() + timeout_s
    ended: list[Task] = []
    with out.progress("tasks", len(ids)) as progress:
        for number in ids:
            ended.append(client.tasks.wait(number, timeout_s=max(0, deadline - time.monotonic())))
            progress.advance(failed=ended[-1].flag == "failed")
    out.rows((task.described for task in ended), COLUMNS)
    return PROBLEMS if any(task.flag == "failed" for task in ended) else OK


@command.command()
@_ids
@click.option("--failed", is_flag=True, help="All that failed, or those of a reason or a domain.")
@_reason
@_domain
@asks_server
def retry(
    client: Client, out: Output, ids: tuple[int, ...], failed: bool, reason: str | None, domain: str | None
) -> None:
    """Let the failed tasks with these IDs start over, or with --failed all of them."""
    if bool(ids) == failed or (ids and (reason or domain)):
        raise InvalidRequest("tasks to retry are named by IDs, or by --failed with --reason and --domain")
    for number in ids:
        client.tasks.retry(number)
    count = len(ids) or client.tasks.retry_failed(reason=reason, domain=domain)
    out.text(f"{count} tasks start over", {"retried": count})


def _wait_for_all(client: Client, out: Output, domain: str | None, timeout_s: float) -> int:
    deadline = time.monotonic() + timeout_s
    left = failed = None
    with out.progress("tasks") as progress:
        while left != 0:
            flags = client.tasks.summary(domain)["flags"]
            if left is not None:
                progress.advance(max(0, left - flags["created"]))
            failed = flags["failed"] if failed is None else failed
            left = flags["created"]
            if left and time.monotonic() + LOOK_S > deadline:
                raise Unfinished(f"{left} tasks have not ended within {timeout_s:g} s")
            if left:
                time.sleep(LOOK_S)
    out.record(flags)
    return PROBLEMS if flags["failed"] > (failed or 0) else OK
