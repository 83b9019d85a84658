"""Another universe of ids is not mixed with the one before: nothing is built until a person accepts it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from moovitamix_transform import builds, epochs, ledger, news, resets, runs
from moovitamix_transform.catalog import load_table
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.errors import ApiReset

Line = Callable[..., bytes]
AT = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}


@pytest.fixture
def tracks(record: Line) -> Callable[..., list[bytes]]:
    return lambda *ids: [record("tracks", {"id": number, "name": f"track {number}", **AT}) for number in ids]


@pytest.mark.parametrize(
    ("one", "other", "is_reset"),
    [
        pytest.param([1, 2, 3, 4], [1, 2, 3, 4], False, id="same"),
        pytest.param([1, 2, 3, 4], [5, 6, 7, 8], True, id="none_shared"),
        pytest.param([1, 2, 3, 4], [3, 4, 5, 6], False, id="half_shared"),
        pytest.param([1, 2, 3, 4], [4, 5, 6, 7], True, id="less_than_half_shared"),
        pytest.param([1, 2, 3, 4], [1], False, id="most_are_gone"),
        pytest.param([1, 2, 3, 4, 5], [5, 6, 7], True, id="less_than_half_of_the_smaller_odd"),
        pytest.param([1], list(range(1, 9)), False, id="many_are_new"),
        pytest.param([1, 2], [], False, id="empty"),
    ],
)
def test_a_snapshot_that_shares_less_than_half_of_the_smaller_is_a_reset(
    pipeline, tracks, status, one, other, is_reset
):
    end = [status("tracks", "COMPLETE")]
    pipeline.land([*tracks(*one), *end])
    pipeline.build()
    pipeline.land([*tracks(*other), *end])

    if is_reset:
        with pytest.raises(ApiReset, match="tracks: expected generation 2 to share at least"):
            pipeline.build()
        assert builds.newest(pipeline.warehouse).build_id == 1
    else:
        pipeline.build()
        assert builds.newest(pipeline.warehouse).build_id == 2


def test_an_empty_snapshot_in_between_hides_no_reset(pipeline, tracks, status):
    end = [status("tracks", "COMPLETE")]
    for ids in ([1, 2], []):
        pipeline.land([*tracks(*ids), *end])
        pipeline.build()
    pipeline.land([*tracks(8, 9), *end])

    with pytest.raises(ApiReset, match=r"share at least 1 ids with generation 1, got 0 \(of 2 and 2\)"):
        pipeline.build()


def test_an_incomplete_snapshot_is_no_reset(pipeline, tracks, status):
    pipeline.land([*tracks(1, 2), status("tracks", "COMPLETE")])
    pipeline.build()
    pipeline.land([*tracks(8), status("tracks", "INCOMPLETE")])

    pipeline.build()

    assert pipeline.rows("dim_tracks")["track_id"].to_list() == [1, 2, 8]


def test_two_universes_before_the_first_build_are_not_mixed(pipeline, tracks):
    pipeline.land(tracks(1, 2))
    pipeline.land(tracks(8, 9))

    with pytest.raises(ApiReset):
        pipeline.build()


def test_an_accepted_reset_begins_the_tables_anew(pipeline, tracks, record: Line, state: Line):
    listens = [record("listen_history", {"user_id": 1, "items": [1, 2], **AT}), state("listen_history", "2026-01-01")]
    pipeline.land([*tracks(1, 2), b"an odd line", *listens])
    pipeline.build()
    pipeline.land([*tracks(8, 9), *listens])
    with pytest.raises(ApiReset):
        pipeline.build()

    accept(pipeline, [*tracks(7, 8, 9), record("listen_history", {"user_id": 5, "items": [7], **AT}), b"odd"])
    result = pipeline.build()

    assert result.build.full_refresh
    assert pipeline.rows("dim_tracks")["track_id"].to_list() == [7, 8, 9]
    assert pipeline.rows("dim_tracks_history")["track_id"].to_list() == [7, 8, 9]
    assert pipeline.rows("fct_listens").select("user_id", "track_id").rows() == [(5, 7)]
    assert pipeline.rows("quarantine")["data"].to_list() == ["odd"]
    numbers = {name: (entry.landed_total, entry.kept, entry.closed) for name, entry in result.streams.items()}
    assert numbers == {"tracks": (7, 3, 4), "users": (0, 0, 0), "listen_history": (3, 1, 2)}


def test_old_epochs_stay_readable_as_of_their_builds(pipeline, tracks):
    pipeline.land(tracks(1, 2))
    pipeline.build()
    accept(pipeline, tracks(8, 9))
    pipeline.build()

    old = load_table(pipeline.warehouse.root, "dim_tracks", as_of=1).collect()

    assert sorted(old["track_id"]) == [1, 2]


def test_after_an_accepted_reset_syncs_go_on_incrementally(pipeline, tracks):
    pipeline.land(tracks(1, 2))
    pipeline.build()
    accept(pipeline, tracks(7, 8, 9))
    pipeline.build()
    pipeline.land(tracks(7, 8, 10))
    went_on = pipeline.build()

    assert not went_on.build.full_refresh
    rows = pipeline.rows("dim_tracks").select("track_id", "is_deleted").rows()
    assert rows == [(7, False), (8, False), (9, True), (10, False)]
    assert ledger.of_history(OnPolars(pipeline.warehouse), went_on.build.tables)["tracks"].closed == 2


def accept(pipeline, lines: list[bytes]) -> None:
    """What `run --accept-reset` does: everything read whole, then an epoch that begins with it."""
    run = runs.Run("run")
    landing = pipeline.land(lines, full_refresh=frozenset({"listen_history"}), run_id=run.run_id)
    before = builds.newest(pipeline.warehouse)
    newest = news.newest_versions(pipeline.warehouse)
    assert resets.find(OnPolars(pipeline.warehouse), before.tables if before else None, newest)
    epochs.open_next(pipeline.warehouse, run, landing.generations)


def test_lines_of_before_stay_out_of_the_new_epoch_whatever_the_clock_says(pipeline, tracks, monkeypatch):
    pipeline.land([*tracks(1, 2), b"from before"])
    pipeline.build()
    monkeypatch.setattr("moovitamix_transform.landing.datetime", _Clock(datetime(2000, 1, 1, tzinfo=UTC)))

    accept(pipeline, [*tracks(8, 9), b"from since"])
    pipeline.build()

    assert pipeline.rows("quarantine")["data"].to_list() == ["from since"]


class _Clock:
    """A clock that was set back."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self, zone: object) -> datetime:
        return self._at
