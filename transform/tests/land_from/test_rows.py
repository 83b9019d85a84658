"""`land --from`: what Airbyte's file destinations write of a record, and of what is none."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from destination_files import GOOD, INSTANT, LAYOUTS, LISTEN, counts, envelope, lines, rows, write
from moovitamix_transform import sources
from moovitamix_transform.errors import FileRefused


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
