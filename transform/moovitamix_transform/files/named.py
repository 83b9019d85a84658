"""Which files `land --from` names, which stream each belongs to: told by its path alone, or refused."""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit
from urllib.request import url2pathname

import polars as pl

from moovitamix_transform.errors import FileRefused, NoSuchFile, UsageError, first_line
from moovitamix_transform.files.store import matching
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import object_at

Format = Literal["jsonl", "jsonl.gz", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
# A folder of a custom path format, such as 2026, 11_24, day=24: between the stream's folder and its files.
_DATE = re.compile(r"(?:\w+=)?[0-9][0-9_.:T-]*")


@dataclass(frozen=True)
class NamedFile:
    """A file as it was when it was named.

    Attributes:
        url: the one name it has, however it was named.
        modified_at: None on an object store.
    """

    url: str
    stream: str
    format: Format
    size: int
    modified_at: datetime | None

    @property
    def path(self) -> Path | None:
        """Where it lies on this machine; None on an object store."""
        return _local_path(self.url)

    def has_changed(self) -> bool:
        """Since it was named; False on an object store, where an object is written whole."""
        return self.path is not None and _named(self.url, self.url, self.stream) != self

    @property
    def shown(self) -> str:
        """Its name in a message."""
        return self.url if self.path is None else str(self.path)


def find(patterns: Sequence[str], stream: str | None = None) -> list[NamedFile]:
    """The files that the patterns name, each once, by name: 2026_9 comes before 2026_10.

    Args:
        patterns: paths, URLs, or globs of them.
        stream: the stream they belong to, where their folders do not say so.
    Raises:
        NoSuchFile: a pattern that no file matches.
        UsageError: a file of another format, or of a stream that cannot be told, or not the one given.
    """
    if stream is not None and stream not in STREAMS:
        raise UsageError(f"land --stream: expected one of {', '.join(STREAMS)}, got {stream!r}")
    if nameless := [each for each in patterns if re.fullmatch("[a-z0-9]+:/*", each)]:
        raise UsageError(f"land --from: expected a URL such as s3://bucket/prefix/**, got {nameless[0]!r}")
    found: dict[str, str] = {}
    for pattern in patterns:
        urls = list(_matches(pattern))
        if not urls:
            raise NoSuchFile(f"land --from {pattern}: expected files, none matches. Nothing was landed")
        found.update(dict.fromkeys(urls, pattern))
    return [_named(url, found[url], stream) for url in sorted(found, key=_by_name)]


def _matches(pattern: str) -> Iterator[str]:
    local = _local_path(pattern)
    if local is None:
        yield from _in_store(pattern)
        return
    if local.is_dir():
        raise UsageError(f"land --from {pattern}: expected files, got a folder; --from '{pattern}/**' names all in it")
    # A name that holds the marks of a glob is that file, if there is one.
    names = [str(local)] if local.is_file() else glob.iglob(str(local), recursive=True)  # noqa: PTH207 - absolute ones
    for name in names:
        if Path(name).is_file():
            yield Path(name).resolve().as_uri()


def _in_store(pattern: str) -> Iterator[str]:
    try:
        yield from matching(pattern)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise FileRefused(
            f"land --from {pattern}: expected to list it, got: {first_line(error)}. Nothing was landed"
        ) from error


def _named(url: str, pattern: str, stream: str | None) -> NamedFile:
    local = _local_path(url)
    parts = urlsplit(url).path.split("/") if local is None else local.parts
    stream, format_ = _stream(url, parts[:-1], stream), _format(url, parts[-1])
    if local is not None:
        status = local.stat()
        return NamedFile(url, stream, format_, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))
    try:
        return NamedFile(url, stream, format_, object_at(url).size(), None)
    except FileNotFoundError:
        raise NoSuchFile(f"land --from {pattern}: expected files, none matches. Nothing was landed") from None
    except OSError as error:
        raise FileRefused(
            f"land --from {pattern}: expected to read {url}, got: {first_line(error)}. Nothing was landed"
        ) from error


def _local_path(url: str) -> Path | None:
    if url.startswith("file://"):
        return Path(url2pathname(urlsplit(url).path))
    return None if "://" in url else Path(url)


def _format(url: str, name: str) -> Format:
    for each in FORMATS:
        if name.endswith(f".{each}"):
            return each
    raise UsageError(
        f"land --from {url}: expected a name that ends in {', '.join(f'.{each}' for each in FORMATS)}, got {name!r}. "
        "Nothing was landed"
    )


def _stream(url: str, folders: Sequence[str], given: str | None) -> str:
    told = _told_stream(folders)
    if given is None and told is None:
        raise UsageError(
            f"land --from {url}: expected a folder named after its stream, one of {', '.join(STREAMS)}, as Airbyte's "
            "path format NAMESPACE/STREAM_NAME/… makes them, got none; --stream NAME says which it is. Nothing was "
            "landed"
        )
    if given is not None and told not in (None, given):
        raise UsageError(f"land --from {url}: expected a file of {given} (--stream), got one of {told} by its folder")
    return given or told or ""


def _told_stream(folders: Sequence[str]) -> str | None:
    """By the file's own folder; not by one further up, where `/home/users` is no stream."""
    for folder in reversed(folders):
        if folder in STREAMS:
            return folder
        if not _DATE.fullmatch(folder):
            return None
    return None


def _by_name(url: str) -> list[str | int]:
    """Airbyte does not pad its numbers."""
    return [int(part) if number % 2 else part for number, part in enumerate(re.split("([0-9]+)", url))]
