"""The options that commands share, as two decorators: who asks a server, and who opens the store."""

import functools
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from imagestore.actor import Actor, acting_as
from imagestore.client import Client, Sign
from imagestore.commands.output import Output
from imagestore.commands.surroundings import SERVER, surroundings
from imagestore.environment import Environment
from imagestore.settings import Settings
from imagestore.signing import Signing, sign

DEFAULT_PORT = 8080
"""Of `make run` and of the container stack."""

PATIENCE_S = 2
"""How long a person waits for a server that is busy or away; long work brings more."""

LONG_PATIENCE_S = 120
"""How long work waits for it: a restart, an upgrade."""

Function = Callable[..., Any]

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON; of lists one object a line.")


def _asks_server(function: Function, patience_s: float) -> Function:
    @click.option("--server", metavar="URL", help=f"Where the server is [env: {SERVER}; default: here].")
    @click.option(
        "--key", metavar="KEY", help="API key [env: API_KEY, API_KEY_FILE; default: the data dir's]."
    )
    @_as_json
    @functools.wraps(function)
    def run(*, server: str | None, key: str | None, as_json: bool, **rest: Any) -> Any:
        if patience_s > PATIENCE_S:
            # Long work waits long for its server, but not for one that was never there.
            with open_client(server, key, patience_s=PATIENCE_S) as first:
                first.health()
        with open_client(server, key, patience_s=patience_s) as client:
            return function(client=client, out=Output(as_json), **rest)

    return run


def asks_server(function: Function) -> Function:
    """For a command that talks HTTP to a running server: its function gets `client` and `out`."""
    return _asks_server(function, PATIENCE_S)


def works_on_server(function: Function) -> Function:
    """The same for long work, which does not end when the server is away for a moment."""
    return _asks_server(function, LONG_PATIENCE_S)


def opens_store(function: Function) -> Function:
    """For a command that opens database, store and Redis itself: its function gets `settings` and `out`.

    The settings are those of a server with this environment; after `make run`, of that one.
    """

    @click.option("--data-dir", metavar="DIR", help="The server's data directory [env: DATA_DIR].")
    @_as_json
    @functools.wraps(function)
    def run(*, data_dir: str | None, as_json: bool, **rest: Any) -> Any:
        logging.basicConfig(
            stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s"
        )
        with acting_as(Actor("command")):
            return function(settings=find_settings(data_dir), out=Output(as_json), **rest)

    return run


def prints(function: Function) -> Function:
    """For a command that needs neither: its function gets `out`."""

    @_as_json
    @functools.wraps(function)
    def run(*, as_json: bool, **rest: Any) -> Any:
        return function(out=Output(as_json), **rest)

    return run


def find_settings(data_dir: str | None = None) -> Settings:
    """The settings of the servers around us.

    Raises:
        InvalidSettings: with one line for each variable that is wrong.
    """
    return Settings.from_env(surroundings(data_dir=data_dir))


def open_client(
    server: str | None, key: str | None, *, patience_s: float = PATIENCE_S, data_dir: str | None = None
) -> Client:
    """A client of that server, by default of the one around us.

    Raises:
        click.UsageError: the address is none, or the file with the key cannot be read.
    """
    env = surroundings(data_dir=data_dir)
    address = server or env.get(SERVER) or f"http://127.0.0.1:{env.get('PORT') or DEFAULT_PORT}"
    try:
        secret = key or env.get("API_KEY") or _key_of_file(env.get("API_KEY_FILE"))
        return Client(address, secret, patience_s=patience_s, sign=_signer(env))
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def find_signer(*, expires: int | None = None) -> Sign | None:
    """What signs addresses with the first of SIGNING_KEYS; None without keys.

    `expires` is the second since 1970 from which on an address is refused; None is never.

    Raises:
        click.UsageError: the keys are not what that setting expects.
    """
    try:
        return _signer(surroundings(), expires)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _signer(env: Mapping[str, str], expires: int | None = None) -> Sign | None:
    keys = Signing.parse("", Environment(env).text("SIGNING_KEYS", "")).keys
    return functools.partial(sign, key=keys[0], expires=expires) if keys else None


def _key_of_file(path: str | None) -> str | None:
    try:
        return Path(path).read_text().strip() if path else None
    except OSError as error:
        raise click.UsageError(f"API_KEY_FILE {path} cannot be read ({error.strerror})") from error
