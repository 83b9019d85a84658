"""What a table's Parquet files say of its rows, for who reads and writes them without delta-rs."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable
from moovitamix_transform.errors import WarehouseError
from moovitamix_transform.warehouse import DataFile, Warehouse
from moovitamix_transform.warehouse.data_files import FILE, parts

TABLE = "marts/fct_listens"
ROWS = pl.DataFrame({"user_id": [1, 2, 3]})


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    house = Warehouse(str(tmp_path / "warehouse"))
    with house.writing():
        house.overwrite(TABLE, ROWS.lazy())
    return house


def commit(warehouse: Warehouse, *actions: dict[str, object]) -> int:
    """A commit as another program writes it. Returns its version."""
    version = warehouse.version(TABLE) + 1
    log = Path(warehouse.uri(TABLE), "_delta_log", f"{version:020}.json")
    log.write_text("".join(json.dumps(action) + "\n" for action in actions))
    return version


def written(warehouse: Warehouse, name: str, *user_ids: int) -> DataFile:
    """A Parquet file that lies in the table's folder, and is none of its files yet."""
    file = Path(warehouse.uri(TABLE), name)
    file.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"user_id": user_ids}).write_parquet(file)
    statistics = {"numRecords": len(user_ids), "minValues": {"user_id": min(user_ids)}, "nullCount": {"user_id": 0}}
    return DataFile(name, file.stat().st_size, statistics)


def user_ids(warehouse: Warehouse, version: int) -> list[int]:
    return sorted(warehouse.scan(TABLE, version).collect()["user_id"])


def added(warehouse: Warehouse, version: int) -> list[DataFile]:
    """The files that a commit added, as its log tells of them."""
    log = Path(warehouse.uri(TABLE), "_delta_log", f"{version:020}.json").read_text()
    adds = [json.loads(line)["add"] for line in log.splitlines() if "add" in json.loads(line)]
    return [DataFile(each["path"], each["size"], json.loads(each["stats"])) for each in adds]


def test_a_table_with_deletion_vectors_is_refused_by_its_name(warehouse: Warehouse):
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    version = commit(warehouse, {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, **features}})

    with pytest.raises(WarehouseError, match=r"marts/fct_listens: expected .* got one with deletion vectors"):
        warehouse.data_files(TABLE, version)


def test_a_table_with_column_mapping_is_refused_by_its_name(warehouse: Warehouse):
    (metadata,) = (
        json.loads(line)["metaData"]
        for line in Path(warehouse.uri(TABLE), "_delta_log", f"{0:020}.json").read_text().splitlines()
        if "metaData" in line
    )
    schema = json.loads(metadata["schemaString"])
    schema["fields"][0]["metadata"] = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1"}
    metadata |= {"schemaString": json.dumps(schema), "configuration": {"delta.columnMapping.mode": "name"}}
    protocol = {"minReaderVersion": 2, "minWriterVersion": 5}
    version = commit(warehouse, {"protocol": protocol}, {"metaData": metadata})

    with pytest.raises(WarehouseError, match=r"marts/fct_listens: expected .* got one with column mapping"):
        warehouse.data_files(TABLE, version)


def test_committed_files_are_the_rows_and_earlier_versions_stay(warehouse: Warehouse):
    before = warehouse.version(TABLE)

    version = warehouse.commit_files(TABLE, ROWS.schema, [written(warehouse, "new/1.parquet", 8, 9)])

    assert user_ids(warehouse, version) == [8, 9]
    assert warehouse.count(TABLE, version) == 2
    assert user_ids(warehouse, before) == [1, 2, 3]


def test_a_commit_is_known_by_its_own_version_though_another_followed_at_once(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
):
    create = DeltaTable.create_write_transaction

    def then_another(self: DeltaTable, *actions, **options) -> None:
        create(self, *actions, **options)
        monkeypatch.undo()
        Warehouse(warehouse.root).append(TABLE, pl.DataFrame({"user_id": [99]}))

    monkeypatch.setattr(DeltaTable, "create_write_transaction", then_another)

    version = warehouse.commit_files(TABLE, ROWS.schema, [written(warehouse, "new/1.parquet", 8, 9)])

    assert user_ids(warehouse, version) == [8, 9]
    assert warehouse.version(TABLE) == version + 1


def test_files_replace_the_named_ones_alone(warehouse: Warehouse):
    known = warehouse.commit_files(
        TABLE, ROWS.schema, [written(warehouse, "1.parquet", 1, 2), written(warehouse, "2.parquet", 3)]
    )
    touched = [each for each in warehouse.data_files(TABLE, known) if each.path == "2.parquet"]

    version = warehouse.commit_files(
        TABLE, ROWS.schema, [written(warehouse, "3.parquet", 4)], removed=touched, known=known
    )

    assert user_ids(warehouse, version) == [1, 2, 4]


def test_what_a_killed_build_left_on_top_is_taken_back_first(warehouse: Warehouse):
    known = warehouse.version(TABLE)
    warehouse.append(TABLE, pl.DataFrame({"user_id": [99]}))

    version = warehouse.commit_files(TABLE, ROWS.schema, [written(warehouse, "1.parquet", 4)], removed=[], known=known)

    assert user_ids(warehouse, version) == [1, 2, 3, 4]


def test_a_new_table_has_the_columns_it_is_given(warehouse: Warehouse):
    schema = pl.Schema({"user_id": pl.Int64(), "plays": pl.List(pl.Struct({"track_id": pl.Int64()}))})

    version = warehouse.commit_files("marts/new", schema, [])

    assert warehouse.scan("marts/new", version).collect_schema() == schema


def test_appended_files_are_those_of_appends_and_not_of_a_compaction(warehouse: Warehouse):
    known = warehouse.version(TABLE)
    for user_id in (4, 5):
        warehouse.append(TABLE, pl.DataFrame({"user_id": [user_id]}))
    warehouse.compact(TABLE)
    newest = warehouse.append(TABLE, pl.DataFrame({"user_id": [6]}))

    files = warehouse.added_files(TABLE, known, newest)
    rows = warehouse.added_since(TABLE, known, newest)

    assert files is not None
    assert rows is not None
    assert sum(each.statistics["numRecords"] for each in files) == 3
    assert sorted(rows["user_id"]) == [4, 5, 6]


@pytest.mark.parametrize("kind", ["a_restore", "a_delete", "a_file_that_is_gone", "a_commit_that_is_gone", "a_schema"])
def test_more_than_appends_cannot_be_told_as_appended_files(warehouse: Warehouse, kind: str):
    known = warehouse.version(TABLE)
    newest = warehouse.append(TABLE, pl.DataFrame({"user_id": [4]}))
    if kind == "a_restore":
        newest = warehouse.restore(TABLE, known)
    elif kind == "a_delete":
        newest = warehouse.delete(TABLE, pl.DataFrame({"user_id": [1]}), {})
    elif kind == "a_file_that_is_gone":
        (added,) = warehouse.added_files(TABLE, known, newest) or ()
        Path(warehouse.uri(TABLE), added.path).unlink()
    elif kind == "a_commit_that_is_gone":
        Path(warehouse.uri(TABLE), "_delta_log", f"{newest:020}.json").unlink()
    else:
        newest = warehouse.append(TABLE, pl.DataFrame({"user_id": [5], "name": ["x"]}), is_wider=True)

    assert warehouse.added_files(TABLE, known, newest) is None


def test_rows_of_many_files_are_each_written_once_and_told_of_by_file(tmp_path: Path):
    house = Warehouse(str(tmp_path / "warehouse"))
    count = 2 * FILE // 128
    numbers = pl.LazyFrame({"user_id": pl.int_range(count, eager=True)}).with_columns(
        listened_at=pl.from_epoch("user_id", time_unit="us").dt.replace_time_zone("UTC"),
        name=pl.when(pl.col("user_id") % 4 == 0).then(pl.lit("Ada")),
        plays=pl.concat_list(["user_id"] * 16),  # 128 bytes
    )

    with house.writing():
        version = house.overwrite(TABLE, numbers)

    rows = house.scan(TABLE, version).select(pl.len(), pl.col("user_id").n_unique(), ends=pl.col("user_id").max())
    assert rows.collect().row(0) == (count, count, count - 1)
    files = added(house, version)
    assert len(files) > 2
    for file in files:
        uri = f"{house.uri(TABLE)}/{file.path}"
        found = pl.read_parquet(uri)
        ends = found["listened_at"].min(), found["listened_at"].max()
        assert all(isinstance(each, datetime) for each in ends)
        assert file.statistics == {
            "numRecords": found.height,
            "minValues": {"user_id": found["user_id"].min(), "listened_at": f"{ends[0]:%Y-%m-%dT%H:%M:%S.%fZ}"},
            "maxValues": {"user_id": found["user_id"].max(), "listened_at": f"{ends[1]:%Y-%m-%dT%H:%M:%S.%fZ}"},
            "nullCount": {"user_id": 0, "listened_at": 0, "name": found["name"].null_count()},
        }
    assert house.null_counts(TABLE, version)["name"] == count - len(range(0, count, 4))
    assert house.newest(TABLE, "listened_at", version) == datetime.fromtimestamp(0, UTC) + timedelta(
        microseconds=count - 1
    )


def test_rows_that_cannot_be_computed_to_their_end_are_not_committed(warehouse: Warehouse):
    before = warehouse.version(TABLE)
    ids = pl.LazyFrame({"user_id": ["1"] * (FILE // 4) + ["x"]})

    with pytest.raises(WarehouseError, match="could not write the new version: conversion from `str` to `i64` failed"):
        warehouse.overwrite(TABLE, ids.select(pl.col("user_id").cast(pl.Int64)))

    assert warehouse.version(TABLE) == before
    assert user_ids(warehouse, before) == [1, 2, 3]
    litter = warehouse.vacuum(TABLE, {before}, is_dry=False)
    assert litter
    assert len(list(Path(warehouse.uri(TABLE)).glob("*.parquet"))) == 1


def test_rows_over_which_polars_panics_are_not_committed(warehouse: Warehouse):
    before, seen = warehouse.version(TABLE), []

    def panic(batch: pl.DataFrame) -> pl.DataFrame:
        seen.append(batch)
        if len(seen) == 3:
            raise pl.exceptions.PanicException("capacity overflow")
        return batch

    many = pl.LazyFrame({"user_id": pl.int_range(3_000_000, eager=True)})
    with pytest.raises(WarehouseError, match=r"could not write the new version: .*capacity overflow"):
        warehouse.overwrite(TABLE, many.map_batches(panic, schema=ROWS.schema, streamable=True))

    assert warehouse.version(TABLE) == before


def test_no_rows_are_a_version_without_files(warehouse: Warehouse):
    version = warehouse.overwrite(TABLE, ROWS.clear().lazy())

    assert warehouse.data_files(TABLE, version) == []
    assert warehouse.scan(TABLE, version).collect().equals(ROWS.clear())


def test_another_program_reads_the_files_as_they_were_written(tmp_path: Path):
    house = Warehouse(str(tmp_path / "warehouse"))
    rows = pl.DataFrame(
        {
            "user_id": [1, 2, None],
            "name": ["Émile", "", None],
            "listened_at": [datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), datetime(1, 1, 1, tzinfo=UTC), None],
            "plays": [[{"track_id": 5, "position": 1}, {"track_id": 5, "position": 2}], [], None],
        }
    )

    with house.writing():
        house.overwrite(TABLE, rows.head(2).lazy())
        house.append(TABLE, rows.tail(1))

    with duckdb.connect() as database:
        database.execute("SET timezone = 'UTC'")
        found = pl.DataFrame(database.read_parquet(f"{house.uri(TABLE)}/*.parquet"))
    assert found.sort("user_id", nulls_last=True).equals(rows)


def test_a_warehouse_in_the_home_folder_is_named_as_in_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Warehouse("~/music").root == str(tmp_path / "music")


def test_who_takes_no_more_rows_ends_their_computation():
    """A disk that is full ends a build, not only its writing."""
    computed: list[int] = []

    def count(batch: pl.DataFrame) -> pl.DataFrame:
        computed.append(batch.height)
        return batch

    many = pl.LazyFrame({"user_id": pl.int_range(2 * FILE // 8, eager=True)})
    taken = parts(many.map_batches(count, schema=ROWS.schema, streamable=True))
    threads = set(threading.enumerate())
    next(taken)
    (computing,) = set(threading.enumerate()) - threads

    taken.close()
    computing.join(timeout=60)

    assert not computing.is_alive()
    assert sum(computed) < 2 * FILE // 8
