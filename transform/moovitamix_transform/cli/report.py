"""`report`: everything the other commands say, on one page that opens without a network."""

from pathlib import Path
from typing import Annotated

import typer

from moovitamix_transform.cli.options import DEFAULT_WAREHOUSE, WarehouseOption, consoles
from moovitamix_transform.errors import MissingExtra, UsageError
from moovitamix_transform.report.writing import FILE_NAME, write
from moovitamix_transform.warehouse import Warehouse

EXAMPLE = "Example: moovitamix report --out report.html"


def report(
    out: Annotated[
        Path | None, typer.Option(help="The file to write; report.html in the warehouse by default.")
    ] = None,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Write what the other commands say into one HTML file.

    Ledger, volumes, nulls, freshness, quarantine, lineage, dictionary, builds.
    """
    house = Warehouse(warehouse)
    if out is None and not house.is_local:
        raise UsageError(f"report: expected --out FILE for a warehouse on an object store, {warehouse}, got none")
    house.open()
    path = out or Path(house.root) / FILE_NAME
    try:
        from moovitamix_transform.report.make import report as make
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"report: expected the package {error.name}, which draws it, found none; install the extra: "
            "`pip install 'moovitamix[report]'`. Nothing was written."
        ) from error
    text = make(house)
    write(path, text)
    consoles().err.print(f"written: {path}", soft_wrap=True)
