"""The Delta tables of one folder or bucket prefix: read, written and committed to, each by its path in it."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

import polars as pl
from deltalake import DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from moovitamix_transform.errors import NewerLayout, NotAWarehouse, NoWarehouse, WarehouseInUse
from moovitamix_transform.warehouse import data_files
from moovitamix_transform.warehouse.data_files import DataFile
from moovitamix_transform.warehouse.delta import (
    Metadata,
    configuration,
    delta_schema,
    explained,
    properties,
)
from moovitamix_transform.warehouse.lock import LOCK, is_locked, locked
from moovitamix_transform.warehouse.reading import Reading

# 1: version 0.1.0. 2: version 0.2.0, whose _meta/runs has what a run records of itself: 0.1.0 ends in a TypeError over
# those columns.
# From 1 to 2 is no more than to say so: each reader takes a row without them, and the first with them widens the table.
LAYOUT = 2
_NUMBERS = count(1)  # of the commits with a transaction that this process makes
SCRATCH = "_meta/scratch"  # what a build holds for a while; nothing in it is part of the warehouse


@dataclass(frozen=True)
class Warehouse(Reading):
    """A folder or bucket prefix. Tables are named by their path in it, such as `marts/fct_listens`."""

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

    # -- a commit ------------------------------------------------------------------------------------------------

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        metadata: Metadata | None = None,
        *,
        after: int | None = None,
        is_wider: bool = False,
        run_id: str | None = None,
    ) -> int:
        """One commit, also without rows: then it carries the metadata only. Returns the version.

        Args:
            after: the version this commit must follow at once. Without it, whatever was committed meanwhile is fine.
            is_wider: the rows may have columns that the table lacks: it gets them, null in the rows it has.
            run_id: the run of this process that appends, for a transaction id: should the store commit and its answer
                be lost, the commit is known as this one by it, and not made once more.
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
        transaction = None if run_id is None else Transaction(run_id, next(_NUMBERS))
        with self._committing(table, what, after) as opened:
            known = opened.version()
            try:
                write_deltalake(
                    opened,
                    rows,
                    mode="append",
                    schema_mode="merge" if is_wider else None,
                    commit_properties=properties(metadata, after is not None, transaction),
                )
            except CommitFailedError:
                version = self._version_of(table, known, transaction)
                if version is None:
                    raise
                return version
            return opened.version()

    def _version_of(self, table: str, known: int, transaction: Transaction | None) -> int | None:
        """The version after `known` that has the transaction, of which there is one in each commit of its run."""
        if transaction is not None:
            for version in range(known + 1, self.version(table) + 1):
                if self._open(table, version).transaction_version(transaction.app_id) == transaction.version:
                    return version
        return None

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

    def overwrite(self, table: str, rows: pl.LazyFrame) -> int:
        """One commit that replaces every row, streamed. Returns the version; earlier ones stay readable."""
        schema = rows.collect_schema()
        with explained(f"{self.uri(table)}: could not write the new version"):
            self._make_folder(table)
            # A loop would hold the part that was written until it is given the next.
            written = list(map(partial(self._written, table), data_files.parts(rows)))
        return self.commit_files(table, schema, written)

    def _written(self, table: str, rows: pl.DataFrame) -> DataFile:
        """A file in the table's folder. It is none of the table's before it is committed: until then it is litter,
        which `prune` takes away."""
        name = f"part-{uuid4()}.parquet"
        uri = f"{self.uri(table)}/{name}"
        data_files.write(rows, uri, self._polars_options)
        records = data_files.count(uri, self._polars_options)
        return DataFile(name, self._size(uri), {"numRecords": records, **data_files.ends_and_nulls(rows)})

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
        what = f"could not commit {len(added)} files"
        now = int(datetime.now(UTC).timestamp() * 1000)
        adds = [AddAction(each.path, each.size, {}, now, True, each.statistics_json()) for each in added]
        if not self.exists(table):
            if self.is_local:
                self._make_folder(table)
                with explained(f"{self.uri(table)}: {what}"):
                    create_table_with_add_actions(
                        self.uri(table),
                        delta_schema(schema),
                        adds,
                        configuration=configuration(table),
                        commit_properties=properties(None),
                    )
                return self.version(table)
            # delta-rs turns the later of two creations into an append: without rows that does no harm.
            self.append(table, pl.DataFrame(schema=schema))
        with self._committing(table, what) as opened:
            if known is not None and opened.version() != known:  # what a killed build left on top
                opened.restore(known)
            gone = [RemoveAction(each.path, True, now, each.size) for each in removed or ()]
            opened.create_write_transaction(
                [*adds, *gone],
                "overwrite" if removed is None else "append",
                delta_schema(schema),
                commit_properties=properties(None, is_next=True),
            )
            opened.load_as_version(opened.version() + 1)  # this commit, which came next: others may have come since
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
        """Of those that are there: a vacuum names what one before it removed, too."""
        freed = 0
        for name in files:
            with suppress(FileNotFoundError):
                freed += self._size(f"{self.uri(table)}/{unquote(name)}")
        return freed

    def _make_folder(self, table: str) -> None:
        if self.is_local:
            Path(self.uri(table)).mkdir(parents=True, exist_ok=True)

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
