"""Where a warehouse lies, and how delta-rs and Polars reach it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import url2pathname

from moovitamix_transform.errors import UsageError
from moovitamix_transform.warehouse.delta import POLARS_STORE_OPTIONS, STORE_OPTIONS

_UNFIT = frozenset("%[]")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # the first of them that is set
_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "azure", "adl", "abfs", "abfss")  # of stores that both libraries know


def store_endpoint() -> str | None:
    """The URL of a store that is not Amazon's, as the environment has it."""
    return next((value for name in _ENDPOINTS if (value := os.environ.get(name))), None)


@dataclass(frozen=True)
class Location:
    """A folder or bucket prefix. Tables are named by their path in it, such as `marts/fct_listens`."""

    root: str

    def __post_init__(self) -> None:
        if not self.root:
            raise UsageError("--warehouse: expected a folder or a URL, got an empty text")
        root = url2pathname(self.root.removeprefix("file://")) if self.root.startswith("file://") else self.root
        root = os.path.expanduser(root)  # noqa: PTH111 - a path would lose the slashes of a URL
        object.__setattr__(self, "root", root.rstrip("/") or "/")
        whole = str(Path(self.root).absolute()) if self.is_local else self.root
        if odd := _UNFIT.intersection(whole):
            raise UsageError(
                f"--warehouse {self.root}: expected a path without any of {' '.join(sorted(_UNFIT))}, which delta-rs "
                f"cannot write to, got {' '.join(sorted(odd))} in {whole}"
            )
        scheme = self.root.partition("://")[0]
        if not self.is_local and scheme not in _SCHEMES:
            raise UsageError(f"--warehouse: expected a folder or a URL of {', '.join(_SCHEMES)}, got one of {scheme!r}")
        for name in () if self.is_local else _ENDPOINTS:
            endpoint = os.environ.get(name)
            if endpoint and "://" not in endpoint:  # Polars and delta-rs end in a panic over it
                raise UsageError(f"{name}: expected a URL such as http://127.0.0.1:9000, got {endpoint!r}")

    @property
    def is_local(self) -> bool:
        return "://" not in self.root

    @property
    def _options(self) -> dict[str, str] | None:
        return None if self.is_local else {**STORE_OPTIONS}

    @property
    def _polars_options(self) -> dict[str, Any] | None:
        return None if self.is_local else {**STORE_OPTIONS, **POLARS_STORE_OPTIONS}

    def uri(self, table: str) -> str:
        return f"{self.root}/{table}"
