"""The objects of a store: listed by a glob, each read as a file."""

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

import polars as pl

from moovitamix_transform.warehouse import object_at

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

REQUEST_BYTES = 8 * 1024 * 1024  # each is a request of its own
_PATIENCE = {"max_retries": 4, "retry_timeout_ms": 15_000}


def matching(pattern: str) -> Iterator[str]:
    """The URLs of the objects a glob matches; a URL without one, whether it is there or not. Raises OSError."""
    # Polars lists with the credentials it reads with, if for itself alone; deltalake's own list needs pyarrow.
    from polars.io._expand_paths import _expand_paths

    listed = _expand_paths(re.sub(r"/\*\*$", "/**/*", pattern), storage_options={**_PATIENCE}).collect()
    yield from (url for url in listed.to_series() if not url.endswith("/"))


def scan_object(url: str) -> pl.LazyFrame:
    """A Parquet file's rows."""
    return pl.scan_parquet(url, glob=False, hive_partitioning=False, storage_options={**_PATIENCE})


def open_object(url: str) -> BinaryIO:
    """Raises OSError, here and when it is read."""
    return cast(BinaryIO, io.BufferedReader(_Object(url), REQUEST_BYTES))


class _Object(io.RawIOBase):
    def __init__(self, url: str) -> None:
        self._object = object_at(url)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        into = memoryview(buffer)
        content = self._object.read(into.nbytes)
        into[: len(content)] = content
        return len(content)
