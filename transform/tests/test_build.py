"""What a build publishes, what it leaves alone, and when it publishes nothing."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from moovitamix_transform import builds, contracts
from moovitamix_transform.errors import ContractBroken, LedgerMismatch
from moovitamix_transform.graph import models
from moovitamix_transform.tables import scan

AT, LATER = "2026-01-01T00:00:00", "2026-01-02T00:00:00"
STATE = (
    b'{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"listen_history"},'
    b'"stream_state":{"updated_at":"2026-01-02T00:00:00"}}}}'
)


def track(number: int, **changes: object) -> dict[str, object]:
    return {
        "id": number,
        "name": "A",
        "genres": "Jazz",
        "duration": "3:45",
        "created_at": AT,
        "updated_at": AT,
    } | changes


def user(number: int, **changes: object) -> dict[str, object]:
    return {"id": number, "email": "a@b.org", "created_at": AT, "updated_at": AT} | changes


def listens(number: int, *items: int, **changes: object) -> dict[str, object]:
    return {"user_id": number, "items": items, "created_at": AT, "updated_at": AT} | changes


@pytest.fixture
def library(record) -> list[bytes]:
    """Two tracks, a user, a list of two listens."""
    return [
        record("tracks", track(1)),
        record("tracks", track(2, genres="Rock")),
        record("users", user(7)),
        record("listen_history", listens(7, 1, 2)),
    ]


def test_an_empty_warehouse_builds_empty_tables_of_the_right_types(pipeline):
    result = pipeline.build()

    assert (result.build.build_id, result.is_published) == (1, True)
    for name, model in models().items():
        rows = pipeline.rows(name)
        assert rows.height == 0, name
        assert rows.schema == contracts.schema(model.contract), name


def test_the_first_build_writes_every_table_once_and_after_what_it_reads(pipeline, library):
    pipeline.land(library)

    result = pipeline.build()

    assert [table.table for table in result.tables] == list(models())
    assert {table.table: table.rows for table in result.tables} == {
        name: pipeline.rows(name).height for name in models()
    }
    assert result.notices == []


def test_nothing_new_is_no_new_build(pipeline, library):
    pipeline.land(library)
    first = pipeline.build()

    second = pipeline.build()

    assert (second.build, second.is_published, second.tables) == (first.build, False, [])
    assert second.streams == first.streams
    assert second.warnings == first.warnings


def test_a_state_alone_is_not_news(pipeline, library):
    pipeline.land(library)
    first = pipeline.build()

    pipeline.land([STATE])
    second = pipeline.build()

    assert second.build == first.build
    assert pipeline.echoed == [STATE]


def test_a_full_refresh_with_nothing_new_gives_the_same_rows_and_no_new_build(pipeline, library):
    pipeline.land(library)
    first = pipeline.build()
    rows = {name: pipeline.rows(name) for name in models()}

    second = pipeline.build(full_refresh=True)

    assert [table.table for table in second.tables] == list(models())
    assert (second.build, second.is_published) == (first.build, False)
    assert all(pipeline.rows(name).equals(rows[name]) for name in models())


def test_tables_with_the_same_rows_keep_their_version(pipeline, record, library):
    pipeline.land(library)
    before = pipeline.build().build

    pipeline.land([record("users", user(7)), record("users", user(8))])
    result = pipeline.build()

    changed = {name for name in models() if result.build.tables[name] != before.tables[name]}
    assert changed == {"base_users", "stg_users", "dim_users", "dim_users_history"}
    assert (result.build.build_id, result.is_published) == (2, True)
    assert "fct_listens" not in {table.table for table in result.tables}, "computed although its inputs are the same"


def test_records_that_say_nothing_new_change_the_judged_records_only(pipeline, library):
    pipeline.land(library)
    before = pipeline.build().build

    pipeline.land(library)
    after = pipeline.build().build

    changed = {name for name in models() if after.tables[name] != before.tables[name]}
    assert changed == {"base_tracks", "base_users", "base_listen_history"}


@pytest.mark.parametrize(
    "items",
    [
        pytest.param((2, 1), id="another_order"),
        pytest.param((1, 2, 2), id="one_more"),
        pytest.param((1,), id="one_less"),
        pytest.param((), id="none"),
    ],
)
def test_a_corrected_list_replaces_the_listens_it_had(pipeline, record, library, items):
    pipeline.land(library)
    before = pipeline.build().build

    pipeline.land([record("listen_history", listens(7, *items, updated_at=LATER))])
    after = pipeline.build().build

    found = pipeline.rows("fct_listens").sort("position")["track_id"].to_list()
    assert found == list(items)
    assert after.tables["fct_listens"] != before.tables["fct_listens"]


def test_an_earlier_build_can_still_be_read(pipeline, record, library):
    pipeline.land(library)
    before = pipeline.build().build

    pipeline.land([record("tracks", track(1, name="B", updated_at=LATER))])
    pipeline.build()

    then = scan(pipeline.warehouse, "dim_tracks", before.tables).sort("track_id").collect()
    now = pipeline.rows("dim_tracks")
    assert (then["track_name"].to_list(), now["track_name"].to_list()) == (["A", "A"], ["B", "A"])


def test_a_changed_contract_means_a_full_rebuild_said_aloud(pipeline, library):
    pipeline.land(library)
    built = pipeline.build().build
    fingerprints = builds.fingerprints(pipeline.warehouse) | {"fct_listens": "of an older version"}
    builds.publish(pipeline.warehouse, replace(built, build_id=2), fingerprints)

    result = pipeline.build()

    assert result.notices == ["the contracts of fct_listens changed since build 2: full rebuild"]
    assert (result.build.build_id, result.build.full_refresh, result.is_published) == (3, True, True)
    assert [table.table for table in result.tables] == list(models())
    assert result.build.tables == built.tables
    assert pipeline.build().build == result.build, "the rebuild must settle it"


def test_a_table_that_the_build_before_did_not_have_is_built(pipeline, library):
    pipeline.land(library)
    built = pipeline.build().build
    tables = {name: version for name, version in built.tables.items() if name != "track_popularity"}
    fingerprints = builds.fingerprints(pipeline.warehouse)
    del fingerprints["track_popularity"]
    builds.publish(pipeline.warehouse, replace(built, build_id=2, tables=tables), fingerprints)

    result = pipeline.build()

    assert pipeline.rows("track_popularity").height == 2
    assert "track_popularity" in result.notices[0]


def test_a_broken_contract_is_not_published_and_the_build_before_stays(pipeline, record, library):
    pipeline.land(library)
    before = pipeline.build().build
    tracks = pipeline.warehouse.scan("source/tracks").collect()
    pipeline.warehouse.append("source/tracks", tracks.head(1))  # its raw_id is there twice now

    with pytest.raises(ContractBroken) as broken:
        pipeline.build()

    raw_id = tracks["_airbyte_raw_id"][0]
    assert str(broken.value) == (
        f"base_tracks: 2 rows share values of (raw_id), expected one row each; first: [('{raw_id}',)]. "
        "The build is not published; the one before stays."
    )
    assert builds.newest(pipeline.warehouse) == before
    assert pipeline.rows("base_tracks").height == 2


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param(
            "stg_tracks",
            "tracks: 2 records landed, expected as many in the tables, got 1 kept, 0 superseded and 0 quarantined: "
            "+1 unaccounted for.",
            id="a_kept_row",
        ),
        pytest.param(
            "base_tracks",
            "tracks: 2 records landed, expected as many judged, got 1: +1 unaccounted for.",
            id="a_judged_record",
        ),
    ],
)
def test_a_difference_of_one_fails_the_build_and_names_the_stream_and_the_number(
    pipeline, record, library, table, message
):
    pipeline.land(library)
    built = pipeline.build().build
    path = models()[table].path
    version = pipeline.warehouse.overwrite(path, pipeline.warehouse.scan(path).collect().head(-1).lazy())
    tampered = replace(built, build_id=2, tables=built.tables | {table: version})
    builds.publish(pipeline.warehouse, tampered, builds.fingerprints(pipeline.warehouse))

    pipeline.land([record("listen_history", listens(9, 1))])
    with pytest.raises(LedgerMismatch) as mismatch:
        pipeline.build()

    assert str(mismatch.value).startswith(message)
    assert builds.newest(pipeline.warehouse) == tampered


READER = """
import sys
from moovitamix_transform import builds
from moovitamix_transform.tables import scan
from moovitamix_transform.warehouse import Warehouse

warehouse = Warehouse(sys.argv[1])
print("reading", flush=True)
seen = set()
while builds.newest(warehouse).build_id < int(sys.argv[2]):
    build = builds.newest(warehouse)
    tracks = scan(warehouse, "dim_tracks", build.tables).collect()
    listens = scan(warehouse, "fct_listens", build.tables).collect()
    charts = scan(warehouse, "track_popularity", build.tables).collect()
    profiles = scan(warehouse, "user_profiles", build.tables).collect()
    facts = (build.build_id, tuple(sorted(set(tracks["track_name"]))), listens.height, charts["listen_count"].sum(),
             profiles["listen_count"].sum())
    if facts not in seen:
        seen.add(facts)
        print(*facts, sep="|", flush=True)
"""


def test_a_reader_sees_whole_builds_only(pipeline, record):
    def sync(number: int) -> None:
        """Renames every track, and adds a list of ten listens."""
        day = f"2026-01-{number:02}T00:00:00"
        pipeline.land(
            [record("tracks", track(each, name=f"v{number}")) for each in range(10)]
            + [record("listen_history", listens(7, *range(10), created_at=day))]
        )
        pipeline.build()

    sync(1)
    last = 4
    with subprocess.Popen(
        [sys.executable, "-c", READER, pipeline.warehouse.root, str(last)], stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for number in range(2, last + 1):
            sync(number)
        facts = reader.stdout.read().splitlines()

    assert reader.returncode == 0
    assert facts, "the reader saw no build at all"
    for fact in facts:
        number, names, *counts = fact.split("|")
        assert (names, counts) == (f"('v{number}',)", [str(10 * int(number))] * 3), f"a mix of builds: {fact}"


@pytest.mark.parametrize("how", ["gone", "cut_off"])
def test_a_full_build_mends_a_table_whose_file_is_damaged(pipeline, record, how: str):
    day = {"created_at": "2026-01-05T10:00:00", "updated_at": "2026-01-05T10:00:00"}
    pipeline.land([record("listen_history", {"user_id": 7, "items": [1, 2], **day})])
    before = pipeline.build().build
    rows = pipeline.rows("user_profiles")
    (file,) = Path(pipeline.warehouse.uri("marts/user_profiles")).glob("*.parquet")
    file.unlink() if how == "gone" else file.write_bytes(file.read_bytes()[:100])

    result = pipeline.build(full_refresh=True)

    assert result.is_published
    changed = [name for name, version in result.build.tables.items() if before.tables.get(name) != version]
    assert changed == ["user_profiles"]
    assert pipeline.rows("user_profiles").equals(rows)
