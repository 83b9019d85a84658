"""When the API changes, and to keep a warehouse small: `--on-drift`, `--accept-reset`, `prune`, `quarantine replay`."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Command = Callable[..., Any]
Source = Callable[[str], str]
OTHER_UNIVERSE = """
track(101), track(102), user(107), listen(107, [101])
state("listen_history", updated_at=MONDAY)
for stream in ("tracks", "users", "listen_history"):
    status(stream, "COMPLETE")
"""


def test_an_api_that_began_anew_stops_the_run_until_it_is_accepted(moovitamix: Command, source: Source):
    assert moovitamix("run", "--source", source("sync()")).code == 0

    stopped = moovitamix("run", "--source", source(OTHER_UNIVERSE))
    build = moovitamix("build")
    accepted = moovitamix("run", "--source", source(OTHER_UNIVERSE), "--accept-reset")

    for done in (stopped, build):
        assert done.code == 1
        assert "tracks: expected generation 2 to share at least 1 ids with generation 1, got 0" in done.err
        assert "users: expected generation 2" in done.err
        assert "nothing was built, the build before stays" in done.err
        assert "moovitamix run --accept-reset" in done.err
    assert accepted.code == 0, accepted.err
    assert "note: a new epoch began: full rebuild from what was read since" in accepted.out
    assert _ids(moovitamix("show", "dim_tracks", "--json")) == [101, 102]
    assert _ids(moovitamix("show", "dim_tracks", "--json", "--as-of", "1")) == [1, 2]
    ledger = {entry["stream"]: entry for entry in json.loads(moovitamix("history", "--json").out)[0]["streams"]}
    assert (ledger["tracks"]["landed_total"], ledger["tracks"]["kept"], ledger["tracks"]["closed"]) == (6, 2, 4)
    assert moovitamix("check").code == 0


def test_the_read_that_accepts_a_reset_is_not_given_the_old_state(moovitamix: Command, source: Source):
    echoing = source("sync()\nlog = sys.argv[1]\nopen(log, 'a').write(open(sys.argv[2]).read() + '\\n')")
    assert moovitamix("run", "--source", f"{echoing} states.txt {{state}}").code == 0
    other = source(OTHER_UNIVERSE + "\nopen(sys.argv[1], 'a').write(open(sys.argv[2]).read() + '\\n')")

    moovitamix("run", "--source", f"{other} states.txt {{state}}")
    accepted = moovitamix("run", "--source", f"{other} states.txt {{state}}", "--accept-reset")

    assert accepted.code == 0, accepted.err
    with open("states.txt") as file:  # noqa: PTH123 - the folder of the test
        given = [[each["stream"]["stream_descriptor"]["name"] for each in json.loads(line)] for line in file]
    assert given == [[], ["listen_history"], []]


def test_a_stream_that_the_accepted_read_does_not_speak_of_begins_anew_too(moovitamix: Command, source: Source):
    lone = "for each in (101, 102): track(each)"
    assert moovitamix("run", "--source", source("track(1), track(2), user(7), listen(7, [1, 2])")).code == 0
    assert moovitamix("run", "--source", source(lone)).code == 1

    accepted = moovitamix("run", "--source", source(lone), "--accept-reset")
    later = moovitamix("run", "--source", source(f"{lone}\nuser(107), listen(107, [101])"))

    assert (accepted.code, later.code) == (0, 0), accepted.err + later.err
    assert [row["user_id"] for row in json.loads(moovitamix("show", "dim_users", "--json", "--as-of", "2").out)] == []
    assert [row["user_id"] for row in json.loads(moovitamix("show", "dim_users", "--json").out)] == [107]
    listens = json.loads(moovitamix("show", "fct_listens", "--json").out)
    assert [(row["user_id"], row["track_id"]) for row in listens] == [(107, 101)]
    assert moovitamix("check").code == 0


def test_accepting_a_reset_that_was_none_reads_all_and_says_so(moovitamix: Command, source: Source):
    moovitamix("run", "--source", source("sync()"))

    done = moovitamix("run", "--source", source("sync()"), "--accept-reset")

    assert done.code == 0
    assert "note: --accept-reset: there was no reset to accept; every stream was read whole, no epoch began" in done.out
    ledger = {entry["stream"]: entry for entry in json.loads(moovitamix("history", "--json").out)[0]["streams"]}
    assert "closed" not in ledger["tracks"]


def test_a_new_field_fails_a_run_that_asked_for_it_and_a_later_one_accepts_it(moovitamix: Command, source: Source):
    moovitamix("run", "--source", source("sync()"))
    drifted = source("track(1, isrc='US-1'), track(2)\nstatus('tracks', 'COMPLETE')")

    failed = moovitamix("run", "--source", drifted, "--on-drift", "fail")
    warned = moovitamix("run", "--source", drifted)

    assert failed.code == 1
    assert "tracks: the field 'isrc' appeared in run" in failed.err
    assert "nothing was built; with --on-drift warn it is" in failed.err
    assert warned.code == 0
    assert "note: tracks: the field 'isrc' appeared in run" in warned.out
    checked = [row for row in json.loads(moovitamix("check", "--json").out) if row["check"] == "drift"]
    assert {row["subject"]: row["outcome"] for row in checked} == {
        "tracks": "warned",
        "users": "passed",
        "listen_history": "passed",
    }


def test_every_command_that_builds_tells_what_the_build_noticed(pipeline, record: Command, moovitamix: Command):
    track = {"id": 1, "created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}
    pipeline.land([record("tracks", track)])
    pipeline.build()
    told = {}
    for field, command, stream in (
        ("one", ("build", "--json"), "err"),
        ("two", ("prune", "--apply", "--json"), "err"),
        ("three", ("quarantine", "replay", "--json"), "err"),
        ("four", ("quarantine", "replay"), "out"),
    ):
        track[field] = "new"
        pipeline.land([record("tracks", track)])

        done = moovitamix(*command, "--warehouse", pipeline.warehouse.root)

        lines = getattr(done, stream).splitlines()
        told[command] = [
            line for line in lines if line.startswith(f"note: tracks: the field '{field}' appeared in run")
        ]

    assert {command: len(lines) for command, lines in told.items()} == dict.fromkeys(told, 1)


def test_prune_says_what_it_would_do_and_does_it_when_told(moovitamix: Command, source: Source):
    for _ in range(4):
        assert moovitamix("run", "--source", source("sync()")).code == 0
    before = moovitamix("show", "dim_tracks_history", "--json").out

    dry = json.loads(moovitamix("prune", "--keep", "0d", "--json").out)
    person = moovitamix("prune", "--keep", "0d")
    applied = moovitamix("prune", "--keep", "0d", "--apply")

    assert dry["is_applied"] is False
    assert {stream: each["records"] for stream, each in dry["streams"].items()} == {
        "tracks": 4,
        "users": 2,
        "listen_history": 2,
    }
    assert person.out.endswith("Nothing was changed; --apply does it.\n")
    assert applied.code == 0, applied.err
    assert moovitamix("show", "dim_tracks_history", "--json").out == before
    assert len(json.loads(moovitamix("builds", "--json").out)) == 1
    again = json.loads(moovitamix("prune", "--keep", "0d", "--json").out)
    assert [each["records"] for each in again["streams"].values()] == [0, 0, 0]
    assert moovitamix("run", "--source", source("sync()")).code == 0
    assert "2 pruned" in moovitamix("check").out


@pytest.mark.parametrize("keep", ["30", "d", "-1d", "1y", ""])
def test_an_age_that_is_none_is_a_usage_error(moovitamix: Command, keep: str):
    done = moovitamix("prune", f"--keep={keep}")

    assert done.code == 2
    assert f"prune --keep: expected a number of hours, days or weeks, such as 30d, got {keep!r}" in done.err


def test_replay_reports_what_is_held(moovitamix: Command, source: Source):
    moovitamix("run", "--source", source("track(1), track(2, duration='99:99')\nstatus('tracks', 'COMPLETE')"))

    done = moovitamix("quarantine", "replay", "--json")

    assert json.loads(done.out) == [
        {"stream": "tracks", "rule": "duration_unreadable", "released": 0, "held": 1, "caught": 0}
    ]
    assert moovitamix("quarantine", "replay").out.endswith("Build 1 (nothing changed, still the newest).\n")


def _ids(done: Any) -> list[int]:  # noqa: ANN401 - the conftest's Done
    assert done.code == 0, done.err
    return sorted(row["track_id"] for row in json.loads(done.out))
