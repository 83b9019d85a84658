"""What this package asks of Delta tables: how they are opened, committed to, and what their log says of a file."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake._internal import DeltaFileSystemHandler, ObjectInputFile
from deltalake.exceptions import DeltaError
from deltalake.table import FilePruningPredicateType, FilterType

from moovitamix_transform.errors import WarehouseError, first_line
from moovitamix_transform.warehouse.data_files import DataFile

# Delta drops log entries after 30 days by default, and with them what `--as-of` and the states stand on.
CONFIGURATION = {"delta.logRetentionDuration": "interval 36500 days"}
# How long a store that does not answer is asked again: by default delta-rs takes three minutes. Polars reads them too,
# two of them under other names.
STORE_OPTIONS = {"connect_timeout": "5s", "timeout": "30s", "max_retries": "4", "retry_timeout": "15s"}
POLARS_STORE_OPTIONS = {"max_retries": 4, "retry_timeout_ms": 15_000}
# A program that follows a source table learns from its change data feed what prune and forget took out.
_SOURCE_CONFIGURATION = {**CONFIGURATION, "delta.enableChangeDataFeed": "true"}

# What a reader of the Parquet files alone would read wrong: rows that are there no more, columns under other names.
UNREAD_FEATURES = {"deletionVectors": "deletion vectors", "columnMapping": "column mapping"}

Metadata = dict[str, Any]


class Table(DeltaTable):
    """A table whose files Polars finds: delta-rs percent-encodes the folder they are in, Polars takes it as it is."""

    def file_uris(
        self,
        partition_filters: FilterType | None = None,
        *,
        file_pruning_predicate: FilePruningPredicateType | None = None,
    ) -> list[str]:
        uris = super().file_uris(partition_filters, file_pruning_predicate=file_pruning_predicate)
        encoded = self.table_uri.removeprefix("file://")
        folder = unquote(encoded)
        return [folder + uri.removeprefix(encoded) for uri in uris]


def schema_json(schema: pl.Schema) -> str:
    """Columns as Delta's log has them, which is Spark's own form too."""
    return str(delta_schema(schema).to_json())


def delta_schema(schema: pl.Schema) -> Schema:
    return Schema.from_arrow(schema)


def configuration(table: str) -> dict[str, str | None]:
    return {**(_SOURCE_CONFIGURATION if table.startswith("source/") else CONFIGURATION)}


def properties(
    metadata: Metadata | None, is_next: bool = False, transaction: Transaction | None = None
) -> CommitProperties:
    """What a commit carries. One that is next follows the version it was made from at once, or fails: delta-rs would
    put an append behind what others committed meanwhile. Of one with a transaction delta-rs refuses to do so where what
    they committed has a transaction of the same application."""
    custom = {"moovitamix": json.dumps(metadata)} if metadata else None
    return CommitProperties(
        custom_metadata=custom,
        max_commit_retries=0 if is_next else None,
        app_transactions=[transaction] if transaction else None,
    )


def appended(commits: Sequence[bytes]) -> list[DataFile] | None:
    """The files whose rows these commits of a log appended, compactions aside; None when they did more than that."""
    files = []
    for line in (line for commit in commits for line in commit.splitlines() if line.strip()):
        ((kind, action),) = json.loads(line).items()
        if kind in ("commitInfo", "txn") or (kind in ("add", "remove") and not action.get("dataChange", True)):
            continue
        if kind != "add" or action.get("deletionVector") or not action.get("stats"):
            return None
        files.append(DataFile(unquote(action["path"]), action["size"], json.loads(action["stats"])))
    return files


def object_at(url: str) -> ObjectInputFile:
    """An object of any store, to be read: with its bytes, of which there are `size()`. Raises OSError."""
    folder, _, name = url.rpartition("/")
    return DeltaFileSystemHandler(folder, {**STORE_OPTIONS}).open_input_file(name)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """A full disk, a missing right, a broken file: one message, with what happened to the data."""
    try:
        yield
    except (DeltaError, OSError, MemoryError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise WarehouseError(f"{what}: {first_line(error)}. What was committed before stays.") from error
