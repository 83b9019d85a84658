"""Spark, on a cluster: the only folder that knows pyspark, and needs the extra `spark`."""

from collections.abc import Iterator
from contextlib import contextmanager

from moovitamix_transform.engines.engine import Engine
from moovitamix_transform.engines.spark import session
from moovitamix_transform.warehouse import Warehouse


@contextmanager
def spark_engine(warehouse: Warehouse, master: str, settings: dict[str, str]) -> Iterator[Engine]:
    """The engine, with a session that ends with the block.

    Args:
        master: a master's URL, as Spark takes it.
        settings: of Spark's; those that the tables' rows depend on stay as they are.
    Raises:
        MissingExtra: there is no pyspark.
        EngineFailed: no Java, no master, no file system, or what the cluster says of its failure.
    """
    session.require_spark(master)
    with session.started(master, settings) as spark, session.explained(master):
        from moovitamix_transform.engines.spark.on_spark import OnSpark

        engine = OnSpark(warehouse, spark)
        engine.require_file_system()
        try:
            yield engine
        finally:
            engine.clear()
