"""`state`: how far each stream was read, as the connector takes it back."""

from typing import Annotated

import typer

from moovitamix_transform import sources
from moovitamix_transform.cli.options import DEFAULT_WAREHOUSE, WarehouseOption, reading
from moovitamix_transform.errors import UsageError
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

HELP = "Print how far each stream was read. It is the JSON list that `read --state` accepts."

app = typer.Typer(
    invoke_without_command=True,
    help=HELP,
    epilog="Example: moovitamix state > state.json",
    rich_markup_mode=None,
)


@app.callback()
def state(
    context: typer.Context,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: Annotated[bool, typer.Option("--json", help="As without it: a list of states is JSON.")] = False,
) -> None:
    """Print how far each stream was read. It is the JSON list that `read --state` accepts."""
    context.obj = warehouse
    if context.invoked_subcommand is None:
        typer.echo(sources.state_list(sources.states(reading(warehouse))))


@app.command("reset", epilog="Example: moovitamix state reset listen_history")
def reset(
    context: typer.Context,
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="The stream whose state to forget.")],
    warehouse: Annotated[
        str | None, typer.Option("--warehouse", "-w", help="As that of `state`, which it replaces.")
    ] = None,
) -> None:
    """Forget a stream's state: the next sync reads it whole. No record is touched."""
    if stream not in STREAMS:
        raise UsageError(f"state reset: expected one of {', '.join(STREAMS)}, got {stream!r}")
    house = reading(warehouse or context.obj)
    with Warehouse(house.root).writing():
        sources.make_missing(house)
        if house.metadata(sources.path(stream)).get("origin") == "files":
            raise UsageError(f"state reset: expected a stream that a source sends, got {stream}, which files feed")
        sources.reset_state(house, stream)
    typer.echo(f"{stream}: its state is forgotten; the next sync reads it whole", err=True)
