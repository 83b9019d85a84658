"""`land --from`: which files are named, that each lands once, and what is refused."""

import gzip
import os
from pathlib import Path

import polars as pl
import pytest
from destination_files import AT, GOOD, counts, lines, rows, versions, write
from moovitamix_transform.errors import FileRefused, MoovitamixError, NoSuchFile, UsageError
from moovitamix_transform.files.named import find


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
