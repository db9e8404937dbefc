"""The command `imagestore`: its table of commands, its exit statuses, its one line per error.

Exit status: 0 fine, 1 something was wrong or failed, 2 wrong usage or settings, 130 stopped by Ctrl-C.

A command is an attribute `command` of a module of this package. Its function gives None or an exit
status, and raises errors of `imagestore.errors`, whose message becomes the line. `options` has the
options that commands share: one decorator for those that ask a server, one for those that open the
store themselves.
"""

import importlib
import sys
import traceback
from dataclasses import dataclass

import click

from imagestore import __version__
from imagestore.errors import ImagestoreError, InvalidKey, InvalidParameter, InvalidRequest, InvalidURL
from imagestore.settings import InvalidSettings

OK, PROBLEMS, USAGE, STOPPED = 0, 1, 2, 130
"""Exit statuses; the last is a shell's for SIGINT."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, and what the list of commands says of it."""

    module: str
    summary: str


COMMANDS = {
    "import": Entry("imports", "store the pictures of a folder or of a list"),
    "export": Entry("exports", "write a domain's pictures to a folder"),
    "info": Entry("info", "what is known about a picture"),
    "url": Entry("url", "the address of a picture, in any size and form"),
    "tasks": Entry("tasks", "downloads and other tasks: list, count, await, retry"),
    "keys": Entry("keys", "API keys: make, list, revoke"),
    "quota": Entry("quota", "what domains hold and may hold"),
    "audit": Entry("audit", "who changed what"),
    "stats": Entry("stats", "how much there is: pictures, bytes, tasks, queues, cache"),
    "doctor": Entry("doctor", "check everything that a server depends on, and say what to do"),
    "fsck": Entry("fsck", "compare rows and stored originals, and mend"),
    "gc": Entry("gc", "remove originals that no row needs"),
    "backup": Entry("backup", "database, originals and secrets into a folder"),
    "restore": Entry("restore", "a backup into an empty image store"),
    "migrate-storage": Entry("migrate_storage", "move originals to another store while servers run"),
    "completion": Entry("completion", "what a shell needs to complete commands and options"),
}
"""In the order of the list. A module is imported when its command is called, so that the list and
the completion of commands do not wait for libraries that they do not need."""


class LazyCommands(click.Group):
    """The commands of the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"imagestore.commands.{COMMANDS[cmd_name].module}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="imagestore")
@click.option("--debug", is_flag=True, help="Show where an error comes from.")
def imagestore(debug: bool) -> None:
    """Store, look up and look after the pictures of an image store.

    Every command has --help and --json. docs/commands.md has an example of each.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the command of these arguments (by default the process') and give the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        status = imagestore.main(given, prog_name="imagestore", standalone_mode=False)
    except click.exceptions.Abort:
        return STOPPED
    except Exception as error:
        if "--debug" in given:
            traceback.print_exc()
        return _complain(error)
    return status if isinstance(status, int) else OK


def run() -> None:
    """The entry point of the installed script."""
    sys.exit(main())


def _complain(error: Exception) -> int:
    """The error as one line (wrong settings: one for each) and the exit status for it."""
    match error:
        case click.UsageError():
            # Its own line, with the usage and where help is.
            error.show()
            return USAGE
        case click.ClickException():
            text, status = error.format_message(), PROBLEMS
        case InvalidSettings():
            text, status = f"the settings are wrong\n{error}", USAGE
        case InvalidRequest() | InvalidParameter() | InvalidKey() | InvalidURL():
            text, status = error.detail, USAGE
        case ImagestoreError():
            text, status = error.detail, PROBLEMS
        case OSError() if error.strerror:
            text, status = ": ".join(filter(None, [error.strerror, str(error.filename or "")])), PROBLEMS
        case _:
            text = f"unexpected: {type(error).__name__}: {error} (imagestore --debug shows where)"
            status = PROBLEMS
    print(f"imagestore: {text}", file=sys.stderr)
    return status
