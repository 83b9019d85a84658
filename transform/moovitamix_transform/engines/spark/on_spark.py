"""Spark: reads and writes the tables' Parquet files on the executors, commits them from here."""

from dataclasses import dataclass, field
from functools import partial, reduce
from typing import ClassVar
from urllib.parse import unquote
from uuid import uuid4

import narwhals as nw
import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, count, count_if, lit
from pyspark.sql.functions import max as greatest
from pyspark.sql.functions import min as least
from pyspark.sql.pandas.types import to_arrow_schema

from moovitamix_transform import contracts, sources, tables
from moovitamix_transform.engines.engine import Frame, Held, Work, element_count
from moovitamix_transform.engines.spark import executors, files
from moovitamix_transform.errors import ContractBroken
from moovitamix_transform.graph import Model, models, package_fingerprint
from moovitamix_transform.warehouse import SCRATCH, DataFile, Warehouse

MOST_OFFENDERS = 10_000  # collected for a message


@dataclass
class OnSpark:
    """See `engine.Engine`."""

    warehouse: Warehouse
    spark: SparkSession
    name: ClassVar[str] = "spark"
    # A store has no lock: another build may hold something beside this one.
    _scratch: str = field(default_factory=lambda: f"{SCRATCH}/{uuid4()}", init=False)

    def scan(self, path: str, version: int) -> Frame:
        return _frame(files.read(self.spark, self.warehouse, path, version))

    def scan_apart(self, path: str, version: int, other: int) -> Frame:
        known = {each.path for each in self.warehouse.data_files(path, other)}
        schema = files.spark_schema(self.warehouse.scan(path, version).collect_schema())
        fresh = [each for each in self.warehouse.data_files(path, version) if each.path not in known]
        return _frame(files.read_files(self.spark, self.warehouse, path, fresh, schema))

    def table(self, name: str, versions: dict[str, int]) -> Frame:
        if name == "generations":  # a row a read: few
            return _frame(self._here(tables.scan(self.warehouse, name, versions).collect()))
        if name in models():
            return self.scan(models()[name].path, versions[name])
        return tables.of_epoch(self.warehouse, name, versions, self.scan(sources.path(name), versions[name]))

    def frame(self, model: Model, inputs: dict[str, Frame]) -> Frame:
        if not model.is_native:
            made: Frame = model.function(**{name: inputs[name] for name in model.reads})
            return made
        parts = [self._native(model, source, inputs) for source in model.reads if source not in models()]
        return _frame(reduce(DataFrame.unionAll, parts))

    def whole(self, model: Model, versions: dict[str, int]) -> Frame:
        return self.frame(model, {name: self.table(name, versions) for name in model.reads})

    def element_count(self, model: Model, version: int) -> int:
        return element_count(self, model, self.scan(model.path, version))

    def _native(self, model: Model, source: str, inputs: dict[str, Frame]) -> DataFrame:
        """The rows that a row-local model makes of one source table's records, by its own function on the executors."""
        rows = inputs[source]
        if model.concerns is not None and f"base_{source}" in model.reads:
            judged = inputs[f"base_{source}"].filter(model.concerns)
            rows = rows.join(judged.select(nw.col("raw_id").alias("_airbyte_raw_id")), on="_airbyte_raw_id", how="semi")
        work = partial(executors.made, model.name, source)
        return self.in_batches(rows, work, contracts.schema(model.contract)).to_native()

    def in_batches(self, rows: Frame, work: Work, schema: pl.Schema) -> Frame:
        columns = files.spark_schema(schema)
        done = partial(executors.done, work, package_fingerprint(), to_arrow_schema(columns, timezone="UTC"))
        return _frame(rows.to_native().mapInArrow(done, columns))

    def hold(self, rows: Frame) -> Held:
        """In files, which outlive the executor that wrote them, and end the plan that made them: one that goes on from
        table to table outgrows the driver's memory."""
        native = rows.to_native()
        written = files.write(self.spark, self.warehouse, self._scratch, native)
        kept = files.read_files(self.spark, self.warehouse, self._scratch, written, native.schema)
        return Held(_frame(kept), sum(each.statistics["numRecords"] for each in written))

    def collect(self, rows: Frame) -> pl.DataFrame:
        return _polars(rows.to_native().toArrow())

    def appended(self, path: str, known: int, newest: int) -> Held | None:
        """The executors read the files: no row of them comes here."""
        added = self.warehouse.added_files(path, known, newest)
        if added is None:
            return None
        schema = files.spark_schema(self.warehouse.scan(path, newest).collect_schema())
        rows = files.read_files(self.spark, self.warehouse, path, added, schema)
        return Held(_frame(rows), sum(each.statistics["numRecords"] for each in added))

    def overwrite(self, model: Model, rows: Frame) -> int:
        schema, found = self._written(model, rows)
        version = self.warehouse.commit_files(model.path, schema, found)
        self.require(model, self.scan(model.path, version))
        return version

    def replace(self, model: Model, known: int, removed: Held, added: Held) -> int:
        before = self.warehouse.data_files(model.path, known)
        key = removed.rows.collect_schema().names()
        touched, kept = [], added.rows
        if not removed.is_empty:
            rows = files.read(self.spark, self.warehouse, model.path, known)
            with_names = rows.select(*key, col("_metadata.file_path").alias("_file"))
            hit = with_names.join(removed.rows.to_native(), on=key, how="semi").select("_file").distinct().collect()
            names = {unquote(row["_file"]).rpartition("/")[2] for row in hit}
            touched = [each for each in before if each.path.rpartition("/")[2] in names]
            theirs = files.read_files(self.spark, self.warehouse, model.path, touched, rows.schema)
            stay = _frame(theirs).join(removed.rows, on=key, how="anti")
            kept = nw.concat([stay, added.rows])
        schema, found = self._written(model, kept)
        return self.warehouse.commit_files(model.path, schema, found, removed=touched, known=known)

    def _written(self, model: Model, rows: Frame) -> tuple[pl.Schema, list[DataFile]]:
        schema = contracts.schema(model.contract)
        native = rows.to_native().to(files.spark_schema(schema))
        return schema, files.write(self.spark, self.warehouse, model.path, native)

    def require(self, model: Model, rows: Frame) -> None:
        native, key = rows.to_native(), list(model.contract.primary_key())
        if not self._keeps_rules(model, native):
            judge = partial(executors.offenders, model.name)
            self._refuse(model, self.in_batches(rows, judge, contracts.schema(model.contract)).to_native())
        twice = native.groupBy(*key).count().filter("count > 1").drop("count")
        self._refuse(model, native.join(twice, on=key, how="semi").select(*native.columns))

    def _keeps_rules(self, model: Model, rows: DataFrame) -> bool:
        """Of most columns Spark itself finds the ends; only the others' values go through Python."""
        schema, by_ends = contracts.schema(model.contract), contracts.judged_by_ends(model.contract)
        others = [name for name in schema if name not in by_ends]
        if others:
            work = partial(executors.offenders, model.name)
            columns = pl.Schema({name: schema[name] for name in others})
            if not self.in_batches(_frame(rows.select(*others)), work, columns).to_native().isEmpty():
                return False
        ends = {name: (least(name), greatest(name), count_if(col(name).isNull())) for name in by_ends}
        counted = rows.agg(count(lit(1)), *(each for three in ends.values() for each in three))
        # As Arrow: of PySpark's own rows the instants are in the machine's time zone, and end with the year 1 or 9999.
        found = _polars(counted.toArrow()).row(0)
        if not found[0]:
            return True
        values = {
            name: [found[at], found[at + 1], None if found[at + 2] else found[at]]
            for at, name in zip(range(1, len(found), 3), by_ends, strict=True)
        }
        judged = pl.DataFrame(values, schema={name: schema[name] for name in by_ends})
        return bool(judged.select(contracts.keeps(model.contract, tuple(by_ends)).all()).item())

    def _refuse(self, model: Model, offenders: DataFrame) -> None:
        """ContractBroken where there are some, as Polars says it."""
        found = _polars(offenders.limit(MOST_OFFENDERS).toArrow())
        if not found.is_empty():
            contracts.require(model.name, found.lazy(), model.contract)
            raise ContractBroken(f"{model.name}: Spark found {found.height} rows that break it, Polars none of them")

    def difference(self, before: Frame, after: Frame, key: list[str]) -> tuple[Held, Held]:
        old, new = before.to_native(), after.to_native()
        return self.hold(_frame(new.subtract(old))), self.hold(_frame(old.subtract(new)))

    def has_same_rows(self, one: Frame, other: Frame) -> bool:
        if one.collect_schema() != other.collect_schema():
            return False  # Spark would bring them to common types, or end over other columns
        return bool(one.to_native().subtract(other.to_native()).isEmpty())

    def _here(self, rows: pl.DataFrame) -> DataFrame:
        schema = files.spark_schema(rows.schema)
        return self.spark.createDataFrame(rows.to_arrow().cast(to_arrow_schema(schema, timezone="UTC")), schema)

    def require_file_system(self) -> None:
        """EngineFailed where the cluster cannot reach the warehouse's store."""
        files.require_file_system(self.spark, self.warehouse)

    def clear(self) -> None:
        """Nothing that was held is needed any more."""
        files.delete(self.spark, files.url(self.warehouse, self._scratch))


def _frame(rows: DataFrame) -> Frame:
    frame: Frame = nw.from_native(rows)
    return frame


def _polars(rows: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table is one
    return frame
