"""What a session of Spark is told, and what of it a user may not tell it otherwise."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from moovitamix_transform.errors import UsageError
from moovitamix_transform.warehouse import Warehouse, store_endpoint

_LOG = Path(__file__).with_name("log4j2.properties")

# What the tables' rows depend on. The rest is the user's: spark-defaults.conf in SPARK_CONF_DIR, or `--conf`.
FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # Delta's; the default is one that Delta lacks
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",  # instants before 1900 are those that Polars wrote
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.writeLegacyFormat": "false",  # lists that Delta's readers know
    "spark.sql.ansi.enabled": "true",  # a number out of range is an error, not another number
    # A file that is gone or broken is an error, not no rows.
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
    # A task that was done twice, after a failure or by speculation, leaves the files of one attempt.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "1",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}
_LEGACY = "spark.sql.legacy."  # each lets a function answer as that of an older Spark did
_QUIET = {
    "spark.app.name": "moovitamix build",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOG.as_uri()}",
}


def require_allowed(settings: dict[str, str], where: str) -> None:
    """UsageError over a setting that would change the tables' rows.

    Args:
        where: who gave them.
    """
    for name, value in settings.items():
        if name.startswith(_LEGACY):
            raise UsageError(
                f"{where}: expected no {_LEGACY}… setting, got {name}: Spark's functions would answer otherwise than "
                "Polars'. Nothing is built."
            )
        if FIXED.get(name, value).lower() != value.lower():
            raise UsageError(
                f"{where}: expected {name}={FIXED[name]}, which the tables' rows depend on, got {value!r}. "
                "Nothing is built."
            )


def of_session(master: str, warehouse: Warehouse, given: dict[str, str]) -> dict[str, str]:
    return {**_QUIET, **_loopback(master), **_store(warehouse), **given, **FIXED}


def _loopback(master: str) -> dict[str, str]:
    """A driver that no other machine has to reach listens on loopback alone, and shows no page."""
    host = urlsplit(master).hostname if master.startswith("spark://") else "localhost"
    if host not in ("localhost", "127.0.0.1"):
        return {}
    return {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
    }


def _store(warehouse: Warehouse) -> dict[str, str]:
    """Where S3A finds the store, by the variables that Polars and delta-rs go by; the keys Spark takes from theirs."""
    found = {}
    if not warehouse.is_local:
        if endpoint := store_endpoint():
            found["spark.hadoop.fs.s3a.endpoint"] = endpoint
            found["spark.hadoop.fs.s3a.path.style.access"] = "true"  # a name before the host is Amazon's
        if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
            found["spark.hadoop.fs.s3a.endpoint.region"] = region
    return found
