"""`imagestore completion`: commands, options and their values by the Tab key."""

import click
from click.shell_completion import get_completion_class

from imagestore.commands.options import prints
from imagestore.commands.output import Output


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@prints
@click.pass_context
def command(ctx: click.Context, out: Output, shell: str) -> None:
    """Print the completion script for SHELL; for bash: eval "$(imagestore completion bash)"."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    script = kind(ctx.find_root().command, {}, "imagestore", "_IMAGESTORE_COMPLETE").source()
    out.text(script, {"shell": shell, "script": script})
