"""`graph`: what each table is made of."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from moovitamix_transform import lineage
from moovitamix_transform.cli.options import consoles

EXAMPLE = "Example: moovitamix graph --format html --out lineage.html"


def graph(
    form: Annotated[
        Literal["mermaid", "html"],
        typer.Option("--format", help="Text for a page that draws it, or a page of its own."),
    ] = "mermaid",
    out: Annotated[Path | None, typer.Option(help="The file to write; stdout by default.")] = None,
) -> None:
    """Print what each table is made of, from the models' own signatures. Needs no warehouse."""
    text = lineage.mermaid() if form == "mermaid" else lineage.html()
    if out is None:
        typer.echo(text)
        return
    out.write_text(text + "\n", encoding="utf-8")
    consoles().err.print(f"written: {out}", soft_wrap=True)
