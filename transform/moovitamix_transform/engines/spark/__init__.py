"""Spark, on a cluster: the only folder that knows pyspark, and needs the extra `spark`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from moovitamix_transform.engines.engine import Engine
from moovitamix_transform.engines.spark import session, settings
from moovitamix_transform.warehouse import Warehouse


@contextmanager
def spark_engine(warehouse: Warehouse, master: str, given: dict[str, str]) -> Iterator[Engine]:
    """The engine, with a session that ends with the block.

    Args:
        master: a master's URL, as Spark takes it.
        given: settings of Spark's.
    Raises:
        UsageError: a setting would change the tables' rows.
        MissingExtra: there is no pyspark.
        EngineFailed: no Java, no master, no file system, or what the cluster says of its failure.
    """
    settings.require_allowed(given, "build --conf")
    session.require_spark(master)
    with session.started(master, warehouse, given) as spark, session.explained(master):
        from moovitamix_transform.engines.spark.on_spark import OnSpark

        engine = OnSpark(warehouse, spark)
        engine.require_file_system()
        try:
            yield engine
        finally:
            with suppress(Exception):  # the build is published, or its own error is the one to tell
                engine.clear()
