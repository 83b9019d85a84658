"""Parquet files that executors write, and what a Delta log says of them."""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl
import pyarrow.parquet as pq
from pyspark.sql.types import StructType

from moovitamix_transform.errors import EngineFailed
from moovitamix_transform.warehouse import DataFile, Warehouse, object_at, schema_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def spark_schema(schema: pl.Schema) -> StructType:
    return StructType.fromJson(json.loads(schema_json(schema)))


def read(spark: "SparkSession", warehouse: Warehouse, path: str, version: int) -> "DataFrame":
    """A version of a Delta table, from its Parquet files."""
    schema = spark_schema(warehouse.scan(path, version).collect_schema())
    return read_files(spark, warehouse, path, warehouse.data_files(path, version), schema)


def read_files(
    spark: "SparkSession", warehouse: Warehouse, path: str, files: Sequence[DataFile], schema: StructType
) -> "DataFrame":
    if not files:
        return spark.createDataFrame([], schema)
    folder = _glob_escaped(url(warehouse, path))
    return spark.read.schema(schema).parquet(*(f"{folder}/{each.path}" for each in files))


def write(spark: "SparkSession", warehouse: Warehouse, path: str, rows: "DataFrame") -> list[DataFile]:
    """Writes rows into a folder of their own in the table's. They are no rows of the table before they are committed:
    until then what a killed build leaves is litter, which `prune` takes away as any other."""
    name = f"spark-{uuid4()}"
    folder = f"{url(warehouse, path)}/{name}"
    rows.write.option("compression", "zstd").parquet(folder)
    files = [
        DataFile(f"{name}/{file}", size, _statistics(warehouse, f"{path}/{name}/{file}"))
        for file, size in _listed(spark, folder)
    ]
    return [each for each in files if each.statistics["numRecords"]]


def url(warehouse: Warehouse, path: str) -> str:
    """Where Hadoop finds a table: without a scheme it would look in the cluster's own file system."""
    if warehouse.is_local:
        return f"file://{Path(warehouse.uri(path)).absolute()}"
    scheme, _, rest = warehouse.uri(path).partition("://")
    return f"{'s3a' if scheme == 's3' else scheme}://{rest}"


def require_file_system(spark: "SparkSession", warehouse: Warehouse) -> None:
    """EngineFailed where the cluster has no classes for the warehouse's store."""
    from py4j.protocol import Py4JError

    java: Any = spark._jvm
    scheme = url(warehouse, "").partition(":")[0]
    try:
        java.org.apache.hadoop.fs.FileSystem.getFileSystemClass(scheme, spark._jsc.hadoopConfiguration())
    except Py4JError as error:
        version = java.org.apache.hadoop.util.VersionInfo.getVersion()
        package = f"org.apache.hadoop:hadoop-aws:{version}"
        hint = (
            f"; add the package {package}, such as by --conf spark.jars.packages={package}" if scheme == "s3a" else ""
        )
        raise EngineFailed(
            f"{warehouse.root}: expected a Hadoop file system for {scheme}: among Spark's classes, found none{hint}. "
            "Nothing is built."
        ) from error


def delete(spark: "SparkSession", folder: str) -> None:
    java: Any = spark._jvm
    path = java.org.apache.hadoop.fs.Path(folder)
    path.getFileSystem(spark._jsc.hadoopConfiguration()).delete(path, True)


def _listed(spark: "SparkSession", folder: str) -> list[tuple[str, int]]:
    """Names and sizes of the Parquet files in a folder, of whatever file system."""
    java: Any = spark._jvm
    path = java.org.apache.hadoop.fs.Path(folder)
    statuses = path.getFileSystem(spark._jsc.hadoopConfiguration()).listStatus(path)
    found = [(str(each.getPath().getName()), int(each.getLen())) for each in statuses]
    return sorted((name, size) for name, size in found if name.endswith(".parquet"))


def _glob_escaped(folder: str) -> str:
    """Spark reads a path as a glob. Those of a warehouse have no brackets and no percent sign."""
    return "".join(f"\\{each}" if each in "*?{}" else each for each in folder)


def _statistics(warehouse: Warehouse, path: str) -> dict[str, Any]:
    """What `data_files.ends_and_nulls` says of rows, and their count, from the file's own footer."""
    uri = warehouse.uri(path)
    footer = pq.read_metadata(uri if warehouse.is_local else object_at(uri))
    found: dict[str, Any] = {"numRecords": footer.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for at in range(footer.num_columns):
        groups = [footer.row_group(group).column(at) for group in range(footer.num_row_groups)]
        name = groups[0].path_in_schema if groups else ""
        parts = [group.statistics for group in groups]
        if "." in name or not all(parts):
            continue
        if all(part.has_null_count for part in parts):
            found["nullCount"][name] = sum(part.null_count for part in parts)
        if all(part.has_min_max for part in parts if part.num_values):
            ends = [part for part in parts if part.has_min_max]
            if ends and isinstance(ends[0].min, int | date) and not isinstance(ends[0].min, bool):
                found["minValues"][name] = min(part.min for part in ends)
                found["maxValues"][name] = max(part.max for part in ends)
    return found
