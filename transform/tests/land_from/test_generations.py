"""`land --from`: what files prove of generations, and resets of the API among them."""

import subprocess
import sys
from pathlib import Path

import pytest
from destination_files import AT, KILLED, LISTEN, begin, rows, write
from moovitamix_transform import run as runner
from moovitamix_transform.errors import ApiReset
from moovitamix_transform.progress import RunProgress
from polars.testing import assert_frame_equal
from rich.console import Console


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
