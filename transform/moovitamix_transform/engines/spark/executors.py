"""What runs on the executors: work in native Polars on the rows of one batch of Arrow's, by the code of this package.

Each executor imports the package for itself, so it could be another version of it: the work then fails, and says so.
"""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from moovitamix_transform import contracts, sources
from moovitamix_transform.engines.engine import Work
from moovitamix_transform.errors import EngineFailed
from moovitamix_transform.graph import Model, models, package_fingerprint
from moovitamix_transform.streams import STREAMS

Batches = Iterator[pa.RecordBatch]


def done(work: Work, fingerprint: str, schema: pa.Schema, batches: Batches) -> Batches:
    """The work, on every batch.

    Args:
        fingerprint: of the driver's package.
        schema: of what comes out, in Spark's own types: it refuses Arrow's large ones.
    """
    if package_fingerprint() != fingerprint:
        raise EngineFailed(
            "expected the driver's moovitamix on the executors, got another version of it; install the same one in the "
            "environment that PYSPARK_PYTHON names there"
        )
    for batch in batches:
        rows = pl.from_arrow(pa.Table.from_batches([batch]))
        assert isinstance(rows, pl.DataFrame)  # noqa: S101 - a table is one
        yield from work(rows).to_arrow().cast(schema).to_batches()


def made(name: str, source: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What a row-local model makes of some rows of one source table, and of no row of the others.

    A row of such a model depends on one record alone, and so do those that it reads: so any split of the records does.
    """
    return _of(models()[name], {source: rows.lazy()}).collect()


def offenders(name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that break a rule of the model's contract, as far as their columns say; that keys are unique no batch
    can tell."""
    return rows.filter(~contracts.keeps(models()[name].contract, tuple(rows.columns)))


def _of(model: Model, given: dict[str, pl.LazyFrame]) -> pl.LazyFrame:
    for read in model.reads:
        if read not in given:
            given[read] = _of(models()[read], given) if read in models() else _empty(read)
    return model.frame(given)


def _empty(source: str) -> pl.LazyFrame:
    return pl.LazyFrame(schema=sources.RECORDS if source in STREAMS else sources.LINES)
