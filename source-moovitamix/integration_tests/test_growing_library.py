"""Ten syncs in a row over a library that grows, changes and deletes: together they hold what the API holds."""

import pytest
import requests
from moovitamix_api.app import create_app
from moovitamix_api.settings import Settings

NOWS = [f"2026-{month:02}-{day:02}T06:00:00" for month in (1, 2, 3, 4, 5) for day in (2, 17)]
KEYS = {"tracks": ("id",), "users": ("id",), "listen_history": ("user_id", "created_at")}


def content(url, stream):
    """Every row of the API, read in one page after the other."""
    pages = requests.get(f"{url}/{stream}", timeout=10).json()["pages"]
    answers = (requests.get(f"{url}/{stream}?page={page}", timeout=10).json() for page in range(1, pages + 1))
    return [row for answer in answers for row in answer["items"]]


def by_key(stream, rows):
    return {tuple(row[field] for field in KEYS[stream]): row for row in rows}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="one_piece"),
        pytest.param({"slice_days": 10, "start_date": "2024-01-01"}, id="windows"),
    ],
)
def test_the_union_of_ten_syncs_deduplicated_by_key_equals_what_the_api_holds_at_the_end(serve, read, options):
    syncs, state = [], []
    for now in NOWS:
        url = serve(create_app(Settings(size=300, listens=600, now=now)))
        syncs.append(read(api_url=url, state=state, **options))
        state = syncs[-1].state
    held = {stream: content(url, stream) for stream in KEYS}

    assert [sync.errors for sync in syncs] == [[]] * 10
    listens = [row for sync in syncs for row in sync.rows("listen_history")]
    assert by_key("listen_history", listens) == by_key("listen_history", held["listen_history"])
    for stream in ("tracks", "users"):  # read in full each time: a row of an earlier sync may be deleted since
        assert by_key(stream, syncs[-1].rows(stream)) == by_key(stream, held[stream])
        assert by_key(stream, syncs[0].rows(stream)).keys() - by_key(stream, held[stream]).keys(), "some were deleted"
    counts = [len(sync.rows("listen_history")) for sync in syncs]
    assert all(0 < count < counts[0] / 3 for count in counts[1:]), "only what is new, and what was corrected"
