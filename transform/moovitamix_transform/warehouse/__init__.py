"""Where the tables live: the only folder that knows deltalake."""

from moovitamix_transform.warehouse.data_files import DataFile
from moovitamix_transform.warehouse.delta import Metadata, explained, object_at, schema_json
from moovitamix_transform.warehouse.location import store_endpoint
from moovitamix_transform.warehouse.warehouse import LAYOUT, SCRATCH, Warehouse

__all__ = [
    "LAYOUT",
    "SCRATCH",
    "DataFile",
    "Metadata",
    "Warehouse",
    "explained",
    "object_at",
    "schema_json",
    "store_endpoint",
]
