"""`land --from`: what Airbyte's file destinations write lands once, as the records it was made of."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform import run as runner
from moovitamix_transform import runs, sources
from moovitamix_transform.connector import Source
from moovitamix_transform.errors import (
    ApiReset,
    FileRefused,
    MoovitamixError,
    NoSuchFile,
    UsageError,
    WarehouseInUse,
    WrongOrigin,
)
from moovitamix_transform.files import destination
from moovitamix_transform.files.landing import FileLanding
from moovitamix_transform.files.named import find
from moovitamix_transform.files.read import FileRead
from moovitamix_transform.graph import models
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.runs import Run
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse
from polars.testing import assert_frame_equal
from rich.console import Console

Line = Callable[..., bytes]
Records = Sequence[dict[str, Any]]
MOOVITAMIX = Path(sys.executable).with_name("moovitamix")
AT = 1_767_225_600_123  # 2026-01-01T00:00:00.123Z
NAME = "2026_1_1_1767225600123_0"
INSTANT = pl.Datetime("us")
FIELDS = {
    "tracks": {"id": pl.Int64, "name": pl.String, "genres": pl.String, "duration": pl.String},
    "users": {"id": pl.Int64, "email": pl.String},
    "listen_history": {"user_id": pl.Int64, "items": pl.List(pl.Int64)},
}
CHANGE = pl.Struct({"field": pl.String, "change": pl.String, "reason": pl.String})
META = pl.Struct({"changes": pl.List(CHANGE), "sync_id": pl.Int64})
LAYOUTS = (
    "raw.jsonl",
    "raw.jsonl.gz",
    "raw_text.jsonl",
    "flat.jsonl",
    "flat.jsonl.gz",
    "raw.parquet",
    "raw_text.parquet",
    "flat.parquet",
)


def envelope(raw_id: str, generation: int = 1, at: int = AT) -> dict[str, Any]:
    return {
        "_airbyte_raw_id": raw_id,
        "_airbyte_extracted_at": at,
        "_airbyte_meta": {"changes": [], "sync_id": 7},
        "_airbyte_generation_id": generation,
    }


def rows(records: Records, generation: int = 1, prefix: str = "raw", at: int = AT) -> list[dict[str, Any]]:
    """What a destination writes of records, raw."""
    return [
        {**envelope(f"{prefix}-{n}", generation, at + n), "_airbyte_data": data} for n, data in enumerate(records, 1)
    ]


def lines(raw_rows: Records, layout: str = "raw") -> bytes:
    """As JSON lines, as Airbyte's own writer puts them: without spaces."""
    if layout == "raw_text":
        raw_rows = [{**row, "_airbyte_data": json.dumps(row["_airbyte_data"])} for row in raw_rows]
    if layout == "flat":
        raw_rows = [
            {**{k: v for k, v in row.items() if k != "_airbyte_data"}, **row["_airbyte_data"]} for row in raw_rows
        ]
    return b"".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for row in raw_rows)


def parquet(raw_rows: Records, layout: str, stream: str) -> pl.DataFrame:
    fields = {**FIELDS[stream], "created_at": INSTANT, "updated_at": INSTANT}
    data = pl.DataFrame(
        [
            {
                name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
                for name, value in row["_airbyte_data"].items()
            }
            for row in raw_rows
        ],
        schema=fields,
    )
    around = pl.DataFrame(
        [{name: value for name, value in row.items() if name != "_airbyte_data"} for row in raw_rows],
        schema={
            "_airbyte_raw_id": pl.String,
            "_airbyte_extracted_at": pl.Int64,
            "_airbyte_meta": META,
            "_airbyte_generation_id": pl.Int64,
        },
    ).with_columns(pl.col("_airbyte_extracted_at").cast(pl.Datetime("ms", "UTC")))
    if layout == "raw":
        return around.with_columns(data.to_struct("_airbyte_data"))
    if layout == "raw_text":
        texts = [json.dumps(row["_airbyte_data"]) for row in raw_rows]
        return around.with_columns(pl.Series("_airbyte_data", texts, pl.String))
    return pl.concat([around, data], how="horizontal")


def write(folder: Path, stream: str, raw_rows: Records, layout: str = "raw.jsonl", name: str = NAME) -> Path:
    """One file of a destination: `folder/stream/name`."""
    shape, _, suffix = layout.partition(".")
    path = folder / stream / f"{name}.{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == "parquet":
        parquet(raw_rows, shape, stream).write_parquet(path)
    else:
        content = lines(raw_rows, shape)
        path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    return path


@pytest.fixture
def land_from(pipeline) -> Callable[..., Run]:
    """`moovitamix land --from` in this process."""

    def land(*names: Path | str, **options: Any) -> Run:  # noqa: ANN401 - those of land_files
        progress = RunProgress(Console(quiet=True), "ERROR")
        run, _ = runner.land_files(pipeline.warehouse, [str(name) for name in names], progress, **options)
        return run

    return land


def versions(pipeline) -> dict[str, int]:
    """Of every table that holds what landed."""
    names = (*STREAMS, "_lines", "generations", "files")
    return {name: pipeline.warehouse.version(sources.path(name)) for name in names}


def counts(run: Run) -> list[tuple[str | None, int, int, int]]:
    """(stream, received, landed, quarantined lines) of each stream of which something came."""
    return [
        (entry.stream, entry.received, entry.landed, entry.quarantined_lines) for entry in run.streams if entry.received
    ]


LISTEN = {
    "user_id": 7,
    "items": [1, 2],
    "created_at": "2026-01-05T10:00:00",
    "updated_at": "2026-01-05T10:00:00.000001",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_row_lands_as_the_record_it_was_made_of(pipeline, land_from, tmp_path: Path, layout: str):
    write(tmp_path, "listen_history", rows([LISTEN], generation=3), layout)

    run = land_from(tmp_path / "*" / "*")

    landed = pipeline.landed("listen_history")
    assert landed.schema == sources.RECORDS
    text = json.dumps(LISTEN) if layout.startswith("raw_text") else json.dumps(LISTEN, separators=(",", ":"))
    at = datetime(2026, 1, 1, 0, 0, 0, 124_000, tzinfo=UTC)
    assert landed.rows() == [("raw-1", at, 3, run.run_id, text)]
    assert counts(run) == [("listen_history", 1, 1, 0)]


@pytest.mark.parametrize("layout", ["flat.jsonl", "flat.parquet", "raw.parquet"])
def test_a_flattened_row_becomes_an_object_without_its_nulls(pipeline, land_from, tmp_path: Path, layout: str):
    user = {"id": 7, "email": None, "created_at": "2026-01-05T10:00:00", "updated_at": None}

    land_from(write(tmp_path, "users", rows([user]), layout))

    assert pipeline.texts("users") == ['{"id":7,"created_at":"2026-01-05T10:00:00"}']


def test_the_values_of_a_json_line_are_not_touched(pipeline, land_from, tmp_path: Path):
    values = '"é\\u00e9":1.0,"b":[1e3,{"c":null}],"a":12345678901234567890123'
    line = lines([envelope("raw-1")]).decode().strip()[:-1] + "," + values + "}"
    path = write(tmp_path, "users", [])
    path.write_text(line + "\n")

    land_from(path)

    assert pipeline.texts("users") == ['{"éé":1.0,"b":[1e3,{"c":null}],"a":12345678901234567890123}']


GOOD = rows([{"id": 1}])[0]
ODD = [
    pytest.param(b"what?", "not_json", id="no_json"),
    pytest.param(b'{"_airbyte_raw_id": "caf\xe9"}', "not_json", id="no_utf_8"),
    pytest.param(b"[" * 100_000, "not_json", id="too_deep"),
    pytest.param(b"[1]", "not_a_message", id="no_object"),
    pytest.param(b'{"id": 1}', "not_a_message", id="no_row_of_a_destination"),
    pytest.param(lines([{**GOOD, "_airbyte_raw_id": None}]).strip(), "not_a_message", id="no_raw_id"),
    pytest.param(lines([{**GOOD, "_airbyte_extracted_at": "soon"}]).strip(), "not_a_message", id="no_instant"),
    pytest.param(
        lines([{**GOOD, "_airbyte_extracted_at": 10**15}]).strip(), "not_a_message", id="a_year_no_calendar_has"
    ),
    pytest.param(lines([{**GOOD, "_airbyte_generation_id": -1}]).strip(), "not_a_message", id="a_generation_below_0"),
    pytest.param(lines([{**GOOD, "_airbyte_generation_id": "1_0"}]).strip(), "not_a_message", id="no_generation"),
    pytest.param(lines([{**GOOD, "_airbyte_data": [1]}]).strip(), "not_a_message", id="data_no_object"),
    pytest.param(lines([{**GOOD, "_airbyte_data": "{"}]).strip(), "not_a_message", id="data_no_json"),
    pytest.param(lines([{**GOOD, "_airbyte_data": None}]).strip(), "not_a_message", id="no_data"),
]


@pytest.mark.parametrize(("line", "rule"), ODD)
def test_a_line_that_is_no_row_lands_whole_in_lines_and_is_counted(
    pipeline, land_from, tmp_path: Path, line: bytes, rule: str
):
    path = write(tmp_path, "users", [])
    path.write_bytes(lines([GOOD]) + b"\n \r\n" + line + b"\n")

    run = land_from(path)

    odd = pipeline.warehouse.scan("source/_lines").select("raw_id", "run_id", "stream", "rule", "text").collect()
    text = line.decode(errors="backslashreplace")
    assert odd.rows() == [(f"{run.run_id}-000000001", run.run_id, "users", rule, text)]
    assert pipeline.texts("users") == ['{"id":1}']
    assert counts(run) == [("users", 2, 1, 1)]


def test_a_parquet_row_that_is_none_lands_whole_in_lines(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}, {"id": 3}]), "raw_text.parquet")
    first = pl.col("_airbyte_raw_id") == "raw-1"
    spoilt = pl.read_parquet(path).with_columns(
        pl.when(first).then(pl.col("_airbyte_data")).otherwise(pl.lit("[3]")).alias("_airbyte_data"),
        pl.when(pl.col("_airbyte_raw_id") != "raw-2").then(pl.col("_airbyte_generation_id")),
    )
    spoilt.write_parquet(path)

    run = land_from(path)

    odd = pipeline.warehouse.scan("source/_lines").sort("raw_id").select("stream", "rule", "text").collect().rows()
    assert [(stream, rule) for stream, rule, _ in odd] == [("users", "not_a_message")] * 2
    assert [json.loads(text)["_airbyte_raw_id"] for _, _, text in odd] == ["raw-2", "raw-3"]
    assert json.loads(odd[1][2])["_airbyte_data"] == "[3]"
    assert counts(run) == [("users", 3, 1, 2)]


@pytest.mark.parametrize("layout", ["raw.jsonl", "flat.jsonl.gz", "flat.parquet", "raw.parquet"])
def test_records_that_airbyte_changed_are_counted(pipeline, land_from, tmp_path: Path, layout: str):
    changed = {"changes": [{"field": "email", "change": "NULLED", "reason": "DESTINATION_SERIALIZATION_ERROR"}]}
    users = rows([{"id": 1}, {"id": 2}, {"id": 3}])
    users[1]["_airbyte_meta"] = {**changed, "sync_id": 7}

    land_from(write(tmp_path, "users", users, layout))

    assert pipeline.warehouse.scan("_meta/files").collect()["changed_count"].to_list() == [1]


@pytest.mark.parametrize("meta", [json.dumps({"changes": [{}]}), {"changes": [{}, {}]}, {"x": 1, "changes": [None]}])
def test_a_change_is_counted_in_whatever_form_its_meta_is(pipeline, land_from, tmp_path: Path, meta: object):
    users = rows([{"id": 1}, {"id": 2}])
    users[0]["_airbyte_meta"] = meta
    users[1]["_airbyte_meta"] = None

    land_from(write(tmp_path, "users", users))

    assert pipeline.warehouse.scan("_meta/files").collect()["changed_count"].to_list() == [1]
    assert pipeline.landed("users").height == 2


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        pytest.param(pl.Int64, 1_767_225_600_124, id="milliseconds"),
        pytest.param(pl.Datetime("ms"), 1_767_225_600_124, id="instant_in_milliseconds"),
        pytest.param(pl.Datetime("us", "UTC"), 1_767_225_600_124_000, id="instant_in_microseconds"),
        pytest.param(pl.Datetime("ns", "UTC"), 1_767_225_600_124_000_999, id="instant_in_nanoseconds"),
    ],
)
def test_an_instant_of_a_parquet_file_is_read_in_its_unit(
    pipeline, land_from, tmp_path: Path, dtype: pl.DataType, value: int
):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]), "flat.parquet")
    last = pl.col("_airbyte_raw_id") == "raw-2"
    instants = pl.when(last).then(pl.lit(2**62)).otherwise(pl.lit(value)).cast(pl.Int64).cast(dtype)
    pl.read_parquet(path).with_columns(_airbyte_extracted_at=instants).write_parquet(path)

    run = land_from(path)

    at = datetime(2026, 1, 1, 0, 0, 0, 124_000, tzinfo=UTC)
    landed = pipeline.landed("users").filter(pl.col("_airbyte_raw_id") == "raw-1")
    assert landed["_airbyte_extracted_at"].to_list() == [at]
    is_in_calendar = dtype == pl.Datetime("ns", "UTC")
    assert counts(run) == [("users", 2, 2, 0) if is_in_calendar else ("users", 2, 1, 1)]


def test_an_instant_that_no_calendar_has_lands_as_its_number_and_is_judged_by_the_build(
    pipeline, land_from, tmp_path: Path
):
    path = write(tmp_path, "users", rows([{"id": 1, "created_at": LISTEN["created_at"]}]), "flat.parquet")
    pl.read_parquet(path).with_columns(updated_at=pl.lit(2**62).cast(INSTANT)).write_parquet(path)

    land_from(path)
    pipeline.build()

    assert pipeline.texts("users") == [f'{{"id":1,"created_at":"2026-01-05T10:00:00","updated_at":"{2**62}"}}']
    assert pipeline.rows("quarantine")["rule"].to_list() == ["updated_at_unreadable"]


def test_a_nanosecond_that_no_microsecond_is_lands_as_it_came_and_is_judged_by_the_build(
    pipeline, land_from, tmp_path: Path
):
    at = {"created_at": LISTEN["created_at"], "updated_at": LISTEN["updated_at"]}
    path = write(tmp_path, "users", rows([{"id": 1, **at}, {"id": 2, **at}]), "flat.parquet")
    late = pl.col("created_at").cast(pl.Datetime("ns")).to_physical() + pl.int_range(pl.len())
    pl.read_parquet(path).with_columns(created_at=late.cast(pl.Datetime("ns"))).write_parquet(path)

    land_from(path)
    pipeline.build()

    assert ['"created_at":"2026-01-05T10:00:00.000000001"' in text for text in pipeline.texts("users")] == [False, True]
    assert pipeline.rows("quarantine")["rule"].to_list() == ["created_at_unreadable"]
    assert pipeline.rows("stg_users")["user_id"].to_list() == [1]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([1.5, float("nan")], id="not_a_number"),
        pytest.param([1.5, float("-inf")], id="infinite"),
        pytest.param(pl.Series([1.5, float("nan")], dtype=pl.Float16), id="half_a_float"),
        pytest.param([[1.5], [2.5, float("inf")]], id="in_a_list"),
        pytest.param([{"a": 1.5}, {"a": float("nan")}], id="in_an_object"),
    ],
)
def test_a_number_that_json_has_not_is_a_line_and_no_null(pipeline, land_from, tmp_path: Path, values: list[object]):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]), "flat.parquet")
    pl.read_parquet(path).with_columns(score=pl.Series(values)).write_parquet(path)

    run = land_from(path)

    assert counts(run) == [("users", 2, 1, 1)]
    assert [text.startswith('{"id":1,"score":') for text in pipeline.texts("users")] == [True]
    (line,) = pipeline.warehouse.scan("source/_lines").collect()["text"]
    assert '"nan"' in line or 'inf"' in line


@pytest.mark.parametrize("layout", ["flat.parquet", "raw.parquet"])
def test_bytes_are_refused_for_no_reader_takes_them_for_texts(pipeline, land_from, tmp_path: Path, layout: str):
    path = write(tmp_path, "users", rows([{"id": 1, "email": "a@b"}]), layout)
    frame = pl.read_parquet(path)
    column = "email" if layout == "flat.parquet" else "_airbyte_data"
    as_bytes = pl.col("email").cast(pl.Binary) if column == "email" else pl.struct(email=pl.lit(b"a@b"))
    frame.with_columns(as_bytes.alias(column)).write_parquet(path)

    with pytest.raises(FileRefused, match=f"expected texts in UTF-8, got bytes in {column}; Airbyte's"):
        land_from(path)

    assert pipeline.landed("users").height == 0


def test_numbers_that_are_written_as_texts_are_read(pipeline, land_from, tmp_path: Path):
    around = {"_airbyte_extracted_at": "1622135805000", "_airbyte_generation_id": "11"}
    iso = {"_airbyte_extracted_at": "2026-01-01T01:00:00.123456+01:00", "_airbyte_raw_id": "raw-2"}

    land_from(write(tmp_path, "users", [{**GOOD, **around}, {**GOOD, **iso}]))

    landed = pipeline.landed("users").select("_airbyte_extracted_at", "_airbyte_generation_id").rows()
    assert landed == [
        (datetime(2021, 5, 27, 17, 16, 45, tzinfo=UTC), 11),
        (datetime(2026, 1, 1, 0, 0, 0, 123_456, tzinfo=UTC), 1),
    ]


def test_each_file_is_landed_once_however_often_it_is_named(
    pipeline, land_from, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write(tmp_path, "users", rows([{"id": 1}]))
    (tmp_path / "link").symlink_to(path.parent, target_is_directory=True)
    monkeypatch.chdir(path.parent)

    first = land_from(path, path.name, path.as_uri())
    again = land_from(tmp_path / "**" / "*.jsonl", tmp_path / "link" / path.name)

    assert (counts(first), counts(again)) == ([("users", 1, 1, 0)], [])
    assert pipeline.texts("users") == ['{"id":1}']
    files = pipeline.warehouse.scan("_meta/files").collect()
    assert files.select("url", "stream", "size", "row_count", "line_count", "first_raw_id", "run_id").rows() == [
        (path.as_uri(), "users", path.stat().st_size, 1, 0, "raw-1", first.run_id)
    ]


def test_an_empty_file_is_landed_once_it_has_rows(pipeline, land_from, tmp_path: Path):
    path = tmp_path / "users" / "x.jsonl"
    path.parent.mkdir()
    path.touch()
    land_from(path)

    path.write_bytes(lines([GOOD]))
    land_from(path)

    assert pipeline.landed("users").height == 1


def test_a_file_that_was_only_touched_is_the_same(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}]))
    land_from(path)
    os.utime(path, (1, 1))

    run = land_from(path)

    assert counts(run) == []


def test_a_file_that_has_changed_is_refused_before_anything_is_written(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}]))
    run = land_from(path)
    before, size = versions(pipeline), path.stat().st_size
    write(tmp_path, "tracks", rows([{"id": 1}]))
    write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]))

    with pytest.raises(FileRefused) as caught:
        land_from(tmp_path / "*" / "*")

    assert str(caught.value) == (
        f"{path}: expected it as run {run.run_id} landed it, {size:,} bytes, got another content, "
        f"{path.stat().st_size:,} bytes; Airbyte never changes a file. What landed of it stays, nothing was landed "
        "now; under another name it is a new file"
    )
    assert versions(pipeline) == before


@pytest.mark.parametrize("layout", ["raw.jsonl", "flat.jsonl.gz", "flat.parquet"])
def test_a_copy_of_a_landed_file_is_refused_in_whatever_format(pipeline, land_from, tmp_path: Path, layout: str):
    first = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]))
    land_from(first)
    copied = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]), layout, name="copy")

    with pytest.raises(FileRefused, match=r"got those of .*, which are landed: its first one, raw-1, is the same"):
        land_from(copied)

    assert pipeline.landed("users").height == 2


@pytest.mark.parametrize(
    ("raw_rows", "batch_bytes", "told", "kept"),
    [
        pytest.param([("new", 3), ("raw", 1)], 9999, "row 2 the raw id raw-1, which run {run} landed", 0, id="landed"),
        pytest.param(
            [("new", 3), ("new", 3)], 9999, "row 2 the raw id new-1, which its row 1 has too", 0, id="in_a_batch"
        ),
        pytest.param(
            [("new", 3), ("new", 3)], 1, "row 2 the raw id new-1, which run later landed", 1, id="in_two_batches"
        ),
    ],
)
def test_a_record_that_is_there_already_is_refused_and_builds_go_on(
    pipeline, land_from, tmp_path: Path, monkeypatch, raw_rows, batch_bytes: int, told: str, kept: int
):
    run = land_from(write(tmp_path, "users", rows([{"id": 1}, {"id": 2}])))
    path = write(
        tmp_path, "users", [row for prefix, n in raw_rows for row in rows([{"id": n}], prefix=prefix)], name="2"
    )
    for name in ("json_lines.BLOCK_BYTES", "read.FLUSH_BYTES"):
        monkeypatch.setattr(f"moovitamix_transform.files.{name}", batch_bytes)
    monkeypatch.setattr("moovitamix_transform.runs.new_run_id", lambda: "later")

    with pytest.raises(FileRefused) as refused:
        land_from(path)

    rest = "What landed of it, up to row 1, stays, nothing more was landed" if kept else "Nothing of it was landed"
    assert str(refused.value) == (
        f"{path}: expected records that are new, got in {told.format(run=run.run_id)}; Airbyte gives each record one "
        f"of its own. {rest}"
    )
    assert pipeline.landed("users").height == 2 + kept
    assert pipeline.build(full_refresh=True).streams["users"].landed_total == 2 + kept


def test_files_land_in_the_order_of_the_numbers_in_their_names(tmp_path: Path):
    names = ["2026_9_30_1_0", "2026_10_1_2_0", "2026_10_1_2_9", "2026_10_1_2_10"]
    paths = [write(tmp_path, "users", [], name=name) for name in names]

    found = find([str(path) for path in reversed(paths)])

    assert [file.path for file in found] == paths


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        pytest.param("users/1.jsonl", "users", id="its_folder"),
        pytest.param("export/public/listen_history/1.jsonl", "listen_history", id="namespace"),
        pytest.param("tracks/2026/11/24/1.jsonl", "tracks", id="folders_of_dates"),
        pytest.param("tracks/day=2026-11-24/1.jsonl", "tracks", id="partitions"),
        pytest.param("tracks/users/1.jsonl", "users", id="the_nearest"),
    ],
)
def test_a_files_stream_is_told_by_its_folder(tmp_path: Path, path: str, stream: str):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).touch()

    (file,) = find([str(tmp_path / path)])

    assert file.stream == stream


@pytest.mark.parametrize("path", ["1.jsonl", "users/export/1.jsonl", "raw_users/1.jsonl", "users_/2026/1.jsonl"])
def test_a_file_whose_stream_its_folder_does_not_tell_is_refused_unless_it_is_given(tmp_path: Path, path: str):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()

    with pytest.raises(UsageError, match=r"expected a folder named after its stream.*--stream NAME says which it is"):
        find([str(tmp_path / path)])

    (file,) = find([str(tmp_path / path)], stream="users")
    assert file.stream == "users"


@pytest.mark.parametrize(
    ("name", "stream", "error", "message"),
    [
        pytest.param("users/2.jsonl", None, NoSuchFile, "expected files, none matches", id="not_there"),
        pytest.param("users/*.parquet", None, NoSuchFile, "expected files, none matches", id="nothing_matches"),
        pytest.param(
            "users", None, UsageError, "expected files, got a folder; --from '.*users/\\*\\*' names", id="folder"
        ),
        pytest.param("users/1.csv", None, UsageError, r"ends in .jsonl, .jsonl.gz, .parquet, got '1.csv'", id="format"),
        pytest.param("users/1.jsonl", "tracks", UsageError, "expected a file of tracks.*got one of users", id="stream"),
        pytest.param("users/1.jsonl", "artists", UsageError, "expected one of tracks.*got 'artists'", id="no_stream"),
    ],
)
def test_a_name_that_cannot_be_right_is_refused_before_there_is_a_warehouse(
    pipeline, land_from, tmp_path: Path, name: str, stream: str | None, error: type[MoovitamixError], message: str
):
    write(tmp_path, "users", rows([{"id": 1}]), name="1")
    (tmp_path / "users" / "1.csv").touch()

    with pytest.raises(error, match=message):
        land_from(tmp_path / "users" / "1.jsonl", tmp_path / name, stream=stream)

    assert not Path(pipeline.warehouse.root).exists()


def test_a_name_with_the_marks_of_a_glob_is_that_file(tmp_path: Path):
    path = write(tmp_path, "users", [], name="[1]")
    write(tmp_path, "users", [], name="1")

    (file,) = find([str(path)])

    assert file.path == path


OLD = {"_airbyte_ab_id": "raw-1", "_airbyte_emitted_at": AT, "_airbyte_data": {"id": 1}}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("x.jsonl", lines([OLD]), "a row with _airbyte_ab_id, as destinations before version 1", id="old"),
        pytest.param(
            "x.jsonl", b'{"add":{}}\n', 'got none among the first 1; the first is {"add":{}}', id="other_lines"
        ),
        pytest.param(
            "x.jsonl.gz", lines([GOOD]), "expected to read it to its end, got: Not a gzipped file", id="no_gzip"
        ),
        pytest.param(
            "x.jsonl.gz", gzip.compress(lines([GOOD]))[:-9], "to its end, got: Compressed file ended", id="cut"
        ),
        pytest.param("x.parquet", b"PAR1", "expected to read it to its end, got: ", id="no_parquet"),
    ],
)
def test_what_is_no_file_of_a_destination_or_is_cut_off_is_refused(
    pipeline, land_from, tmp_path: Path, name: str, content: bytes, message: str
):
    path = tmp_path / "users" / name
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(FileRefused) as caught:
        land_from(path)

    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert pipeline.landed("users").is_empty()
    assert pipeline.warehouse.count("source/_lines") == 0
    assert pipeline.warehouse.count("_meta/files") == 0


def test_a_parquet_file_without_airbytes_columns_is_refused_with_those_it_has(pipeline, land_from, tmp_path: Path):
    path = tmp_path / "users" / "x.parquet"
    path.parent.mkdir()
    pl.DataFrame({"id": [1], "_airbyte_raw_id": ["raw-1"]}).write_parquet(path)

    with pytest.raises(FileRefused, match=r"expected the columns .*, got id Int64, _airbyte_raw_id String"):
        land_from(path)


def test_the_files_before_a_refused_one_are_landed_and_are_not_landed_again(pipeline, land_from, tmp_path: Path):
    write(tmp_path, "users", rows([{"id": 1}]), name="1")
    bad = write(tmp_path, "users", [], name="2")
    bad.write_bytes(b"what?\n")
    write(tmp_path, "users", rows([{"id": 3}], prefix="third"), name="3")

    with pytest.raises(FileRefused):
        land_from(tmp_path / "users" / "*")
    bad.unlink()
    land_from(tmp_path / "users" / "*")

    assert sorted(pipeline.texts("users")) == ['{"id":1}', '{"id":3}']


def test_a_generation_is_complete_once_a_later_one_was_landed(pipeline, land_from, tmp_path: Path):
    both = [{"id": n, "created_at": LISTEN["created_at"], "updated_at": LISTEN["updated_at"]} for n in (1, 2)]
    found, deleted = [], []

    for generation, records in ((4, both), (4, both), (6, both[:1]), (9, both[:1])):
        name = f"{generation}_{len(found)}"
        land_from(write(tmp_path, "users", rows(records, generation, name, AT + generation), name=name))
        found.append(sorted({number for _, number, is_complete, _ in pipeline.generations() if is_complete}))
        if generation > 4:
            pipeline.build()
            deleted.append(pipeline.rows("dim_users").filter("is_deleted")["user_id"].to_list())

    assert found == [[], [], [4], [4, 6]]
    assert deleted == [[], [2]]


def test_a_reset_among_files_is_accepted_by_a_land_and_the_tables_begin_anew(pipeline, land_from, tmp_path: Path):
    at = {"created_at": LISTEN["created_at"], "updated_at": LISTEN["updated_at"]}
    for generation, ids in ((1, [1, 2, 3, 4]), (2, [11, 12]), (3, [11, 12])):
        tracks = [{"id": number, **at} for number in ids]
        land_from(write(tmp_path, "tracks", rows(tracks, generation, f"g{generation}"), name=str(generation)))
    land_from(write(tmp_path, "listen_history", rows([LISTEN], 5)))
    with pytest.raises(ApiReset):
        pipeline.build()

    land_from(tmp_path / "*" / "*", accept_reset=True)
    result = pipeline.build()
    land_from(tmp_path / "*" / "*", accept_reset=True)

    assert pipeline.rows("dim_tracks")["track_id"].to_list() == [11, 12]
    assert pipeline.rows("fct_listens").height == 2
    assert (result.streams["tracks"].closed, result.streams["listen_history"].closed) == (4, 0)
    assert pipeline.warehouse.count("_meta/epochs") == 1, "expected no epoch where there is no reset to accept"


def test_the_odd_lines_of_the_reads_that_a_reset_begins_with_stay_in_the_quarantine(
    pipeline, land_from, tmp_path: Path
):
    at = {"created_at": LISTEN["created_at"], "updated_at": LISTEN["updated_at"]}
    for generation, ids in ((1, [1, 2, 3, 4]), (2, [11, 12]), (3, [11, 12])):
        tracks = [{"id": number, **at} for number in ids]
        path = write(tmp_path, "tracks", rows(tracks, generation, f"g{generation}"), name=str(generation))
        path.write_bytes(path.read_bytes() + f"odd {generation}\n".encode())
        land_from(path)

    land_from(tmp_path / "*" / "*", accept_reset=True)
    pipeline.build()

    assert sorted(pipeline.rows("quarantine")["data"]) == ["odd 2", "odd 3"]


def test_a_late_file_from_before_an_accepted_reset_reaches_no_table_and_is_told(pipeline, land_from, tmp_path: Path):
    at = {"created_at": LISTEN["created_at"], "updated_at": LISTEN["updated_at"]}
    for generation, ids in ((1, [1, 2, 3, 4]), (5, [11, 12]), (6, [11, 12])):
        tracks = [{"id": number, **at} for number in ids]
        land_from(write(tmp_path, "tracks", rows(tracks, generation, f"g{generation}"), name=str(generation)))
    land_from(tmp_path / "*" / "*", accept_reset=True)
    pipeline.build()

    land_from(write(tmp_path, "tracks", rows([{"id": 1, **at}, {"id": 7, **at}], 2, "late"), name="late"))
    result = pipeline.build()
    rows_then = pipeline.rows("base_tracks")
    pipeline.build(full_refresh=True)

    assert result.streams["tracks"].closed == 6
    assert result.notices == [
        "tracks: 2 of the rows that landed are from before the reset that was accepted: no table has them"
    ]
    assert pipeline.rows("dim_tracks")["track_id"].to_list() == [11, 12]
    assert_frame_equal(pipeline.rows("base_tracks"), rows_then, check_row_order=False)


@pytest.mark.parametrize("is_of_lines_only", [False, True])
def test_a_file_that_landed_in_part_keeps_its_generation_from_proving_a_deletion(
    pipeline, land_from, tmp_path: Path, is_of_lines_only: bool
):
    three = [{"id": n, "created_at": LISTEN["created_at"], "updated_at": LISTEN["updated_at"]} for n in (1, 2, 3)]
    land_from(write(tmp_path, "users", rows(three, 1, "a"), name="1"))
    land_from(write(tmp_path, "users", rows(three[:1], 2, "b"), name="2_a"))
    cut_off = write(tmp_path, "users", rows(three[1:2], 2, "c"), name="2_b")
    if is_of_lines_only:
        cut_off.write_bytes(cut_off.read_bytes() + b"what?\n")
        command = ["land", "--from", str(cut_off), "--warehouse", pipeline.warehouse.root]
        subprocess.run([sys.executable, "-c", KILLED, *command], capture_output=True, timeout=60, check=False)
    else:
        begin(pipeline, cut_off)

    third = land_from(write(tmp_path, "users", rows(three[:1], 3, "d"), name="3"))
    pipeline.build()
    deleted = pipeline.rows("dim_users").filter("is_deleted")["user_id"].to_list()
    land_from(cut_off)
    pipeline.build()

    assert deleted == []
    assert third.status == "succeeded"
    # With an odd line, which may be the third user's, its generation proves nothing even when it is whole.
    gone = [] if is_of_lines_only else [3]
    assert pipeline.rows("dim_users").filter("is_deleted")["user_id"].to_list() == gone


def test_a_file_that_landed_in_part_is_told_of_until_a_generation_has_passed_it(pipeline, tmp_path: Path):
    cut_off = write(tmp_path, "users", rows([{"id": 1}], 2, "a"), name="2")
    begin(pipeline, cut_off)
    progress, told = RunProgress(Console(quiet=True), "ERROR"), []

    for generation in (2, 3, 4, 5):
        name = f"{generation}_b"
        later = write(tmp_path, "users", rows([{"id": 1}], generation, name), name=name)
        _, landing = runner.land_files(pipeline.warehouse, [str(later)], progress)
        told.append([Path(url).name for url in landing.held_back.get("users", [])])

    assert told == [[cut_off.name], [cut_off.name], [], []]
    assert sorted(number for _, number, is_complete, _ in pipeline.generations() if is_complete) == [3, 4]


def test_an_odd_line_keeps_the_generations_of_its_file_from_proving_a_deletion(pipeline, land_from, tmp_path: Path):
    both = [{"id": n, "created_at": LISTEN["created_at"], "updated_at": LISTEN["updated_at"]} for n in (1, 2)]
    write(tmp_path, "users", rows(both, 1, "a"), name="1")
    spoilt = write(tmp_path, "users", rows(both[:1], 2, "b"), name="2")
    spoilt.write_bytes(spoilt.read_bytes() + b"what?\n")
    write(tmp_path, "users", rows(both[:1], 3, "c"), name="3")

    land_from(tmp_path / "users" / "*")
    pipeline.build()

    assert pipeline.rows("dim_users").select("user_id", "is_deleted").rows() == [(1, False), (2, False)]


def test_a_stream_that_is_fed_by_messages_takes_no_file(pipeline, land_from, tmp_path: Path, record: Line):
    pipeline.land([record("users", {"id": 1})])
    land_from(write(tmp_path, "tracks", rows([{"id": 1}])))
    write(tmp_path, "users", rows([{"id": 2}]))
    write(tmp_path, "tracks", rows([{"id": 2}], prefix="more"), name="more")
    before = versions(pipeline)

    with pytest.raises(
        WrongOrigin, match=r"users: expected its records from a source's messages.* got some from a dest"
    ):
        land_from(tmp_path / "*" / "*")

    assert versions(pipeline) == before


def test_a_stream_that_is_fed_by_files_takes_no_message(pipeline, land_from, tmp_path: Path, record: Line):
    land_from(write(tmp_path, "users", rows([{"id": 1}])))
    before = versions(pipeline)

    with pytest.raises(WrongOrigin, match="users: expected its records from a destination's files"):
        pipeline.land([record("tracks", {"id": 1}), record("users", {"id": 2})])
    assert versions(pipeline) == before

    pipeline.land([record("tracks", {"id": 1})])
    assert pipeline.texts("tracks") == ['{"id": 1}']


def test_run_asks_no_source_for_a_stream_that_is_fed_by_files(pipeline, land_from, tmp_path: Path):
    land_from(write(tmp_path, "users", rows([{"id": 1}])))
    asked = tmp_path / "asked"
    source = Source("touch", ("touch", str(asked)))

    with pytest.raises(WrongOrigin, match="users: expected its records from a destination's files"):
        runner.sync_and_build(pipeline.warehouse, source, RunProgress(Console(quiet=True), "ERROR"))

    assert not asked.exists()


LINE_TEXTS = lines(rows([{"id": n, "name": "x" * 60} for n in range(18)])).splitlines(keepends=True)
MIXED = b"".join([*LINE_TEXTS[:3], b"odd 1\n", *LINE_TEXTS[3:9], b"odd 2\n", b"odd 3\n", *LINE_TEXTS[9:]])
LANDED_ONCE = {
    "source/users": ["_airbyte_raw_id", "_airbyte_data"],
    "source/tracks": ["_airbyte_raw_id", "_airbyte_data"],
    "source/_lines": ["stream", "rule", "text"],
    "_meta/files": ["url", "row_count", "line_count", "sha256"],
}


class Cut(BaseException):
    """The power goes."""


def test_a_land_that_is_cut_off_at_every_commit_lands_each_row_once(
    pipeline, new_pipeline, land_from, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write(tmp_path, "tracks", rows([{"id": 1}], prefix="track"))
    write(tmp_path, "users", []).write_bytes(MIXED)
    land_from(tmp_path / "*" / "*")
    cut, progress = new_pipeline(), RunProgress(Console(quiet=True), "ERROR")
    with cut.warehouse.writing():
        sources.make_missing(cut.warehouse)
    monkeypatch.setattr("moovitamix_transform.files.json_lines.BLOCK_BYTES", 1_000)
    monkeypatch.setattr("moovitamix_transform.files.read.FLUSH_BYTES", 1_000)
    append, committed = Warehouse.append, []

    def append_once(warehouse: Warehouse, table: str, *rest: object, **more: object) -> int:
        if table != "_meta/runs":
            if committed:
                raise Cut
            committed.append(table)
        return append(warehouse, table, *rest, **more)

    monkeypatch.setattr(Warehouse, "append", append_once)
    order = []
    for _ in range(12):
        committed.clear()
        with suppress(Cut):
            runner.land_files(cut.warehouse, [str(tmp_path / "*" / "*")], progress)
        order += committed

    of_a_file = [*["source/_lines", "source/users"] * 2, *["source/users"] * 2]
    expected = ["source/tracks", "_meta/files", *of_a_file, "_meta/files", "_meta/generations"]
    assert order == expected, "expected each run to come one commit further, and none to be made a second time"
    for table, columns in LANDED_ONCE.items():
        got, expected = (each.warehouse.scan(table).select(columns).collect() for each in (cut, pipeline))
        assert_frame_equal(got, expected, check_row_order=False)
    entries = [entry for run in runs.every(cut.warehouse) for entry in run.streams]
    assert all(entry.received == entry.landed + entry.quarantined_lines for entry in entries)
    assert sum(entry.landed for entry in entries) == 19


# Killed between a commit of odd lines and that of the records around them.
KILLED = """
import os, signal, sys
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.warehouse import Warehouse

append = Warehouse.append

def append_or_die(self, table, rows, *rest, **more):
    if table == "source/users" and rows.height:
        os.kill(os.getpid(), signal.SIGKILL)
    return append(self, table, rows, *rest, **more)

Warehouse.append = append_or_die
sys.exit(run_command(sys.argv[1:]))
"""


def test_a_land_that_is_killed_between_lines_and_records_is_gone_on_with(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", [])
    path.write_bytes(MIXED)
    command = [sys.executable, "-c", KILLED, "land", "--from", str(path), "--warehouse", pipeline.warehouse.root]

    killed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines_then = pipeline.warehouse.count("source/_lines")
    run = land_from(path)

    assert (killed.returncode, lines_then) == (-signal.SIGKILL, 3), killed.stderr
    assert counts(run) == [("users", 18, 18, 0)]
    assert (pipeline.landed("users").height, pipeline.warehouse.count("source/_lines")) == (18, 3)
    assert [(each.status, each.streams[1].received) for each in reversed(runs.every(pipeline.warehouse))] == [
        ("interrupted", 3),
        ("succeeded", 18),
    ]


def test_a_file_that_changed_after_its_run_was_killed_is_refused(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]))
    begin(pipeline, path)
    write(tmp_path, "users", rows([{"id": 3}, {"id": 4}], prefix="other"))

    with pytest.raises(FileRefused, match="expected record raw-2 as its row 2, up to which a run that was killed"):
        land_from(path)

    assert pipeline.texts("users") == ['{"id":1}', '{"id":2}']


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(b"what else?\n" * 20, id="another_line"),
        pytest.param(b"", id="none"),
    ],
)
def test_a_file_whose_odd_lines_changed_after_its_run_was_killed_is_refused(
    pipeline, land_from, tmp_path: Path, other: bytes
):
    path = write(tmp_path, "users", [])
    path.write_bytes(MIXED)
    command = [sys.executable, "-c", KILLED, "land", "--from", str(path), "--warehouse", pipeline.warehouse.root]
    subprocess.run(command, capture_output=True, timeout=60, check=False)
    path.write_bytes(other + lines(rows([{"id": 1}], prefix="other")))

    with pytest.raises(FileRefused, match=r"expected the line that is no record as its row .*, up to which a run that"):
        land_from(path)

    assert (pipeline.landed("users").height, pipeline.warehouse.count("source/_lines")) == (0, 3)


def test_a_file_that_was_cut_off_is_gone_on_with_once_it_is_whole(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]))
    begin(pipeline, path)
    land_from(write(tmp_path, "users", rows([{"id": 9}], prefix="then"), name="another"))
    write(tmp_path, "users", rows([{"id": 1}, {"id": 2}, {"id": 3}]))

    run = land_from(path)

    assert pipeline.texts("users") == ['{"id":1}', '{"id":2}', '{"id":3}', '{"id":9}']
    assert counts(run) == [("users", 1, 1, 0)]


def test_of_two_writers_without_a_lock_the_later_one_loses_and_no_row_is_doubled(pipeline, land_from, tmp_path: Path):
    path = write(tmp_path, "users", rows([{"id": 1}, {"id": 2}]))
    land_from(write(tmp_path, "users", rows([{"id": 3}], prefix="first"), name="first"))
    losing = FileLanding(
        pipeline.warehouse, "later", lambda _: land_from(path)
    )  # as on an object store, without a lock

    with pytest.raises(WarehouseInUse, match=r"another moovitamix command has committed .* run it again"):
        losing.land(find([str(path)]))

    assert sorted(pipeline.texts("users")) == ['{"id":1}', '{"id":2}', '{"id":3}']
    assert counts(land_from(path)) == []


def begin(pipeline, path: Path) -> None:
    """A run that commits what is in the file, and comes no further."""
    (file,) = find([str(path)])
    with pipeline.warehouse.writing():
        sources.make_missing(pipeline.warehouse)
        tables = [sources.path(name) for name in ("users", "_lines")]
        newest = {table: (pipeline.warehouse.version(table), pipeline.warehouse.metadata(table)) for table in tables}
        read = FileRead(pipeline.warehouse, "killed", file, newest, {}, count(1))
        for batch in destination.read(file):
            read.take(batch)
        read.commit()


def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    user = {"id": 1, "name": "".join(map(str, range(2_500)))}  # 9 KB
    member = lines(rows([user] * 250))
    path = write(tmp_path, "users", [], "raw.jsonl.gz")
    path.write_bytes(b"".join(gzip.compress(member.replace(b'"raw-', b'"%d-' % part), 1) for part in range(60)))
    peak = 0

    with subprocess.Popen(
        [MOOVITAMIX, "land", "--from", path, "--warehouse", tmp_path / "house"], stderr=subprocess.PIPE, text=True
    ) as process:
        watched = psutil.Process(process.pid)
        with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            while process.poll() is None:
                peak = max(peak, watched.memory_info().rss)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
        told = process.stderr.read() if process.stderr else ""

    assert process.returncode == 0, told
    assert "users: 15,000 received, 15,000 landed, 0 quarantined lines" in told
    assert peak < 450 * 1024**2, f"expected less than 450 MiB at its most, got {peak / 1024**2:.0f} MiB"


IDS = st.sampled_from([4, 5])
NAMES = st.sampled_from(["A", 'é "quoted" ', "", None])
DAYS = st.sampled_from(["2026-01-01T00:00:00", "2026-01-02T03:04:05.678901", "2026-01-03T00:00:00.120000"])
INSTANTS = {"created_at": DAYS, "updated_at": DAYS}
TRACK = st.fixed_dictionaries(
    {"id": IDS, "name": NAMES, "genres": NAMES, "duration": st.sampled_from(["3:45", "99:99", None]), **INSTANTS}
)
USER = st.fixed_dictionaries({"id": IDS, "email": NAMES, **INSTANTS})
PLAYED = st.fixed_dictionaries({"user_id": IDS, "items": st.sampled_from([[4, 5, 4], [], None]), **INSTANTS})
# Ids that every snapshot has: one that shares few with the one before would be a reset of the API.
ALWAYS = [{"id": n, "created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"} for n in (1, 2, 3)]
SYNCS = st.lists(
    st.fixed_dictionaries(
        {
            "tracks": st.lists(TRACK, max_size=3).map(lambda each: [*ALWAYS, *each]),
            "users": st.lists(USER, max_size=3).map(lambda each: [*ALWAYS, *each]),
            "listen_history": st.lists(PLAYED, max_size=3),
        }
    ),
    min_size=1,
    max_size=3,
)
COMPARED = [name for name in models() if not name.startswith("base_") and name != "quarantine"]


@settings(deadline=None, max_examples=2)
@given(syncs=SYNCS, layouts=st.permutations(LAYOUTS))
def test_the_same_records_as_messages_and_as_files_give_equal_tables(
    new_pipeline, record: Line, syncs: list[dict[str, list[dict[str, Any]]]], layouts: Sequence[str]
):
    told, filed = new_pipeline(), new_pipeline()
    folder = Path(filed.warehouse.root).parent / "files"
    for number, sync in enumerate(syncs, 1):
        at = AT + 3_600_000 * number
        said = [
            record(stream, {name: value for name, value in each.items() if value is not None}, at + place)
            for stream, records in sync.items()
            for place, each in enumerate(records, 1)
        ]
        told.land(said, is_killed=number == len(syncs))  # the newest generation of files is not complete yet
        for place, (stream, records) in enumerate(sync.items()):
            generation = 1 if stream == "listen_history" else number
            layout = layouts[(number * 3 + place) % len(layouts)]
            write(folder, stream, rows(records, generation, f"{stream}-{number}", at), layout, name=str(number))
    progress = RunProgress(Console(quiet=True), "ERROR")

    runner.land_files(filed.warehouse, [str(folder / "*" / "*")], progress)
    told.build()
    filed.build()

    for name in COMPARED:
        assert_frame_equal(filed.rows(name), told.rows(name), check_row_order=False)
