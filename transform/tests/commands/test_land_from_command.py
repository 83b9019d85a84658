"""`moovitamix land --from` as a user runs it: what it tells, and with which exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
AT = "2026-01-05T10:00:00"


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """A file of a destination with one record for each id: `file("users/1.jsonl", 7, 8)`."""

    def write(name: str, *ids: int, generation: int = 1) -> Path:
        path = tmp_path / "air byte" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            {
                "_airbyte_raw_id": f"{name}-{number}",
                "_airbyte_extracted_at": 1_767_607_200_000 + generation,
                "_airbyte_generation_id": generation,
                "_airbyte_data": {"id": number, "created_at": AT, "updated_at": AT},
            }
            for number in ids
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def test_it_tells_each_streams_counts_and_the_files_that_were_landed_before(moovitamix: Command, file):
    file("users/1.jsonl", 7, 8)
    first = moovitamix("land", "--from", "air byte/*/*.jsonl")
    file("users/2.jsonl", 7)
    file("tracks/3.jsonl", 1).write_text("what?\n" + file("tracks/4.jsonl", 2).read_text())

    second = moovitamix("land", "--from", "air byte/users/*", "--from", "air byte/tracks/3.jsonl")

    assert (first.code, second.code, first.out, second.out) == (0, 0, "", "")
    assert first.err.splitlines()[-3:] == [
        "tracks: 0 received, 0 landed, 0 quarantined lines",
        "users: 2 received, 2 landed, 0 quarantined lines",
        "listen_history: 0 received, 0 landed, 0 quarantined lines",
    ]
    assert second.err.splitlines()[-5:] == [
        "tracks: 2 received, 1 landed, 1 quarantined lines",
        "users: 1 received, 1 landed, 0 quarantined lines",
        "listen_history: 0 received, 0 landed, 0 quarantined lines",
        "quarantined: 1 line that is no record; `moovitamix show _lines` shows it",
        "1 file was landed before: each is landed once",
    ]
    assert "users: 2 records" in first.err.splitlines()[0], "expected progress"

    again = moovitamix("land", "--from", "air byte/users/*")

    assert again.code == 0
    assert again.err.splitlines()[-2:] == [
        "listen_history: 0 received, 0 landed, 0 quarantined lines",
        "2 files were landed before: each is landed once",
    ], "expected no word of messages that none asked for"


def test_what_was_landed_from_files_is_built_checked_explained_and_listed(moovitamix: Command, file):
    file("users/1.jsonl", 7, 8)
    file("users/2.jsonl", 7, generation=2)
    file("users/3.jsonl", 7, generation=3)
    moovitamix("land", "--from", "air byte/**")

    built = moovitamix("build", "--json")
    checked = moovitamix("check", "--json")
    explained = json.loads(moovitamix("explain", "users", "7", "--json").out)
    users = json.loads(moovitamix("show", "dim_users", "--json").out)
    files = json.loads(moovitamix("show", "files", "--json").out)

    assert (built.code, checked.code) == (0, 0), built.err + checked.err
    assert {record["raw_id"] for record in explained["records"]} == {f"users/{n}.jsonl-7" for n in (1, 2, 3)}
    assert [(user["user_id"], user["is_deleted"]) for user in users] == [(7, False), (8, True)]
    assert sorted((each["generation_ids"], each["stream"], each["row_count"]) for each in files) == [
        ([1], "users", 2),
        ([2], "users", 1),
        ([3], "users", 1),
    ]


def test_a_file_of_a_folder_of_another_name_lands_with_its_stream_given(moovitamix: Command, file):
    file("music_users/1.jsonl", 7)

    refused = moovitamix("land", "--from", "air byte/**")
    done = moovitamix("land", "--from", "air byte/**", "--stream", "users")

    assert refused.code == 2
    assert "--stream NAME says which it is" in refused.err
    assert done.code == 0
    assert "users: 1 received, 1 landed" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            ["--from", "*/*.jsonl", "--full-refresh", "listen_history"], "expected no --full-refresh", id="full_refresh"
        ),
        pytest.param(["--stream", "users"], "land --stream: expected --from beside it", id="stream_alone"),
        pytest.param(["--accept-reset"], "land --accept-reset: expected --from beside it", id="accept_alone"),
    ],
)
def test_options_that_say_nothing_together_are_a_usage_error(moovitamix: Command, options: list[str], message: str):
    done = moovitamix("land", *options)

    assert done.code == 2
    assert message in done.err
    assert not Path("warehouse").exists()


def test_a_sync_of_streams_that_are_fed_by_files_is_refused_and_recorded(
    moovitamix: Command, file, source: Callable[[str], str], history: Callable[..., list[dict[str, Any]]]
):
    file("users/1.jsonl", 7)
    moovitamix("land", "--from", "air byte/**")

    done = moovitamix("run", "--source", source("sync()"))

    assert done.code == 1
    assert done.err.startswith("moovitamix: users: expected its records from a destination's files")
    assert [(run["kind"], run["status"]) for run in history("warehouse")] == [("land", "succeeded"), ("run", "failed")]
    assert json.loads(moovitamix("show", "tracks", "--json").out) == []


def test_an_accepted_reset_is_told(moovitamix: Command, file):
    for generation, ids in ((1, (1, 2)), (2, (8, 9)), (3, (8, 9))):
        file(f"users/{generation}.jsonl", *ids, generation=generation)
    moovitamix("land", "--from", "air byte/**")
    refused = moovitamix("build")

    accepted = moovitamix("land", "--from", "air byte/**", "--accept-reset")
    built = moovitamix("build", "--json")
    again = moovitamix("land", "--from", "air byte/**", "--accept-reset")

    assert (refused.code, accepted.code, built.code, again.code) == (1, 0, 0, 0)
    assert "`moovitamix land --from … --accept-reset`" in refused.err
    assert accepted.err.startswith(
        "INFO the reset is accepted: the next build begins the tables anew, "
        "tracks with generation 0, users with generation 2, listen_history with generation 0\n"
    )
    assert [row["user_id"] for row in json.loads(moovitamix("show", "dim_users", "--json").out)] == [8, 9]
    assert again.err.startswith("INFO --accept-reset: there was no reset to accept, no epoch began\n")


def test_a_land_that_fails_tells_what_was_landed_before_why_it_failed(moovitamix: Command, file):
    file("tracks/1.jsonl", 1, 2)
    file("users/2.jsonl", 7).write_bytes(b"\x1f\x8b no gzip")

    done = moovitamix("land", "--from", "air byte/*/*.jsonl")

    assert (done.code, done.out) == (1, "")
    *ledger, why = done.err.splitlines()[-4:]
    assert ledger == [
        "tracks: 2 received, 2 landed, 0 quarantined lines",
        "users: 0 received, 0 landed, 0 quarantined lines",
        "listen_history: 0 received, 0 landed, 0 quarantined lines",
    ]
    assert why.startswith("moovitamix: ")
