"""Law 1 over a stream's whole history, and what of a run is new."""

from collections import Counter
from typing import ClassVar

import narwhals as nw
import polars as pl
import pytest
from moovitamix_transform import builds, ledger
from moovitamix_transform.build import build
from moovitamix_transform.engines.engine import Frame
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import LedgerMismatch
from moovitamix_transform.graph import Model, models

AT, LATER = "2026-01-01T00:00:00", "2026-01-02T00:00:00"


def track(number: object, **changes: object) -> dict[str, object]:
    return {"id": number, "name": "A", "created_at": AT, "updated_at": AT} | changes


def listens(number: int, *items: int, **changes: object) -> dict[str, object]:
    return {"user_id": number, "items": items, "created_at": AT, "updated_at": AT} | changes


def test_each_record_is_in_exactly_one_place(pipeline, record):
    pipeline.land([record("tracks", track(number)) for number in (1, 2, 3)])
    pipeline.land([record("tracks", track(1, name="B")), record("tracks", track("x")), record("tracks", "{}")])

    streams = pipeline.build().streams

    tracks = streams["tracks"]
    assert (tracks.landed_total, tracks.kept, tracks.superseded, tracks.quarantined) == (6, 3, 1, 2)
    nothing = streams["users"]
    assert (nothing.landed_total, nothing.kept, nothing.superseded, nothing.quarantined) == (0, 0, 0, 0)


def test_the_same_list_in_another_zone_is_superseded(pipeline, record):
    pipeline.land(
        [
            record("listen_history", listens(7, 1, created_at="2026-01-01T12:00:00")),
            record("listen_history", listens(7, 1, created_at="2026-01-01T14:00:00+02:00")),
        ]
    )

    streams = pipeline.build().streams

    assert (streams["listen_history"].kept, streams["listen_history"].superseded) == (1, 1)


def test_law_1_holds_of_a_run_whose_files_were_compacted_with_those_of_others(pipeline, record):
    for size in (1, 2, 3):
        pipeline.land([record("tracks", track(number)) for number in range(size)], run_id=f"run-{size}")
    pipeline.warehouse.compact("source/tracks")
    append = pipeline.warehouse.append
    append("source/tracks", pipeline.landed("tracks").filter(pl.col("_run_id") == "run-2"))  # a file of its own besides

    landed = {each: ledger.of_run(pipeline.warehouse, each, None)[0].landed for each in ("run-1", "run-2", "run-3")}

    assert pipeline.warehouse.file_count("source/tracks") == 2
    assert landed == {"run-1": 1, "run-2": 4, "run-3": 3}
    assert ledger.of_run(pipeline.warehouse, "run-3", Counter({"tracks": 3}))[0].received == 3


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param("stg_tracks", "tracks: 3 records landed, expected as many in the tables, got 1 kept", id="kept"),
        pytest.param("base_tracks", "tracks: 3 records landed, expected as many", id="judged"),
        pytest.param("quarantine", "quarantine: expected 1 of tracks, got 0: +1 unaccounted for", id="quarantined"),
        pytest.param("dim_tracks", "dim_tracks: expected 2 rows of stg_tracks, got 1: +1", id="dimension"),
    ],
)
def test_a_lost_row_is_a_mismatch_that_names_the_stream_and_the_number(pipeline, record, table: str, message: str):
    pipeline.land([record("tracks", track(number)) for number in (1, 2, "x")])
    tables = pipeline.build().build.tables
    path = models()[table].path
    version = pipeline.warehouse.overwrite(path, pipeline.warehouse.scan(path).collect().head(-1).lazy())

    with pytest.raises(LedgerMismatch) as mismatch:
        ledger.of_history(OnPolars(pipeline.warehouse), tables | {table: version})

    assert str(mismatch.value).startswith(message)
    assert ": +1 unaccounted for" in str(mismatch.value)


def test_a_lost_line_is_a_mismatch(pipeline, record):
    pipeline.land([b"oops", record("tracks", track(1))])
    tables = pipeline.build().build.tables
    version = pipeline.warehouse.overwrite(
        "staging/quarantine", pipeline.warehouse.scan("staging/quarantine").collect().clear().lazy()
    )

    with pytest.raises(LedgerMismatch, match=r"^quarantine: expected 1 of lines, got 0: \+1 unaccounted for"):
        ledger.of_history(OnPolars(pipeline.warehouse), tables | {"quarantine": version})


class Losing(OnPolars):
    """An engine that loses the first row of a table."""

    losing: ClassVar[str]

    def overwrite(self, model: Model, rows: Frame) -> int:
        return super().overwrite(
            model, nw.from_native(rows.to_native().slice(1)) if model.name == self.losing else rows
        )


@pytest.mark.parametrize("table", ["dim_tracks", "dim_users", "fct_listens", *ledger.COUNTED])
def test_a_build_that_loses_a_row_is_not_published(pipeline, record, monkeypatch: pytest.MonkeyPatch, table: str):
    monkeypatch.setattr(Losing, "losing", table, raising=False)
    pipeline.land(
        [record("tracks", track(1)), record("users", {"id": 7, "created_at": AT, "updated_at": AT})]
        + [record("listen_history", listens(user, 1, 2)) for user in (7, 8)]
    )

    with pipeline.warehouse.writing(), pytest.raises(LedgerMismatch, match=rf"^{table}: expected .* unaccounted for"):
        build(pipeline.warehouse, "by-hand", engine=Losing(pipeline.warehouse))

    assert builds.newest(pipeline.warehouse) is None


@pytest.mark.parametrize("table", ["fct_listens", *ledger.COUNTED])
def test_a_listen_that_a_mart_does_not_count_is_a_mismatch(pipeline, record, table: str):
    pipeline.land([record("listen_history", listens(7, 1)), record("listen_history", listens(8, 2))])
    tables = pipeline.build().build.tables
    path = models()[table].path
    version = pipeline.warehouse.overwrite(path, pipeline.warehouse.scan(path).collect().head(-1).lazy())

    with pytest.raises(LedgerMismatch, match=rf"^{table}: expected 2 (listens|plays).*, got 1: \+1 unaccounted for$"):
        ledger.of_history(OnPolars(pipeline.warehouse), tables | {table: version})


class Uncounting(OnPolars):
    """An engine that does not count the plays of a whole table."""

    def element_count(self, model: Model, version: int) -> int:
        raise AssertionError(f"{model.name}: version {version} is counted whole")


@pytest.mark.parametrize(
    ("engine", "second", "difference"),
    [
        pytest.param(Uncounting, listens(9, 3, 4), "+2", id="a_new_list_lies_in_a_file_of_its_own"),
        pytest.param(OnPolars, listens(7, 3, 4, updated_at=LATER), "+1", id="a_correction_that_plays_more"),
        pytest.param(OnPolars, listens(7, updated_at=LATER), "-1", id="a_correction_that_plays_less"),
    ],
)
def test_listens_that_lack_what_is_new_are_a_mismatch(
    pipeline, record, engine: type[OnPolars], second: dict[str, object], difference: str
):
    pipeline.land([record("listen_history", listens(7, 1)), record("listen_history", listens(8, 2))])
    before = pipeline.build().build.tables
    pipeline.land([record("listen_history", second)])
    tables = pipeline.build().build.tables
    ledger.of_history(engine(pipeline.warehouse), tables, before)

    stale = tables | {name: before[name] for name in ("fct_listens", *ledger.COUNTED)}

    with pytest.raises(LedgerMismatch, match=rf"^fct_listens: .* got 2: \{difference} unaccounted for$"):
        ledger.of_history(engine(pipeline.warehouse), stale, before)


@pytest.mark.parametrize(
    ("second_read", "count"),
    [
        pytest.param([listens(7, 1), listens(8, 1)], 0, id="nothing_else"),
        pytest.param([listens(9, 1)], 1, id="a_key_never_seen"),
        pytest.param([listens(7, 1, created_at=LATER)], 1, id="another_instant_is_another_key"),
        pytest.param([listens(7, 2, updated_at=LATER)], 1, id="other_attributes"),
        pytest.param([listens(9, 1), listens(9, 2, updated_at=LATER), listens(9, 1)], 1, id="one_key_three_times"),
        pytest.param([listens(9, 1) | {"items": [None]}], 0, id="a_quarantined_record"),
        pytest.param(
            [listens(7, 2, updated_at="2025-01-01T00:00:00")], 0, id="an_older_version_that_counts_for_nothing"
        ),
    ],
)
def test_what_is_new_of_a_run(pipeline, record, second_read, count: int):
    pipeline.land([record("listen_history", data) for data in (listens(7, 1), listens(8, 1))])
    before = pipeline.build().build

    run = pipeline.land([record("listen_history", data) for data in second_read])
    tables = pipeline.build().build.tables

    staged_before = before.tables["stg_listen_history"]
    assert ledger.new_records(pipeline.warehouse, run.run_id, "listen_history", tables, staged_before) == count


def test_in_the_first_build_every_key_of_the_run_is_new(pipeline, record):
    run = pipeline.land([record("tracks", track(number)) for number in (1, 2, 2, "x")])

    tables = pipeline.build().build.tables

    assert ledger.new_records(pipeline.warehouse, run.run_id, "tracks", tables, None) == 2
