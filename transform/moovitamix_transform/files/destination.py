"""A file of one of Airbyte's destinations → batches of its records, or a refusal that says what is wrong with it."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import polars as pl

from moovitamix_transform.errors import FileRefused, first_line
from moovitamix_transform.files.flat_rows import Batch
from moovitamix_transform.files.json_lines import read_lines
from moovitamix_transform.files.named import NamedFile
from moovitamix_transform.files.parquet import read_parquet
from moovitamix_transform.files.store import open_object, scan_object

_OLD = "_airbyte_ab_id"
_SHOWN = 80


def read(file: NamedFile) -> Iterator[Batch]:
    """Its rows in their order, none left out.

    Raises FileRefused when it is no file of a destination: one without a record among its first rows, so that a glob
    that reaches too far fills no table with lines. Also when it ends in the middle.
    """
    is_known = False
    try:
        for batch in _batches(file):
            if batch.odd and not batch.numbers and not is_known:
                _refuse(batch)
            is_known = is_known or bool(batch.numbers)
            yield batch
    except FileRefused as error:
        raise FileRefused(f"{file.shown}: {error}") from error
    except (OSError, EOFError, zlib.error, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise FileRefused(f"{file.shown}: expected to read it to its end, got: {first_line(error)}") from error


def _batches(file: NamedFile) -> Iterator[Batch]:
    if file.format == "parquet":
        rows = scan_object(file.url) if file.path is None else pl.scan_parquet(file.path, glob=False)
        yield from read_parquet(rows, file.stream)
    else:
        with _opened(file) as content:
            yield from read_lines(content, file.stream)


@contextmanager
def _opened(file: NamedFile) -> Iterator[BinaryIO]:
    with open_object(file.url) if file.path is None else file.path.open("rb") as content:
        yield cast(BinaryIO, gzip.GzipFile(fileobj=content)) if file.format == "jsonl.gz" else content


def _refuse(batch: Batch) -> None:
    first = batch.odd[0][1].text
    what = (
        f"a row with {_OLD}, as destinations before version 1 wrote it, which knew no generations"
        if _OLD in first
        else first[:_SHOWN] + "…" * (len(first) > _SHOWN)
    )
    raise FileRefused(
        "expected rows of one of Airbyte's destinations, with _airbyte_raw_id, _airbyte_extracted_at and "
        f"_airbyte_generation_id, got none among the first {len(batch.odd):,}; the first is {what}"
    )
