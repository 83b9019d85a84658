"""Fields that appear or vanish: told once, with what came, and never a reason to lose a value."""

from collections.abc import Callable

import pytest
from moovitamix_transform import builds, fields_seen, runs
from moovitamix_transform.check import check
from moovitamix_transform.errors import DriftFound

Line = Callable[..., bytes]
TRACK = {"name": "A", "created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}


@pytest.fixture
def sync(pipeline, record: Line) -> Callable[..., None]:
    """Lands one read of tracks, recorded as a run, of records with these fields beside the usual ones."""

    def land(*records: dict[str, object]) -> None:
        run = runs.Run("land")
        with pipeline.warehouse.writing():
            runs.record(pipeline.warehouse, run)
        lines = [record("tracks", {"id": number, **TRACK, **more}) for number, more in enumerate(records)]
        pipeline.land(lines, run_id=run.run_id)
        run.end("succeeded")
        runs.record(pipeline.warehouse, run)

    return land


def changes(pipeline) -> list[tuple[int, str, str, int | None, str | None]]:
    newest = builds.newest(pipeline.warehouse)
    rows = fields_seen.rows(pipeline.warehouse, newest.tables["fields"])
    keys = ("build_id", "field", "change", "record_count", "first_value")
    return [tuple(row[key] for key in keys) for row in rows if row["change"] != "known"]


def drift_of(pipeline, stream: str) -> tuple[str, str]:
    found = next(each for each in check(pipeline.warehouse) if (each.check, each.subject) == ("drift", stream))
    return found.outcome, found.detail


def test_a_field_that_appears_is_told_once_with_its_first_value_and_count(pipeline, sync):
    sync({}, {})
    pipeline.build()
    sync({}, {"isrc": "US-1"}, {"isrc": None}, {"isrc": "US-2"})
    appeared = pipeline.build()
    sync({"isrc": "US-3"}, {})
    later = pipeline.build()

    assert changes(pipeline) == [(2, "isrc", "appeared", 2, '"US-1"')]
    assert ["isrc" in notice for notice in appeared.notices] == [True]
    assert '2 records, first "US-1"' in appeared.notices[0]
    assert later.notices == []
    assert sum('"isrc": "US-1"' in text for text in pipeline.texts("tracks")) == 1


def test_however_the_records_are_laid_out_a_field_is_counted_where_it_has_a_value(pipeline, sync):
    values = ["a", 7, -1.5, True, False, [1, 2], [], {"in": 1}, "null", 'a "b" \\', "é\n", "", {}, ["a"], [[1]], 0]
    one = [{}, {"one": None}, *({"one": value} for value in values), {"two": 1}, {"two": None, "one": 2}]
    records = [*one, *({"two": each.get("one"), **each} for each in one), {"three": 1, "one": None}]
    sync({}, {})
    pipeline.build()
    sync(*records)
    pipeline.build()

    counted = {(field, count) for _, field, _, count, _ in changes(pipeline)}

    assert counted == {
        (field, sum(each.get(field) is not None for each in records)) for field in ("one", "two", "three")
    }


def test_a_field_that_no_record_of_a_run_has_vanished_and_may_come_back(pipeline, sync):
    sync({"genres": "rock"}, {})
    pipeline.build()
    sync({}, {})
    vanished = pipeline.build()
    sync({}, {})
    silent = pipeline.build()
    sync({"genres": "pop"}, {})
    returned = pipeline.build()

    assert changes(pipeline) == [(2, "genres", "vanished", None, None), (4, "genres", "returned", None, '"pop"')]
    assert [len(each.notices) for each in (vanished, silent, returned)] == [1, 0, 1]


def test_several_runs_before_one_build_are_looked_at_in_their_order(pipeline, sync):
    sync({"genres": "rock", "isrc": 1})
    sync({})
    sync({"isrc": 2})
    pipeline.build()

    assert changes(pipeline) == [
        (1, "isrc", "appeared", 1, "1"),
        (1, "genres", "vanished", None, None),
        (1, "isrc", "vanished", None, None),
        (1, "isrc", "returned", None, "2"),
    ]


def test_a_run_without_records_says_nothing_of_fields(pipeline, sync):
    sync({"genres": "rock"})
    pipeline.build()
    pipeline.land([b"no line"])
    pipeline.build()

    assert changes(pipeline) == []


def test_check_warns_in_the_build_that_noticed_it_and_lists_it_ever_after(pipeline, sync):
    sync({})
    pipeline.build()
    at_first = drift_of(pipeline, "tracks")
    sync({"isrc": "US-1"})
    pipeline.build()
    noticed = drift_of(pipeline, "tracks")
    sync({"isrc": "US-1", "name": "B"})
    pipeline.build()

    assert at_first == ("passed", "the fields are those the tables read")
    assert noticed[0] == "warned"
    assert "tracks: the field 'isrc' appeared" in noticed[1]
    assert drift_of(pipeline, "tracks") == ("passed", "in the raw text only: isrc")


def test_on_drift_fail_builds_nothing_until_it_is_accepted(pipeline, sync):
    sync({})
    pipeline.build()
    sync({"isrc": "US-1"})

    for _ in range(2):
        with pytest.raises(DriftFound, match=r"'isrc' appeared.*nothing was built"):
            pipeline.build(on_drift="fail")
    assert builds.newest(pipeline.warehouse).build_id == 1
    pipeline.build(on_drift="warn")
    assert changes(pipeline) == [(2, "isrc", "appeared", 1, '"US-1"')]
    pipeline.build(on_drift="fail")


def test_what_a_killed_build_noticed_is_noticed_again(pipeline, sync):
    sync({})
    pipeline.build()
    sync({"isrc": "US-1"})
    newest = builds.newest(pipeline.warehouse)
    rows = [{**fields_seen.rows(pipeline.warehouse, newest.tables["fields"])[0], "field": "isrc", "build_id": 2}]
    pipeline.warehouse.append(fields_seen.TABLE, fields_seen.frame(rows))

    pipeline.build()

    assert changes(pipeline) == [(2, "isrc", "appeared", 1, '"US-1"')]


def test_a_field_of_another_type_is_quarantined_with_its_reason(pipeline, sync):
    sync({"duration": "3:45"}, {"duration": 225}, {"name": {"en": "A"}})

    pipeline.build()

    rows = pipeline.rows("quarantine").select("rule", "detail").rows()
    assert rows == [
        ("duration_unreadable", "duration: expected minutes:seconds, such as 3:45, got 225"),
        ("name_unreadable", 'name: expected a text, got {"en": "A"}'),
    ]


def test_a_full_rebuild_tells_nothing_again(pipeline, sync):
    sync({"isrc": "US-1"})
    pipeline.build()

    again = pipeline.build(full_refresh=True)

    assert again.notices == []
