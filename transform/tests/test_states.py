"""Law 2: a state is committed with the records it covers, then echoed. Real Delta tables."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from moovitamix_transform import sources
from moovitamix_transform.blocks import IDLE
from moovitamix_transform.landing import Landing
from moovitamix_transform.progress import RunProgress
from rich.console import Console

Line = Callable[..., bytes]


def test_law_2_a_state_is_in_the_commit_of_the_records_it_covers(pipeline, state: Line, record: Line):
    records = [record("listen_history", {"user_id": number}) for number in (1, 2, 3)]

    pipeline.land([*records[:2], state("listen_history", "2026-01-02")], [records[2], state("listen_history", "later")])

    commits = committed_with_states(Path(pipeline.warehouse.uri("source/listen_history")))
    assert commits == [(2, "2026-01-02"), (1, "later")]


def committed_with_states(table: Path) -> list[tuple[int, str]]:
    """(records added, cursor) of each commit that carries a state, from the Delta log's files."""
    found = []
    for log in sorted((table / "_delta_log").glob("*.json")):
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        ours = next(action["commitInfo"].get("moovitamix") for action in actions if "commitInfo" in action)
        added = sum(json.loads(action["add"]["stats"])["numRecords"] for action in actions if "add" in action)
        if ours and json.loads(ours)["state"]:
            found.append((added, json.loads(json.loads(ours)["state"])["stream_state"]["updated_at"]))
    return found


def test_a_state_is_echoed_after_its_commit_with_its_bytes(pipeline, state: Line, record: Line):
    line = b" " + state("users", "1").replace(b'": "', b'":\t"') + b"\r"
    seen = []

    class Echo(list[bytes]):
        def append(self, echoed: bytes) -> None:
            seen.append((echoed, pipeline.warehouse.count("source/users"), pipeline.cursors()))

    pipeline.echoed = Echo()
    pipeline.land([record("users", {"id": 1}), line])

    assert seen == [(line, 1, {"users": "1"})]


def test_a_state_is_echoed_as_soon_as_nothing_more_comes(pipeline, state: Line, record: Line):
    echoed_before_the_end = []
    sources.make_missing(pipeline.warehouse)
    landing = Landing(pipeline.warehouse, "run", RunProgress(Console(quiet=True), "ERROR"), pipeline.echoed.append)

    def blocks() -> Iterator[bytes]:
        yield record("users", {"id": 1}) + b"\n" + state("users", "1")
        yield IDLE
        echoed_before_the_end.extend(pipeline.echoed)

    landing.read(blocks())

    assert echoed_before_the_end == [state("users", "1")]


def test_several_states_in_a_batch_are_all_echoed_and_the_last_is_kept(pipeline, state: Line, record: Line):
    sent = [state("users", "1"), state("tracks", "1"), state("users", "2"), state("users", "3", 2)]
    two = [record("users", {"id": 1}), record("users", {"id": 2})]

    pipeline.land([*sent[:3], *two, sent[3]])

    assert pipeline.echoed == sent
    assert pipeline.cursors() == {"tracks": "1", "users": "3"}


def test_records_after_their_streams_last_state_land_too(pipeline, state: Line, record: Line):
    pipeline.land([record("users", {"id": 1}), state("users", "1"), record("users", {"id": 2})])
    pipeline.land([record("users", {"id": 3})])

    assert sorted(pipeline.texts("users")) == ['{"id": 1}', '{"id": 2}', '{"id": 3}']
    assert pipeline.cursors() == {"users": "1"}


def test_a_state_alone_is_committed(pipeline, state: Line):
    pipeline.land([state("listen_history", "1")])

    assert pipeline.cursors() == {"listen_history": "1"}
    assert pipeline.echoed == [state("listen_history", "1")]


def test_a_state_of_another_stream_is_an_odd_line_and_not_echoed(pipeline, state: Line):
    landing = pipeline.land([state("artists", "1")])

    rows = pipeline.warehouse.scan("source/_lines").select("stream", "rule", "text").collect().rows()
    assert rows == [("artists", "unknown_stream", state("artists", "1").decode())]
    assert (pipeline.echoed, landing.failures) == ([], [])


@pytest.mark.parametrize(
    ("content", "got"),
    [
        pytest.param({"type": "GLOBAL", "global": {"stream_states": []}}, "GLOBAL", id="global"),
        pytest.param({"type": "LEGACY", "data": {"users": 1}}, "LEGACY", id="legacy"),
        pytest.param({"data": {"users": 1}}, "LEGACY", id="without_a_type"),
        pytest.param({"type": "STREAM"}, "one that names no stream", id="stream_without_a_stream"),
    ],
)
def test_other_states_are_refused_and_their_records_kept(pipeline, record: Line, content: dict[str, object], got: str):
    line = json.dumps({"type": "STATE", "state": content}).encode()

    landing = pipeline.land([record("users", {"id": 1}), line])

    assert landing.failures == [
        f"expected STATE messages of type STREAM, got {got}; it was not committed, what came with it is landed"
    ]
    assert (pipeline.texts("users"), pipeline.cursors(), pipeline.echoed) == (['{"id": 1}'], {}, [])


def test_a_state_that_claims_more_records_than_came_is_not_taken_nor_any_after_it(pipeline, state: Line, record: Line):
    one = [record("users", {"id": 1})]
    first, claims, later = state("users", "1", 1), state("users", "2", 2.0), state("users", "3", 1)

    landing = pipeline.land([*one, first, *one, claims, *one, later, state("tracks", "1", 0)])

    assert landing.failures == [
        "users: expected the 2 records its STATE claims, got 1 since the STATE before; "
        "that STATE was not committed, nor any after it; the records that came are landed"
    ]
    assert pipeline.cursors() == {"tracks": "1", "users": "1"}
    assert pipeline.echoed == [first, state("tracks", "1", 0)]
    assert len(pipeline.texts("users")) == 3


def test_an_unreadable_line_may_have_been_a_record_of_each_stream(pipeline, state: Line, record: Line):
    landing = pipeline.land(
        [
            record("users", {"id": 1}),
            b"odd",  # counts for every stream
            record("tracks", "1"),  # counts for its own
            state("users", "1", 2),
            state("tracks", "1", 2),
            b"odd",
            state("users", "2", 1),
            state("tracks", "2", 2),
        ]
    )

    assert landing.failures == [
        "tracks: expected the 2 records its STATE claims, got 1 since the STATE before; "
        "that STATE was not committed, nor any after it; the records that came are landed"
    ]
    assert pipeline.cursors() == {"tracks": "1", "users": "2"}


def test_a_state_may_claim_fewer_records_than_came(pipeline, state: Line, record: Line):
    landing = pipeline.land([record("users", {"id": 1}), record("users", {"id": 2}), state("users", "1", 1)])

    assert landing.failures == []
    assert pipeline.cursors() == {"users": "1"}


def test_a_state_is_found_behind_commits_that_carry_none(pipeline, state: Line):
    pipeline.land([state("users", "1")])

    for _ in range(3):
        pipeline.warehouse.append("source/users", pl.DataFrame(schema=sources.RECORDS))

    assert pipeline.cursors() == {"users": "1"}
