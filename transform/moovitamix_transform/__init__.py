"""From the MooVitamix API to tables one can trust: `load_table` reads them, the command `moovitamix` makes them."""

from typing import TYPE_CHECKING

__all__ = ["load_table"]

if TYPE_CHECKING:
    from moovitamix_transform.catalog import load_table
else:

    def __getattr__(name: str) -> object:
        # Not imported on top: what supervises the source, and `--help`, must not wait for Polars and Delta.
        if name != "load_table":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from moovitamix_transform.catalog import load_table

        return load_table
