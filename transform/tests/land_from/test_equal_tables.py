"""The same records as messages and as files give equal tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from destination_files import AT, LAYOUTS, Line, rows, write
from hypothesis import given, settings
from hypothesis import strategies as st
from moovitamix_transform import run as runner
from moovitamix_transform.graph import models
from moovitamix_transform.progress import RunProgress
from polars.testing import assert_frame_equal
from rich.console import Console

IDS = st.sampled_from([4, 5])
NAMES = st.sampled_from(["A", 'é "quoted" ', "", None])
DAYS = st.sampled_from(["2026-01-01T00:00:00", "2026-01-02T03:04:05.678901", "2026-01-03T00:00:00.120000"])
INSTANTS = {"created_at": DAYS, "updated_at": DAYS}
TRACK = st.fixed_dictionaries(
    {"id": IDS, "name": NAMES, "genres": NAMES, "duration": st.sampled_from(["3:45", "99:99", None]), **INSTANTS}
)
USER = st.fixed_dictionaries({"id": IDS, "email": NAMES, **INSTANTS})
PLAYED = st.fixed_dictionaries({"user_id": IDS, "items": st.sampled_from([[4, 5, 4], [], None]), **INSTANTS})
# Ids that every snapshot has: one that shares few with the one before would be a reset of the API.
ALWAYS = [{"id": n, "created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"} for n in (1, 2, 3)]
SYNCS = st.lists(
    st.fixed_dictionaries(
        {
            "tracks": st.lists(TRACK, max_size=3).map(lambda each: [*ALWAYS, *each]),
            "users": st.lists(USER, max_size=3).map(lambda each: [*ALWAYS, *each]),
            "listen_history": st.lists(PLAYED, max_size=3),
        }
    ),
    min_size=1,
    max_size=3,
)
COMPARED = [name for name in models() if not name.startswith("base_") and name != "quarantine"]


@settings(deadline=None, max_examples=2)
@given(syncs=SYNCS, layouts=st.permutations(LAYOUTS))
def test_the_same_records_as_messages_and_as_files_give_equal_tables(
    new_pipeline, record: Line, syncs: list[dict[str, list[dict[str, Any]]]], layouts: Sequence[str]
):
    told, filed = new_pipeline(), new_pipeline()
    folder = Path(filed.warehouse.root).parent / "files"
    for number, sync in enumerate(syncs, 1):
        at = AT + 3_600_000 * number
        said = [
            record(stream, {name: value for name, value in each.items() if value is not None}, at + place)
            for stream, records in sync.items()
            for place, each in enumerate(records, 1)
        ]
        told.land(said, is_killed=number == len(syncs))  # the newest generation of files is not complete yet
        for place, (stream, records) in enumerate(sync.items()):
            generation = 1 if stream == "listen_history" else number
            layout = layouts[(number * 3 + place) % len(layouts)]
            write(folder, stream, rows(records, generation, f"{stream}-{number}", at), layout, name=str(number))
    progress = RunProgress(Console(quiet=True), "ERROR")

    runner.land_files(filed.warehouse, [str(folder / "*" / "*")], progress)
    told.build()
    filed.build()

    for name in COMPARED:
        assert_frame_equal(filed.rows(name), told.rows(name), check_row_order=False)
