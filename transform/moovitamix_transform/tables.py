"""The tables of one build: each at the version the build has of it, the source tables from the build's epoch on."""

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
    rows = epochs.at(warehouse, tables.get("epochs")).cut(name, warehouse.scan(sources.path(name), tables[name]))
    if name == "generations":
        for stream in STREAMS:
            pruned = removals.by_generation(warehouse, sources.path(stream), tables[stream], "pruned")
            rows = removals.without_proof(rows, stream, pruned) if pruned else rows
    return rows
