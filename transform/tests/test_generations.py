"""Generations: which one a record belongs to, and when one is complete. Real Delta tables."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from moovitamix_transform.streams import STREAMS

Line = Callable[..., bytes]


def test_each_read_of_tracks_or_users_is_a_generation_and_listens_keep_theirs(pipeline, record: Line):
    lines = [record(stream, {"id": 1}) for stream in STREAMS]

    pipeline.land(lines)
    pipeline.land(lines)
    pipeline.land(lines, full_refresh=frozenset({"listen_history"}))
    pipeline.land(lines)

    ids = {stream: pipeline.landed(stream)["_airbyte_generation_id"].sort().to_list() for stream in STREAMS}
    assert ids == {
        "tracks": [1, 2, 3, 4],
        "users": [1, 2, 3, 4],
        "listen_history": [1, 1, 2, 2],
    }


def test_a_generation_without_any_status_is_complete_when_the_input_ends_well(pipeline, record: Line):
    pipeline.land([record("users", {"id": 1}), record("users", "1"), b"odd", record("tracks", {"id": 1})])

    assert pipeline.generations() == [("users", 1, True, 2), ("tracks", 1, True, 1)]


def test_a_generation_is_complete_at_the_time_of_its_status(pipeline, status: Line, record: Line):
    pipeline.land([record("users", {"id": 1}), status("users", "COMPLETE", 1_767_225_600_000.5)])

    completed_at = pipeline.warehouse.scan("_meta/generations").collect()["completed_at"].to_list()
    assert completed_at == [datetime(2026, 1, 1, 0, 0, 0, 500, tzinfo=UTC)]


def test_a_stream_that_completes_without_a_record_opens_a_generation(pipeline, status: Line, record: Line):
    pipeline.land([record("users", {"id": 1})])
    pipeline.land([status("users", "STARTED"), status("users", "COMPLETE")])
    pipeline.land([record("users", {"id": 1})])

    assert pipeline.generations() == [("users", 1, True, 0), ("users", 2, True, 0), ("users", 3, True, 0)]


def test_among_statuses_a_stream_without_an_end_is_a_failure(pipeline, status: Line, record: Line):
    landing = pipeline.land(
        [
            record("users", {"id": 1}),
            status("users", "COMPLETE"),
            status("tracks", "STARTED"),
            status("tracks", "RUNNING"),
        ]
    )

    assert landing.failures == [
        "tracks: expected the status COMPLETE, but the input ended without it; what came of it is landed"
    ]
    assert pipeline.generations() == [("users", 1, True, 0), ("tracks", 1, False, 0)]


def test_what_came_of_an_incomplete_stream_lands_and_its_generation_is_not_complete(
    pipeline, state: Line, status: Line, record: Line
):
    landing = pipeline.land([record("users", {"id": 1}), state("users", "1"), status("users", "INCOMPLETE")])

    assert landing.failures == ["users: the source ended it INCOMPLETE; what came of it is landed"]
    assert (pipeline.texts("users"), pipeline.cursors()) == (['{"id": 1}'], {"users": "1"})
    assert pipeline.generations() == [("users", 1, False, 0)]


def test_after_a_trace_error_what_came_lands_and_no_generation_is_complete(pipeline, record: Line):
    landing = pipeline.land(
        [record("users", {"id": 1}), error("HTTP 500 for jane@example.org"), record("users", {"id": 2})]
    )

    assert landing.failures == ["HTTP 500 for j***@example.org"]
    assert pipeline.texts("users") == ['{"id": 1}', '{"id": 2}']
    assert pipeline.generations() == [("users", 1, False, 0)]


LOSSES = [
    pytest.param(("state", "complete"), id="a_state_claims_more_than_came"),
    pytest.param(("error of users", "complete"), id="an_error_before_complete"),
    pytest.param(("complete", "error of users"), id="an_error_after_complete"),
    pytest.param(("complete", "error of none"), id="an_error_of_no_stream"),
    pytest.param(("incomplete", "complete"), id="incomplete_then_complete"),
]


@pytest.mark.parametrize("ends", LOSSES)
def test_a_read_that_lost_records_shows_no_key_to_be_gone(pipeline, record, state, status, ends: tuple[str, ...]):
    said = {
        "state": state("users", "1", record_count=2),
        "complete": status("users", "COMPLETE"),
        "incomplete": status("users", "INCOMPLETE"),
        "error of users": error("boom", "users"),
        "error of none": error("boom"),
    }

    landing = pipeline.land([record("users", {"id": 1}), *(said[end] for end in ends)])

    assert len(landing.failures) == 1
    assert pipeline.texts("users") == ['{"id": 1}']
    assert pipeline.generations() == [("users", 1, False, 0)]


def test_an_error_of_one_stream_leaves_the_others_complete(pipeline, status: Line, record: Line):
    tracks, users = ([record(each, {"id": 1}), status(each, "COMPLETE")] for each in ("tracks", "users"))

    pipeline.land([*tracks, error("boom", "users"), *users])

    assert pipeline.generations() == [("tracks", 1, True, 0), ("users", 1, False, 0)]


def test_keys_that_a_lossy_read_lacks_are_not_deleted(pipeline, state: Line, status: Line, record: Line):
    at = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}
    three = [record("tracks", {"id": each, **at}) for each in (1, 2, 3)]
    ends = [state("tracks", "1", record_count=3), status("tracks", "COMPLETE")]
    pipeline.land([*three, *ends])

    pipeline.land([*three[:2], *ends])
    result = pipeline.build()

    assert pipeline.rows("dim_tracks").select("track_id", "is_deleted").rows() == [(1, False), (2, False), (3, False)]
    assert [notice.partition(":")[0] for notice in result.notices] == ["tracks"]


def error(message: str, stream: str | None = None) -> bytes:
    of_stream = {"stream_descriptor": {"name": stream}} if stream else {}
    trace = {"type": "ERROR", "emitted_at": 1.0, "error": {"message": message, **of_stream}}
    return json.dumps({"type": "TRACE", "trace": trace}).encode()


def test_without_statuses_a_source_that_ends_badly_completes_no_generation(pipeline, record: Line):
    landing = pipeline.land([record("users", {"id": 1})], failure="the source ended with exit code 137, expected 0")

    assert landing.failures == ["the source ended with exit code 137, expected 0"]
    assert pipeline.texts("users") == ['{"id": 1}']
    assert pipeline.generations() == [("users", 1, False, 0)]


def test_the_generation_of_a_read_that_was_killed_is_neither_complete_nor_used_again(pipeline, record: Line):
    pipeline.land([record("users", {"id": 1})], is_killed=True)
    pipeline.land([record("users", {"id": 2})])

    assert pipeline.generations() == [("users", 2, True, 0)]
    rows = pipeline.landed("users").select("_airbyte_generation_id", "_airbyte_data").rows()
    assert sorted(rows) == [(1, '{"id": 1}'), (2, '{"id": 2}')]


@pytest.mark.parametrize("emitted_at", ["1e300", "-1e300", "0", "null"])
def test_a_status_at_a_time_no_calendar_has_is_taken_as_now(pipeline, status: Line, emitted_at: str):
    before = datetime.now(UTC)

    pipeline.land([status("users", "COMPLETE").replace(b"1767225600000", emitted_at.encode())])

    completed_at = pipeline.warehouse.scan("_meta/generations").collect()["completed_at"].to_list()
    assert before <= completed_at[0] <= datetime.now(UTC)


def test_a_build_says_whose_newest_read_did_not_come_to_its_end(pipeline, status: Line, record: Line):
    at = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}
    users = [record("users", {"id": 1, **at}), status("users", "COMPLETE")]
    pipeline.land([*users, record("tracks", {"id": 1, **at}), status("tracks", "INCOMPLETE")])
    cut = pipeline.build()
    pipeline.land([*users, record("tracks", {"id": 1, **at}), status("tracks", "COMPLETE")])
    whole = pipeline.build()
    pipeline.land(users[:1], is_killed=True)
    killed = pipeline.build()

    told = [[notice.partition(":")[0] for notice in each.notices] for each in (cut, whole, killed)]
    assert told == [["tracks"], [], ["users"]]
    assert "generation 1, did not come to a good end" in cut.notices[0]
