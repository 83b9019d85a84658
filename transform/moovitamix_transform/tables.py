"""The tables of one build: each at the version the build has of it, the source tables from the build's epoch on."""

from typing import Any

import narwhals as nw
import polars as pl

from moovitamix_transform import epochs, removals, sources
from moovitamix_transform.graph import models
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse


def scan(warehouse: Warehouse, name: str, tables: dict[str, int]) -> pl.LazyFrame:
    """A table, by its bare name, as the models of a build read it.

    Args:
        tables: the build's versions by bare name; see `builds.Build`.
    """
    if name in models():
        return warehouse.scan(models()[name].path, tables[name])
    source = nw.from_native(warehouse.scan(sources.path(name), tables[name]))
    rows: pl.LazyFrame = of_epoch(warehouse, name, tables, source).to_native()
    if name == "generations":
        for stream in STREAMS:
            pruned = removals.by_generation(warehouse, sources.path(stream), tables[stream], "pruned")
            rows = removals.without_proof(rows, stream, pruned) if pruned else rows
    return rows


def of_epoch(warehouse: Warehouse, name: str, tables: dict[str, int], rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """The rows of a source table that belong to the build's epoch or a later one."""
    return epochs.at(warehouse, tables.get("epochs")).cut(name, rows)
