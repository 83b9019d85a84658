"""What runs on the executors: the models and contracts of this package, on batches of Arrow's.

Each executor imports the package for itself, so it could be another version of it: each batch's work says first which
one made it, and fails where it is not the driver's.
"""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from moovitamix_transform import contracts, sources
from moovitamix_transform.errors import EngineFailed
from moovitamix_transform.graph import Model, models
from moovitamix_transform.streams import STREAMS

Batches = Iterator[pa.RecordBatch]


def made(name: str, source: str, fingerprint: str, schema: pa.Schema, batches: Batches) -> Batches:
    """The rows that a row-local model makes of some rows of one source table, and of no row of the others.

    A row of such a model depends on one record alone, and so do those that it reads: so any split of the records does.
    """
    model = _model(name, fingerprint)
    for batch in batches:
        rows = _of(model, {source: _polars(batch).lazy()}).collect()
        yield from _arrow(rows, schema)


def offenders(name: str, fingerprint: str, schema: pa.Schema, batches: Batches) -> Batches:
    """The rows that break a rule of the model's contract; the key aside, of which a batch sees only its own."""
    contract = _model(name, fingerprint).contract
    for batch in batches:
        rows = _polars(batch)
        yield from _arrow(rows.filter(~contracts.keeps(contract)), schema)


def _model(name: str, fingerprint: str) -> Model:
    model = models()[name]
    if model.fingerprint != fingerprint:
        raise EngineFailed(
            f"{name}: expected the driver's moovitamix on the executors, got another version of this model; install "
            "the same one in the environment that PYSPARK_PYTHON names there"
        )
    return model


def _of(model: Model, given: dict[str, pl.LazyFrame]) -> pl.LazyFrame:
    for read in model.reads:
        if read not in given:
            given[read] = _of(models()[read], given) if read in models() else _empty(read)
    return model.frame(given)


def _empty(source: str) -> pl.LazyFrame:
    return pl.LazyFrame(schema=sources.RECORDS if source in STREAMS else sources.LINES)


def _polars(batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(pa.Table.from_batches([batch]))
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table is one
    return frame


def _arrow(rows: pl.DataFrame, schema: pa.Schema) -> Batches:
    """In Spark's own types: it refuses Arrow's large ones."""
    yield from rows.to_arrow().cast(schema).to_batches()
