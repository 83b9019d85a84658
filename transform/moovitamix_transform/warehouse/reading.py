"""What the tables of a warehouse hold, and what their logs say of them. Nothing here writes."""

import json
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from moovitamix_transform.errors import NoSuchTable, WarehouseError
from moovitamix_transform.warehouse.data_files import DataFile
from moovitamix_transform.warehouse.delta import UNREAD_FEATURES, Metadata, Table, appended, explained, object_at
from moovitamix_transform.warehouse.location import Location

T = TypeVar("T")


@dataclass(frozen=True)
class Reading(Location):
    """The Delta tables of one folder or bucket prefix, read."""

    # A version of a table never changes: opened once, it serves every reader of this object.
    _opened: dict[tuple[str, int], DeltaTable] = field(default_factory=dict, init=False, repr=False, compare=False)
    _told: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, what: Hashable, read: Callable[[], T]) -> T:
        """What `read` gives, asked for once by this object: for what a version of a table says, which never changes."""
        if what not in self._told:
            self._told[what] = read()
        told: T = self._told[what]
        return told

    def forget_opened(self) -> None:
        """The versions that were opened have other files now."""
        self._opened.clear()

    def exists(self, table: str) -> bool:
        with explained(f"{self.uri(table)}: could not be looked for"):
            return bool(DeltaTable.is_deltatable(self.uri(table), self._options))

    def version(self, table: str) -> int:
        return self._kept(table, self._table(table))

    def scan(self, table: str, version: int | None = None) -> pl.LazyFrame:
        return pl.scan_delta(self._table(table, version), storage_options=self._polars_options)

    def scan_apart(self, table: str, version: int, other: int) -> tuple[pl.LazyFrame, pl.LazyFrame]:
        """The rows of two versions of a table without the files that both have, where that can be told."""
        tables = self._table(table, version), self._table(table, other)
        if any(each.metadata().partition_columns for each in tables):
            return self.scan(table, version), self.scan(table, other)
        one, two = (each.file_uris() for each in tables)
        schemas = [pl.scan_delta(each).collect_schema() for each in tables]
        return self._files(set(one) - set(two), schemas[0]), self._files(set(two) - set(one), schemas[1])

    def added_since(self, table: str, version: int, newest: int) -> pl.DataFrame | None:
        """The rows of `added_files`."""
        files = self.added_files(table, version, newest)
        if files is None:
            return None
        uris = {f"{self.uri(table)}/{each.path}" for each in files}
        try:
            return self._files(uris, self.scan(table, newest).collect_schema()).collect(engine="streaming")
        except (OSError, pl.exceptions.PolarsError):
            return None

    def added_files(self, table: str, version: int, newest: int) -> list[DataFile] | None:
        """The files of the rows appended after `version`, up to `newest`; None when that is not all that happened, or
        they are not all there any more.

        By what each commit did: a comparison of file lists would take a compaction for news.
        """
        log = f"{self.uri(table)}/_delta_log"
        try:
            commits = [self._content(f"{log}/{each:020}.json") for each in range(version + 1, newest + 1)]
            files = appended(commits)
            if all(self._size(f"{self.uri(table)}/{each.path}") == each.size for each in files or ()):
                return files
        except (OSError, ValueError):
            return None
        return None

    def data_files(self, table: str, version: int) -> list[DataFile]:
        """The Parquet files that are a version of a table, for who reads them without delta-rs.

        Raises WarehouseError for a table whose files alone do not say what its rows are.
        """
        opened = self._table(table, version)
        protocol, configuration = opened.protocol(), opened.metadata().configuration
        features = set(protocol.reader_features or ())
        if configuration.get("delta.columnMapping.mode", "none") != "none":
            features.add("columnMapping")
        if unread := [what for feature, what in UNREAD_FEATURES.items() if feature in features]:
            raise WarehouseError(
                f"{self.uri(table)}: expected a table whose Parquet files are its rows, got one with "
                f"{' and '.join(unread)}. Nothing was read of it; the engine polars can, or rewrite it without"
            )
        if partitioned := opened.metadata().partition_columns:
            raise WarehouseError(
                f"{self.uri(table)}: expected a table without partitions, as moovitamix writes it, got one by "
                f"{', '.join(partitioned)}. Nothing was read of it"
            )
        files = self._actions(table, version).select("path", "size_bytes")
        return [DataFile(unquote(path), size) for path, size in files.iter_rows()]

    def count(self, table: str, version: int | None = None) -> int:
        """Rows, from the Delta log alone: the figure the tables' readers are held against."""
        actions = self._actions(table, version)
        return int(actions["num_records"].sum()) if actions.height else 0

    def file_count(self, table: str) -> int:
        """Parquet files of the newest version, from the Delta log alone."""
        return self._actions(table).height

    def count_where(self, table: str, column: str, value: str) -> int:
        """Rows with this value: from the Delta log alone, but for files that have others too, as a compaction leaves
        them, of which this column is read."""
        if not self.exists(table):
            return 0
        opened = self._table(table)
        actions = pl.DataFrame(opened.get_add_actions(flatten=True))
        if f"min.{column}" not in actions.columns:
            return 0
        least, most = pl.col(f"min.{column}"), pl.col(f"max.{column}")
        mine = actions.filter((least == value) & (most == value))
        mixed = actions.filter((least <= value) & (most >= value) & (least != most))
        uris = {f"{self.uri(table)}/{unquote(each)}" for each in mixed["path"]}
        counted = 0
        if uris:
            rows = self._files(uris, pl.scan_delta(opened, storage_options=self._polars_options).collect_schema())
            counted = rows.filter(pl.col(column) == value).select(pl.len()).collect(engine="streaming").item()
        return int(mine["num_records"].sum()) + counted

    def null_counts(self, table: str, version: int | None = None) -> dict[str, int]:
        """Rows without a value, by column, from the Delta log alone; columns of which it does not tell are absent."""
        actions = self._actions(table, version)
        found = {}
        for name in actions.columns:
            if name.startswith("null_count.") and not actions[name].null_count():
                found[name.removeprefix("null_count.")] = int(actions[name].sum())
        return found

    def newest(self, table: str, column: str, version: int | None = None) -> datetime | None:
        """The newest instant in a column, from the Delta log alone; None without rows."""
        actions = self._actions(table, version)
        newest = actions[f"max.{column}"].max() if f"max.{column}" in actions.columns else None
        return newest if isinstance(newest, datetime) else None

    def metadata(self, table: str, version: int | None = None) -> Metadata:
        """What the newest commit of ours on this table carried, up to a version; empty when there is no table."""
        if not self.exists(table):
            return {}
        newest = self._table(table)  # an older one's history holds later commits too, under wrong numbers
        for limit in (1, None):  # nearly always the newest commit has it: a long history is not read for it
            for commit in newest.history(limit):
                if "moovitamix" in commit and (version is None or commit["version"] <= version):
                    content = json.loads(commit["moovitamix"])
                    return dict(content)
        return {}

    def damage(self, table: str, version: int | None = None) -> str | None:
        """The first file of a table on a local folder that is gone or has another size than its log says.

        Polars ends the process's thread over a Parquet file that was cut off: this looks before it reads.
        """
        if not self.is_local:
            return None
        for name, expected in self._actions(table, version).select("path", "size_bytes").iter_rows():
            file = Path(self.uri(table)) / unquote(name)
            if not file.exists():
                return f"{file}: expected a file of {expected} bytes, found none"
            if file.stat().st_size != expected:
                return f"{file}: expected {expected} bytes, got {file.stat().st_size}"
        return None

    def _table(self, table: str, version: int | None = None) -> DeltaTable:
        if version is not None and (table, version) in self._opened:
            return self._opened[table, version]
        with explained(f"{self.uri(table)}: could not read version {'newest' if version is None else version}"):
            opened = self._open(table, version)
        if version is not None:
            self._opened[table, version] = opened
        return opened

    def _open(self, table: str, version: int | None) -> DeltaTable:
        try:
            return Table(self.uri(table), version=version, storage_options=self._options)
        except TableNotFoundError:
            raise NoSuchTable(f"{self.uri(table)}: expected a Delta table, found none") from None

    def _kept(self, table: str, opened: DeltaTable) -> int:
        """What is open now serves those who read its version next: on a store each opening is a wait."""
        self._opened[table, opened.version()] = opened
        return opened.version()

    def _files(self, uris: set[str], schema: pl.Schema) -> pl.LazyFrame:
        if not uris:
            return pl.LazyFrame(schema=schema)
        options = self._polars_options
        return pl.scan_parquet(sorted(uris), schema=schema, storage_options=options, credential_provider=None)

    def _actions(self, table: str, version: int | None = None) -> pl.DataFrame:
        return pl.DataFrame(self._table(table, version).get_add_actions(flatten=True))

    def _content(self, uri: str) -> bytes:
        if self.is_local:
            return Path(uri).read_bytes()
        found = object_at(uri)
        return bytes(found.read(found.size()))

    def _size(self, uri: str) -> int:
        return Path(uri).stat().st_size if self.is_local else object_at(uri).size()
