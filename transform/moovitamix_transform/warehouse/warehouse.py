"""The Delta tables of one folder or bucket prefix: read, written and committed to, each by its path in it."""

import json
import os
import shutil
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote
from urllib.request import url2pathname

import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from moovitamix_transform.errors import (
    NewerLayout,
    NoSuchTable,
    NotAWarehouse,
    NoWarehouse,
    UsageError,
    WarehouseError,
    WarehouseInUse,
)
from moovitamix_transform.warehouse.delta import (
    CONFIGURATION,
    POLARS_STORE_OPTIONS,
    STORE_OPTIONS,
    UNREAD_FEATURES,
    DataFile,
    Metadata,
    Table,
    appended,
    configuration,
    delta_schema,
    explained,
    object_at,
    properties,
    writing,
)
from moovitamix_transform.warehouse.lock import LOCK, is_locked, locked

# 1: version 0.1.0. 2: _meta/runs has what a run records of itself, columns over which 0.1.0 ends in a TypeError.
# From 1 to 2 is no more than to say so: each reader takes a row without them, and the first with them widens the table.
LAYOUT = 2
SCRATCH = "_meta/scratch"  # what a build holds for a while; nothing in it is part of the warehouse
_UNFIT = frozenset("%[]")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # the first of them that is set
_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "azure", "adl", "abfs", "abfss")  # of stores that both libraries know

T = TypeVar("T")


def store_endpoint() -> str | None:
    """The URL of a store that is not Amazon's, as the environment has it."""
    return next((value for name in _ENDPOINTS if (value := os.environ.get(name))), None)


@dataclass(frozen=True)
class Warehouse:
    """A folder or bucket prefix. Tables are named by their path in it, such as `marts/fct_listens`."""

    root: str
    # A version of a table never changes: opened once, it serves every reader of this object.
    _opened: dict[tuple[str, int], DeltaTable] = field(default_factory=dict, init=False, repr=False, compare=False)
    _told: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.root:
            raise UsageError("--warehouse: expected a folder or a URL, got an empty text")
        root = url2pathname(self.root.removeprefix("file://")) if self.root.startswith("file://") else self.root
        object.__setattr__(self, "root", root.rstrip("/") or "/")
        whole = str(Path(self.root).absolute()) if self.is_local else self.root
        if odd := _UNFIT.intersection(whole):
            raise UsageError(
                f"--warehouse {self.root}: expected a path without any of {' '.join(sorted(_UNFIT))}, which delta-rs "
                f"cannot write to, got {' '.join(sorted(odd))} in {whole}"
            )
        scheme = self.root.partition("://")[0]
        if not self.is_local and scheme not in _SCHEMES:
            raise UsageError(f"--warehouse: expected a folder or a URL of {', '.join(_SCHEMES)}, got one of {scheme!r}")
        for name in () if self.is_local else _ENDPOINTS:
            endpoint = os.environ.get(name)
            if endpoint and "://" not in endpoint:  # Polars and delta-rs end in a panic over it
                raise UsageError(f"{name}: expected a URL such as http://127.0.0.1:9000, got {endpoint!r}")

    @property
    def is_local(self) -> bool:
        return "://" not in self.root

    @property
    def _options(self) -> dict[str, str] | None:
        return None if self.is_local else {**STORE_OPTIONS}

    @property
    def _polars_options(self) -> dict[str, Any] | None:
        return None if self.is_local else {**STORE_OPTIONS, **POLARS_STORE_OPTIONS}

    def once(self, what: Hashable, read: Callable[[], T]) -> T:
        """What `read` gives, asked for once by this object: for what a version of a table says, which never changes."""
        if what not in self._told:
            self._told[what] = read()
        told: T = self._told[what]
        return told

    def forget_opened(self) -> None:
        """The versions that were opened have other files now."""
        self._opened.clear()

    def uri(self, table: str) -> str:
        return f"{self.root}/{table}"

    # -- the whole -----------------------------------------------------------------------------------------------

    def open(self) -> "Warehouse":
        """This warehouse, for reading; NoWarehouse, NotAWarehouse or NewerLayout when there is none to read."""
        layout = self._layout()
        if not layout:
            if self._is_empty():
                raise NoWarehouse(
                    f"{self.root}: expected a warehouse, found nothing; `moovitamix run` or `land` makes one"
                )
            raise NotAWarehouse(f"{self.root}: expected a warehouse (with _meta/layout), found something else")
        self._require_known(layout)
        return self

    @contextmanager
    def writing(self) -> Iterator["Warehouse"]:
        """The one writer: makes the warehouse if there is none, and holds its lock until the block ends.

        The lock is the operating system's and dies with its process, so a killed run leaves none behind.
        """
        if not self.is_local:
            self._create_or_open()
            yield self
            return
        folder = Path(self.root)
        if folder.exists() and not folder.is_dir():
            raise NotAWarehouse(f"{self.root}: expected a folder, found a file. Nothing was changed.")
        if folder.exists() and not self.exists("_meta/layout") and not self._is_empty():
            raise NotAWarehouse(
                f"{self.root}: expected an empty folder or a warehouse, found other files. Nothing was changed."
            )
        with explained(f"{self.root}: could not be opened for writing"):
            folder.mkdir(parents=True, exist_ok=True)
            lock = locked(folder)
        try:
            shutil.rmtree(folder / SCRATCH, ignore_errors=True)  # of a killed build: this is the only writer now
            self._create_or_open()
            yield self
        finally:
            lock.release()

    def is_being_written(self) -> bool:
        """Whether a writer holds the lock now. True on an object store, which has no lock to tell."""
        return is_locked(Path(self.root)) if self.is_local else True

    def _create_or_open(self) -> None:
        layout = self._layout()
        self._require_known(layout)
        if layout < LAYOUT:
            self.append("_meta/layout", pl.DataFrame({"version": [LAYOUT]}, schema={"version": pl.Int64}))

    def _layout(self) -> int:
        """The newest it ever had; 0 of what is no warehouse yet."""
        if not self.exists("_meta/layout"):
            return 0
        return int(self.scan("_meta/layout").select(pl.col("version").max()).collect().item())

    def _require_known(self, layout: int) -> None:
        if layout > LAYOUT:
            raise NewerLayout(
                f"{self.root}: expected layout {LAYOUT} at most, got {layout}; "
                "this warehouse was written by a newer moovitamix: install that one. Nothing was changed."
            )

    def _is_empty(self) -> bool:
        """Nothing in it but what the first moments of a killed first run leave."""
        if not self.is_local:
            return True
        folder = Path(self.root)
        if not folder.exists():
            return True
        if not folder.is_dir():
            return False
        inside = {path.name for path in folder.iterdir()}
        meta = {path.name for path in (folder / "_meta").iterdir()} if "_meta" in inside else set()
        return inside <= {LOCK, "_meta"} and meta <= {"layout"}

    # -- one table -----------------------------------------------------------------------------------------------

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

    def count(self, table: str, version: int | None = None) -> int:
        """Rows, from the Delta log alone: the figure the tables' readers are held against."""
        actions = self._actions(table, version)
        return int(actions["num_records"].sum()) if actions.height else 0

    def file_count(self, table: str) -> int:
        """Parquet files of the newest version, from the Delta log alone."""
        return self._actions(table).height

    def count_where(self, table: str, column: str, value: str) -> int:
        """Rows of the files in which every row has this value, from the Delta log alone."""
        if not self.exists(table):
            return 0
        actions = self._actions(table)
        if f"min.{column}" not in actions.columns:
            return 0
        mine = actions.filter((pl.col(f"min.{column}") == value) & (pl.col(f"max.{column}") == value))
        return int(mine["num_records"].sum())

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

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        metadata: Metadata | None = None,
        *,
        after: int | None = None,
        is_wider: bool = False,
    ) -> int:
        """One commit, also without rows: then it carries the metadata only. Returns the version.

        Args:
            after: the version this commit must follow at once. Without it, whatever was committed meanwhile is fine.
            is_wider: the rows may have columns that the table lacks: it gets them, null in the rows it has.
        Raises:
            WarehouseInUse: another writer has committed since `after`.
        """
        what = f"could not append {rows.height} rows"
        if after is None and not self.exists(table):
            with explained(f"{self.uri(table)}: {what}"):
                write_deltalake(
                    self.uri(table),
                    rows,
                    mode="append",
                    configuration=configuration(table),
                    storage_options=self._options,
                    commit_properties=properties(metadata),
                )
                return self.version(table)
        with self._committing(table, what, after) as opened:
            write_deltalake(
                opened,
                rows,
                mode="append",
                schema_mode="merge" if is_wider else None,
                commit_properties=properties(metadata, after is not None),
            )
            return opened.version()

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

    def _content(self, uri: str) -> bytes:
        if self.is_local:
            return Path(uri).read_bytes()
        found = object_at(uri)
        return bytes(found.read(found.size()))

    def _size(self, uri: str) -> int:
        return Path(uri).stat().st_size if self.is_local else object_at(uri).size()

    def replace(self, table: str, version: int, removed_keys: pl.DataFrame, added: pl.DataFrame) -> int:
        """The rows of `version` without those with these keys, and with the added ones. Returns the new version.

        More than one commit: a reader that goes by builds sees none of them before the build is published. Each
        follows the one before at once, so that the version has no row of another writer.
        """
        with self._committing(table, f"could not replace {removed_keys.height} rows by {added.height}") as opened:
            if opened.version() != version:  # what a killed build left on top
                opened.restore(version)
            if removed_keys.height:
                same = " AND ".join(f"target.{name} = source.{name}" for name in removed_keys.columns)
                merge = opened.merge(
                    removed_keys,
                    same,
                    source_alias="source",
                    target_alias="target",
                    commit_properties=properties(None, is_next=True),
                )
                merge.when_matched_delete().execute()
            if added.height:
                write_deltalake(opened, added, mode="append", commit_properties=properties(None, is_next=True))
            return self._kept(table, opened)

    def overwrite(self, table: str, rows: pl.LazyFrame, metadata: Metadata | None = None) -> int:
        """One commit that replaces every row, streamed. Returns the version; earlier ones stay readable."""
        what = "could not write the new version"
        options: dict[str, object] = {
            "schema_mode": "overwrite",
            "configuration": CONFIGURATION,
            "writer_properties": writing(rows.collect_schema()),
        }
        if not self.exists(table):
            if self.is_local:
                with explained(f"{self.uri(table)}: {what}"):
                    self._make_parent(table)
                    options["commit_properties"] = properties(metadata)
                    rows.sink_delta(self.uri(table), mode="overwrite", delta_write_options=options)
                    return self.version(table)
            # delta-rs turns the later of two creations into an append: without rows that does no harm.
            self.append(table, pl.DataFrame(schema=rows.collect_schema()))
        with self._committing(table, what) as opened:
            options["commit_properties"] = properties(metadata, is_next=True)
            rows.sink_delta(opened, mode="overwrite", delta_write_options=options)
            return self._kept(table, opened)

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

    def commit_files(
        self,
        table: str,
        schema: pl.Schema,
        added: Sequence[DataFile],
        *,
        removed: Sequence[DataFile] | None = None,
        known: int | None = None,
    ) -> int:
        """Files that lie in the table's folder already become its rows, in one commit. Returns the version.

        Args:
            removed: the files of version `known` that these replace; None when they replace every row.
        """
        if not self.exists(table):
            self._make_parent(table)
            self.append(table, pl.DataFrame(schema=schema))
        now = int(datetime.now(UTC).timestamp() * 1000)
        adds = [
            AddAction(each.path, each.size, {}, now, data_change=True, stats=json.dumps(each.statistics))
            for each in added
        ]
        with self._committing(table, f"could not commit {len(added)} files") as opened:
            if known is not None and opened.version() != known:  # what a killed build left on top
                opened.restore(known)
            gone = [RemoveAction(each.path, True, now, each.size) for each in removed or ()]
            opened.create_write_transaction(
                [*adds, *gone],
                "overwrite" if removed is None else "append",
                delta_schema(schema),
                commit_properties=properties(None, is_next=True),
            )
            opened.update_incremental()
            return self._kept(table, opened)

    def delete(self, table: str, keys: pl.DataFrame, metadata: Metadata, *, after: int | None = None) -> int:
        """The table without the rows with these keys, in one commit. Returns the new version.

        Args:
            after: the version this commit must follow at once, such as the one whose metadata it carries on.
        """
        with self._committing(table, f"could not delete {keys.height} rows", after) as opened:
            same = " AND ".join(f"target.{name} = source.{name}" for name in keys.columns)
            merge = opened.merge(
                keys, same, source_alias="source", target_alias="target", commit_properties=properties(metadata, True)
            )
            merge.when_matched_delete().execute()
            return opened.version()

    def restore(self, table: str, version: int, *, after: int | None = None) -> int:
        """The rows of an earlier version as the newest ones, in one commit. Returns the new version.

        Args:
            after: the version this commit must follow at once.
        """
        with self._committing(table, f"could not restore version {version}", after) as opened:
            opened.restore(version)
            return opened.version()

    def compact(self, table: str, *, carries: bool = True) -> None:
        """Small files into large ones; the rows, and the metadata of the newest commit, stay.

        Args:
            carries: False for a table whose commits have no metadata: its whole log would be looked through for some.
        """
        with self._committing(table, "could not be compacted") as opened:
            carried = properties(self.metadata(table, opened.version()) if carries else None, is_next=True)
            opened.optimize.compact(commit_properties=carried)

    def vacuum(self, table: str, versions: set[int], *, is_dry: bool) -> int:
        """Removes the files that neither the newest version nor one of these needs. Returns their bytes.

        On an object store another writer may be at work, so files of its last day stay, committed or not.
        """
        with explained(f"{self.uri(table)}: could not remove files"):
            vacuum = partial(
                self._table(table).vacuum,
                retention_hours=0 if self.is_local else 24,
                enforce_retention_duration=False,
                full=True,
                keep_versions=sorted(versions),
            )
            files = vacuum(dry_run=True)
            freed = self._bytes(table, files)
            if files and not is_dry:
                vacuum(dry_run=False)
                self.forget_opened()
            return freed

    def _bytes(self, table: str, files: list[str]) -> int:
        """On an object store as its log has them."""
        if self.is_local:
            paths = [Path(self.uri(table)) / unquote(name) for name in files]
            return sum(path.stat().st_size for path in paths if path.exists())
        return 0

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

    def _make_parent(self, table: str) -> None:
        if self.is_local:
            Path(self.uri(table)).parent.mkdir(parents=True, exist_ok=True)

    def _table(self, table: str, version: int | None = None) -> DeltaTable:
        if version is not None and (table, version) in self._opened:
            return self._opened[table, version]
        with explained(f"{self.uri(table)}: could not read version {'newest' if version is None else version}"):
            opened = self._open(table, version)
        if version is not None:
            self._opened[table, version] = opened
        return opened

    def _files(self, uris: set[str], schema: pl.Schema) -> pl.LazyFrame:
        if not uris:
            return pl.LazyFrame(schema=schema)
        options = self._polars_options
        return pl.scan_parquet(sorted(uris), schema=schema, storage_options=options, credential_provider=None)

    def _open(self, table: str, version: int | None) -> DeltaTable:
        try:
            return Table(self.uri(table), version=version, storage_options=self._options)
        except TableNotFoundError:
            raise NoSuchTable(f"{self.uri(table)}: expected a Delta table, found none") from None

    def _kept(self, table: str, opened: DeltaTable) -> int:
        """What is open now serves those who read its version next: on a store each opening is a wait."""
        self._opened[table, opened.version()] = opened
        return opened.version()

    @contextmanager
    def _committing(self, table: str, what: str, after: int | None = None) -> Iterator[DeltaTable]:
        """The table, at its newest version or at `after`, to commit to: it moves along with each commit.

        Raises WarehouseInUse when a commit that had to be the next one was not: another writer's was.
        """
        where = f"{self.uri(table)}: {what}"
        with explained(where):
            opened = self._open(table, after)
            try:
                yield opened
            except CommitFailedError as error:
                newest = self.version(table)
                if newest == opened.version():
                    raise
                raise WarehouseInUse(
                    f"{where}: expected version {opened.version()} to be the newest, but another moovitamix command "
                    f"has committed version {newest} meanwhile. What was committed before stays, this is not; run it "
                    "again."
                ) from error

    def _actions(self, table: str, version: int | None = None) -> pl.DataFrame:
        return pl.DataFrame(self._table(table, version).get_add_actions(flatten=True))
