"""How many rows have no value, for each column of a build that may have none: from the tables' logs alone."""

from moovitamix_transform.builds import Build
from moovitamix_transform.graph import models
from moovitamix_transform.runs import NullCount
from moovitamix_transform.warehouse import Warehouse

_JUDGED = ("base_", "quarantine")  # their rows are what came, and never leave: their share of nulls says less each day


def of_build(warehouse: Warehouse, build: Build) -> list[NullCount]:
    """One per nullable column of `stg_` tables and marts. A list counts as there, whatever is in it."""
    found = []
    for name, model in models().items():
        if name.startswith(_JUDGED) or name not in build.tables:
            continue
        version = build.tables[name]
        rows, nulls = warehouse.count(model.path, version), warehouse.null_counts(model.path, version)
        for column, promise in model.contract.columns().items():
            if promise.nullable and column in nulls:
                found.append(NullCount(name, column, nulls[column], rows))
    return found
