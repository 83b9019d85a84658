"""How many rows have no value, for each column of a build that may have none."""

from moovitamix_transform.builds import Build
from moovitamix_transform.graph import Model, models
from moovitamix_transform.runs import NullCount
from moovitamix_transform.warehouse import Warehouse

_JUDGED = ("base_", "quarantine")  # their rows are what came, and never leave: their share of nulls says less each day


def of_build(warehouse: Warehouse, build: Build) -> list[NullCount]:
    """One per nullable column of `stg_` tables and marts. A list counts as there, whatever is in it."""
    return [
        each
        for name, model in models().items()
        if not name.startswith(_JUDGED) and name in build.tables
        for each in of_table(warehouse, model, build.tables[name])
    ]


def of_table(warehouse: Warehouse, model: Model, version: int) -> list[NullCount]:
    """One per nullable column. From the table's log alone, but for columns of which it does not tell: of a text longer
    than a kilobyte Spark's writer keeps no statistics."""
    columns = [name for name, promise in model.contract.columns().items() if promise.nullable]
    rows, nulls = warehouse.count(model.path, version), warehouse.null_counts(model.path, version)
    untold = [name for name in columns if name not in nulls]
    if untold and rows:
        scanned = warehouse.scan(model.path, version).select(untold).null_count().collect(engine="streaming")
        nulls |= scanned.row(0, named=True)
    return [NullCount(model.name, name, nulls.get(name, 0), rows) for name in columns]
