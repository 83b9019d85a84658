"""A person who is forgotten is in no byte of the warehouse; everybody else is there as before, in every kept build."""

import json
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable
from moovitamix_transform import builds, ledger, removals, runs, sources, tables
from moovitamix_transform.check import check
from moovitamix_transform.engines.on_polars import OnPolars
from moovitamix_transform.erasing import erasure, forget, person
from moovitamix_transform.erasing.erasure import Trace
from moovitamix_transform.erasing.person import Person
from moovitamix_transform.errors import ApiReset, NoSuchUser, UsageError, WarehouseError
from moovitamix_transform.graph import models
from moovitamix_transform.warehouse import Warehouse

Line = Callable[..., bytes]
ID = 987_654_321
EMAIL, OLD_EMAIL = "Zoe.Quirrel@canary.example", "zoe-of-old@canary.example"
PERSON = {"id": ID, "first_name": "Zoequirra", "last_name": "Waxcanary", "email": EMAIL, "nickname": "Canarynick"}
# Texts that nobody else has, in lower case, and the id as Parquet's own integer.
CANARIES = [b"canary", b"zoequirra", str(ID).encode(), struct.pack("<q", ID)]
AT = {"created_at": "2026-01-01T00:00:00", "updated_at": "2026-01-01T00:00:00"}
OTHERS = [7, *range(101, 131)]


def at(hour: int) -> dict[str, str]:
    return {"created_at": f"2026-01-05T{hour:02}:00:00", "updated_at": f"2026-01-05T{hour:02}:00:00"}


@pytest.fixture(scope="module")
def lived_in(new_pipeline, record: Line, state: Line, status: Line):
    """A person in three builds and in what no build has read; odd lines, drift, a compaction, a checkpoint, a failure;
    what killed commands left beside the tables and in them, and what another program noted."""
    pipeline = new_pipeline()
    warehouse, root = pipeline.warehouse, Path(pipeline.warehouse.root)
    tracks = [record("tracks", {"id": number, "name": f"track {number}", **AT}) for number in (1, 2)]
    others = [record("users", {"id": number, "email": f"u{number}@example.org", **AT}) for number in OTHERS]
    end = [status(stream, "COMPLETE") for stream in ("tracks", "users", "listen_history")]

    def listen(user_id: object, items: object, hour: int) -> bytes:
        return record("listen_history", {"user_id": user_id, "items": items, **at(hour)})

    pipeline.land(
        [
            *tracks,
            record("users", {**PERSON, "email": OLD_EMAIL, **AT}),
            *others,
            *(listen(number, [1], 1) for number in OTHERS),
            listen(ID, [1, 2], 2),
            listen(str(ID), [None], 3),
            f"the mail to {EMAIL} came back".encode(),
            b"a line of nobody",
            state("listen_history", "2026-01-05"),
        ],
        [f'{{"type":"RECORD","record":{{"stream":"listen_history","data":{{"user_id":{ID},"ite'.encode(), *end],
    )
    pipeline.build()
    news = [record("users", {**PERSON, **AT}), record("users", {**PERSON, "first_name": True, **AT})]
    playlist = record("playlists", {"user_id": ID, "title": "of nobody else"})
    pipeline.land([*tracks, *others, *news, listen(ID, [2], 4), listen(7, [2], 4), playlist, *end])
    pipeline.build()
    warehouse.compact(sources.path("listen_history"))
    for path in (sources.path("users"), models()["dim_users"].path):
        DeltaTable(warehouse.uri(path)).create_checkpoint()  # as delta-rs does every hundredth commit
    profiles = models()["user_profiles"].path
    warehouse.overwrite(
        profiles, warehouse.scan(profiles).filter(pl.col("user_id") == ID)
    )  # by a build that was killed
    pipeline.land([*tracks, *others, record("users", {**PERSON, **AT}), listen(ID, [1], 5), listen(7, [1], 5), *end])
    pipeline.build()
    kept = {build.tables["user_profiles"] for build in builds.every(warehouse)}
    assert warehouse.vacuum(profiles, kept, is_dry=False) > 0  # its file is gone, what the log tells of it is not
    failed = runs.Run("run")
    failed.end("failed", f"the source said: no such user: {EMAIL}")
    runs.record(warehouse, failed)
    pipeline.land([listen(ID, [2], 6), listen(101, [2], 6), state("listen_history", "2026-01-06")])

    whole = next(root.glob("staging/base_users/*.parquet"))
    shutil.copy(whole, whole.with_name("of-a-killed-build.parquet"))
    (root / "marts/dim_users/cut-off.parquet").write_bytes(whole.read_bytes()[:-100])
    (root / "source/users/_delta_log/_commit_0.json.tmp").write_text(EMAIL)
    with (root / "marts/dim_users/_delta_log/00000000000000000000.json").open("a") as log:
        by_hand = {"operation": "DELETE", "operationParameters": {"predicate": f"[email = '{EMAIL}']"}}
        log.write("\n" + json.dumps({"commitInfo": by_hand}))
    (root / "report.html").write_text(f"<p>{EMAIL}")
    (root / ".report.html.7.part").write_text(f"<p>{EMAIL}")  # what a killed `report` leaves
    (root / "notes.txt").write_text(f"write to {EMAIL}")
    (root / "marts/dim_users/of-somebody.txt").write_text("a file of somebody else's")
    return pipeline


@dataclass
class Before:
    canaries: list[str]
    others: dict[tuple[int, str], list[str]]
    states: dict[str, str]
    landed: dict[str, int]
    inodes: dict[Path, int]


@pytest.fixture(scope="module")
def before(lived_in) -> Before:
    root = Path(lived_in.warehouse.root)
    return Before(
        canaries=list(canaries(root)),
        others=others_in_kept_builds(lived_in.warehouse),
        states=sources.states(lived_in.warehouse),
        landed={stream: lived_in.landed(stream).height for stream in ("users", "listen_history")},
        inodes={file: file.stat().st_ino for name in UNTOUCHED for file in root.glob(f"{name}/*.parquet")},
    )


UNTOUCHED = ("source/tracks", "marts/track_popularity")


@pytest.fixture(scope="module")
def after(before: Before, lived_in):
    """The same warehouse, without the person."""
    done = forget.forget(lived_in.warehouse, ID)
    return lived_in, done


def test_no_byte_of_a_forgotten_person_is_left(before: Before, after):
    pipeline, _ = after

    left = list(canaries(Path(pipeline.warehouse.root)))

    assert {"/".join(place.split("/")[:2]) for place in before.canaries} == {
        "report.html",
        ".report.html.7.part",
        "notes.txt",
        "source/users",
        "source/listen_history",
        "source/_lines",
        "staging/base_users",
        "staging/base_listen_history",
        "staging/stg_users",
        "staging/stg_listen_history",
        "staging/quarantine",
        "marts/dim_users",
        "marts/dim_users_history",
        "marts/fct_listens",
        "marts/user_track_interactions",
        "marts/user_profiles",
        "_meta/runs",
        "_meta/fields",
    }, "the search does not find what is there before"
    assert {place.rpartition(": ")[2] for place in before.canaries if "checkpoint" in place} >= {"add"}
    assert left == ["notes.txt"], "expected the person in the one file that is not moovitamix's, and in no other place"


def test_everybody_else_is_as_before_in_every_kept_build(before: Before, after):
    pipeline, _ = after

    rows = rows_in_kept_builds(pipeline.warehouse)

    assert len(before.others) > 3 * len(models())
    different = [key for key, expected in before.others.items() if rows[key] != expected]
    assert different == [], "(build, table) whose rows are not those of before without the person's"
    newest, judged_before, *_ = builds.every(pipeline.warehouse)
    names = [name for name in models() if name != "track_popularity"]  # it counts listens, the person's among them
    assert [name for name in names if rows[newest.build_id, name] != rows[judged_before.build_id, name]] == []


def test_the_next_build_is_without_them_and_the_ledger_counts_them(before: Before, after):
    pipeline, done = after
    warehouse, lines = pipeline.warehouse, sources.path("_lines")

    newest = builds.newest(warehouse)
    entries = ledger.of_history(OnPolars(warehouse), newest.tables)

    assert (newest.build_id, newest.full_refresh) == (done.build_id, True)
    assert (entries["users"].landed_total, entries["users"].erased) == (before.landed["users"], 4)
    assert (entries["listen_history"].landed_total, entries["listen_history"].erased) == (
        before.landed["listen_history"],
        5,
    )
    assert removals.total(warehouse, lines, warehouse.version(lines), "erased") == 3
    assert pipeline.rows("quarantine")["data"].to_list() == ["a line of nobody"]
    odd = [
        (each.check, each.subject) for each in check(warehouse) if each.check != "warning" and each.outcome != "passed"
    ]
    assert odd == [("alarm", "run run")], "its newest sync has no end"


def test_what_was_erased_is_told_per_table(after):
    _, done = after

    told = {each.table: each for each in done.tables}

    assert {name: told[name].rows for name in ("users", "listen_history", "_lines")} == {
        "users": 4,
        "listen_history": 5,
        "_lines": 3,
    }
    assert (told["dim_users"].rows, told["dim_users"].copies > 1) == (1, True)
    assert {"tracks", "track_popularity", "builds"}.isdisjoint(told)


def test_a_forget_is_a_run_that_says_no_id_and_runs_say_no_address(after):
    pipeline, done = after

    newest, failed, *_ = runs.every(pipeline.warehouse)

    assert (newest.kind, newest.status, newest.message) == ("build", "succeeded", None)
    assert newest.build_id == done.build_id
    assert (failed.status, failed.message) == ("failed", "erased: it spoke of a user who is forgotten")


def test_a_fields_first_value_is_struck_where_it_was_the_persons(after):
    pipeline, _ = after

    rows = pipeline.rows("fields").filter(pl.col("stream") == "users", pl.col("field").is_in(["id", "nickname"]))

    assert rows.select("field", "change", "first_raw_id", "first_value").rows() == [
        ("id", "known", None, '"erased"'),
        ("nickname", "appeared", None, '"erased"'),
    ]


def test_a_report_goes_and_files_of_others_are_named(after):
    pipeline, done = after
    root = Path(pipeline.warehouse.root)

    assert done.notices[-3:] == [
        f"{root}/report.html was made of the tables as they were, and is removed; `moovitamix report` makes it anew",
        f"{root}/.report.html.7.part was made of the tables as they were, and is removed; `moovitamix report` makes it "
        "anew",
        f"{root}/notes.txt: no file of moovitamix, so it stays, with an e-mail address of the user in it",
    ]
    assert not (root / "report.html").exists()
    assert (root / "marts/dim_users/of-somebody.txt").exists()


def test_files_without_the_person_are_not_touched(before: Before, after):
    assert before.inodes
    assert {file: file.stat().st_ino for file in before.inodes} == before.inodes


def test_forgotten_once_is_not_there_the_second_time(after):
    pipeline, _ = after

    with pytest.raises(NoSuchUser):
        forget.plan(pipeline.warehouse, ID)


def test_states_stay_and_builds_go_on_incrementally(before: Before, after, new_pipeline, record: Line):
    pipeline = copied(after[0], new_pipeline)
    states = sources.states(pipeline.warehouse)
    pipeline.land([record("listen_history", {"user_id": 7, "items": [1], **at(9)})])

    went_on = pipeline.build()

    assert states == before.states
    assert (went_on.build.full_refresh, went_on.notices) == (False, [])
    assert pipeline.rows("fct_listens").filter(pl.col("user_id") == 7).height == 4


def test_a_person_who_comes_again_can_be_forgotten_again(after, new_pipeline, record: Line, status: Line):
    pipeline = copied(after[0], new_pipeline)
    ends = [status("users", "INCOMPLETE"), status("listen_history", "COMPLETE")]
    moody = record("users", {**PERSON, "mood": "Canarymood", **AT})
    pipeline.land([record("listen_history", {"user_id": ID, "items": [1], **at(10)}), moody, *ends])

    done = forget.forget(pipeline.warehouse, ID)

    newest = builds.newest(pipeline.warehouse)
    assert ledger.of_stream(OnPolars(pipeline.warehouse), newest.tables, "listen_history").erased == 6
    assert list(canaries(Path(pipeline.warehouse.root))) == ["notes.txt"]
    assert "a field of the API changed: `moovitamix show fields`" in done.notices
    assert not has_canary("".join(done.notices).encode())


# -- cut off ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(new_pipeline, record: Line):
    """The person and one other user in two builds."""
    pipeline = new_pipeline()
    other = record("users", {"id": 7, "email": "u7@example.org", **AT})
    for hour in (1, 2):
        listens = [record("listen_history", {"user_id": number, "items": [1], **at(hour)}) for number in (7, ID)]
        # The line is theirs by an address that only their records tell.
        pipeline.land([other, record("users", {**PERSON, **AT}), *listens, f"mail to {EMAIL}".encode()])
        pipeline.build()
    return pipeline


# A process that kills itself before it renames or removes a file for the nth time.
KILLED = """
import os, signal, sys
from moovitamix_transform.erasing import forget
from moovitamix_transform.warehouse import Warehouse

root, user_id, left = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def count_down(event, arguments):
    global left
    if event in ("os.rename", "os.remove"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(count_down)
forget.forget(Warehouse(root), user_id)
"""


@pytest.mark.parametrize(
    "step",
    [
        *(pytest.param(step, marks=pytest.mark.soak) for step in (2, 20, 40, 80, 100, 115, 127, 130)),
        60,  # were source/users not the last table, it would be gone by now, and who the person is with it
    ],
)
def test_a_killed_forget_is_finished_by_the_next_one(small, new_pipeline, step: int):
    pipeline = copied(small, new_pipeline)
    root, expected = Path(pipeline.warehouse.root), others_in_kept_builds(pipeline.warehouse)

    killed = subprocess.run([sys.executable, "-c", KILLED, root, str(ID), str(step)], capture_output=True, text=True)
    pipeline.warehouse.forget_opened()
    between = others_in_kept_builds(pipeline.warehouse)
    planned = forget.plan(pipeline.warehouse, ID)
    forget.forget(pipeline.warehouse, ID)

    assert killed.returncode == -signal.SIGKILL, f"it ended before step {step}: {killed.stderr}"
    assert {key: between[key] for key in expected} == expected
    assert planned.began_at is not None
    assert list(canaries(root)) == []
    rows = rows_in_kept_builds(pipeline.warehouse)
    assert {key: rows[key] for key in expected} == expected
    assert list(root.glob(".forgetting*")) == []


# Erases user 9 from copies of a table, cut off before each renamed or removed file in turn; prints, for each, what its
# versions hold then, and what they hold after it was done again.
CUT_OFF_EVERYWHERE = """
import json, shutil, sys
from pathlib import Path
import polars as pl
from moovitamix_transform.erasing import delta_log, erasure
from moovitamix_transform.erasing.erasure import Trace
from moovitamix_transform.warehouse import Warehouse

class CutOff(BaseException): ...
left = None

def count_down(event, arguments):
    global left
    if left is not None and event in ("os.rename", "os.remove"):
        left -= 1
        if left < 0:
            left = None
            raise CutOff

sys.addaudithook(count_down)

def versions(root):
    house = Warehouse(root)
    newest = house.version("marts/t")
    return [sorted(house.scan("marts/t", v).collect()["user_id"].to_list()) for v in range(newest + 1)]

first, table = Path(sys.argv[1]), "marts/t"
house = Warehouse(str(first))
ids = lambda *numbers: pl.DataFrame({"user_id": numbers}, schema={"user_id": pl.Int64})
house.append(table, ids(1, 9))
house.append(table, ids(9))
house.append(table, ids(2))
house.replace(table, 2, ids(1), ids(3, 9))
house.restore(table, 2)
house.compact(table)
found = [versions(str(first))]
cut = 0
while True:
    root = first.with_name(f"cut {cut}")
    shutil.copytree(first, root)
    left = cut
    try:
        erasure.erase(root, table, lambda columns: Trace(pl.col("user_id") == 9))
        is_done, left = True, None
    except CutOff:
        is_done = False
    between = versions(str(root))
    erasure.erase(root, table, lambda columns: Trace(pl.col("user_id") == 9))
    there = {str(path.relative_to(root / table)) for path in root.rglob("*.parquet*") if "layout" not in path.parts}
    unnamed = there - set(delta_log.data_files(root / table))
    found.append([between, versions(str(root)), sorted(unnamed)])
    if is_done:
        break
    cut += 1
print(json.dumps(found))
"""


def test_cut_off_anywhere_every_version_has_every_other_row_once(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", CUT_OFF_EVERYWHERE, tmp_path / "table"], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    before, *cuts = json.loads(done.stdout)
    expected = [[number for number in rows if number != 9] for rows in before]
    assert before == [[1, 9], [1, 9, 9], [1, 2, 9, 9], *before[3:-2], [1, 2, 9, 9], [1, 2, 9, 9]]
    assert len(cuts) > 15
    for number, (between, after, unnamed) in enumerate(cuts):
        assert [[each for each in rows if each != 9] for rows in between] == expected, f"cut off at file {number}"
        assert after == expected, f"done again after it was cut off at file {number}"
        assert unnamed == [], f"files that no version names after it was cut off at file {number}"


# -- who and what ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("token", "is_theirs"),
    [
        *((token, True) for token in ("7", '"7"', '" 7 "', '"007"', '"\\u0037"', "7.0", '"7.0"', "7e0")),
        *((token, False) for token in ("70", '"70"', "17", "-7", "7.5", '"7a"', "true", "null", "[7]", '""')),
    ],
)
def test_a_record_is_of_the_user_whose_id_it_has_however_it_is_written(pipeline, record: Line, token, is_theirs):
    pipeline.land([record("listen_history", f'{{"user_id": {token}, "items": [1]}}')])

    who = person.find(pipeline.warehouse, 7)

    (listen,) = pipeline.landed("listen_history")["_airbyte_raw_id"]
    assert (listen in who.raw_ids) is is_theirs


def test_a_user_record_without_an_id_is_of_the_user_whose_address_it_has(pipeline, record: Line):
    given = [(7, "Ada@example.org"), (1.5, " ada@example.org"), (8, "ada@example.org"), (None, "canada@example.org")]
    pipeline.land([record("users", {"id": user_id, "email": email, **AT}) for user_id, email in given])

    who = person.find(pipeline.warehouse, 7)

    assert sorted(who.raw_ids) == pipeline.landed("users")["_airbyte_raw_id"].to_list()[:2]


@pytest.mark.parametrize(
    ("line", "is_theirs"),
    [
        pytest.param('{"record": {"stream": "plays", "data": {"user_id": 7}}}', True, id="user_id"),
        pytest.param('{"record": {"stream": "plays", "data": {"user_id":" 7"', True, id="cut_off"),
        pytest.param('{"log": "got {\\"user_id\\": 7}"}', True, id="json_in_json"),
        pytest.param('{"record": {"stream": "users", "data": {"id": 7}}}', True, id="id_of_a_user"),
        pytest.param('{"record": {"stream": "plays", "data": {"id": 7}}}', False, id="id_of_something_else"),
        pytest.param('{"record": {"stream": "plays", "data": {"user_id": 70}}}', False, id="longer_id"),
        pytest.param('{"record": {"stream": "plays", "data": {"user_id": 7.5}}}', False, id="fraction"),
        pytest.param('{"record": {"stream": "plays", "data": {"user_id": -7}}}', False, id="negative"),
        pytest.param("mail to ADA@example.org.", True, id="address"),
        pytest.param("GET /users?email%3Dada%40example.org", True, id="address_in_a_url"),
        pytest.param('{"text": "hello\\nada@example.org"}', True, id="address_behind_an_escape"),
        pytest.param("m\\u00fcller@example.org", True, id="address_in_ascii_json"),
        pytest.param("mail to canada@example.org", False, id="end_of_another_address"),
        pytest.param("mail to ada@example.org.uk", False, id="beginning_of_another_address"),
        pytest.param("mail to ada-max@example.org", False, id="another_address"),
        pytest.param("nobody was here", False, id="address_that_is_none"),
    ],
)
def test_a_line_speaks_of_the_user_whose_id_or_address_is_in_it(line: str, is_theirs: bool):
    who = Person(7, emails=frozenset({"ada@example.org", "müller@example.org", "nobody"}))

    found = pl.select(who.is_spoken_of(pl.lit(line))).item()

    assert found is is_theirs


@pytest.mark.parametrize(
    ("message", "is_theirs"),
    [
        pytest.param("the source said: ada@example.org is gone", True, id="address"),
        pytest.param("the source said: a***@example.org is gone", True, id="masked_address"),
        pytest.param("stg_users: 1 rows break 'x'; first: [{'first_name': 'Ada'}]", True, id="name"),
        pytest.param("fct_listens: rows share values of (user_id, position); first: [(7, 1)]", True, id="key"),
        pytest.param("the source said: Adam is gone", False, id="another_name"),
        pytest.param(
            "fct_listens: rows share values of (user_id, position); first: [(70, 1)]", False, id="another_key"
        ),
        pytest.param("killed; what was committed stays", False, id="nobody"),
        pytest.param("erased: it spoke of a user who is forgotten", False, id="struck_already"),
    ],
)
def test_a_runs_message_is_struck_when_it_tells_of_the_user(message: str, is_theirs: bool):
    who = Person(7, emails=frozenset({"ada@example.org"}), names=frozenset({"Ada", "user"}))

    found = pl.DataFrame({"message": [message]}).select(who.trace(["run_id", "message"]).rows).item()

    assert found is is_theirs


def test_a_first_value_is_struck_by_its_record_and_where_that_was_pruned_by_its_like():
    who = Person(7, raw_ids=frozenset({"run-1"}), values=frozenset({'email:"Ada@example.org"', 'nick:"A"'}))
    rows = pl.DataFrame(
        [
            ("users", "email", "pruned", '"Ada@example.org"'),
            ("users", "city", "run-1", '"Paris"'),
            ("users", "initial", "pruned", '"A"'),
            ("listen_history", "user_id", "pruned", '"7"'),
            ("listen_history", "items", "pruned", "7"),
            ("tracks", "email", "pruned", '"Ada@example.org"'),
            ("users", "city", None, None),
        ],
        schema=["stream", "field", "first_raw_id", "first_value"],
        orient="row",
    )

    struck = rows.filter(who.trace(rows.columns).rows)

    assert struck.select("stream", "field").rows() == [
        ("users", "email"),
        ("users", "city"),
        ("listen_history", "user_id"),
    ]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(
            lambda root: (root / "marts/dim_users/_delta_log/00000000000000000000.json").unlink(),
            r"marts/dim_users/_delta_log: expected the commit of every version, .* version 0 has none\. Nothing",
            id="a_commit_is_gone",
        ),
        pytest.param(
            lambda root: next(root.glob("source/users/*.parquet")).write_bytes(b"PAR1PAR1"),
            r"expected [0-9]+ bytes, got 8\. It has to be restored or removed first\. Nothing was erased",
            id="a_file_is_cut_off",
        ),
        pytest.param(
            lambda root: scribbled_over(next(root.glob("marts/dim_users/*.parquet"))),
            r"marts/dim_users/.*parquet: expected a Parquet file, got: .* Nothing was erased",
            id="a_file_is_scribbled_over",
        ),
        pytest.param(
            lambda root: with_deletion_vector(root / "source/users/_delta_log/00000000000000000001.json"),
            r"expected a table as moovitamix writes it, got '.*parquet' with a deletion vector",
            id="deletion_vector",
        ),
    ],
)
def test_what_cannot_be_rewritten_is_told_before_anything_is_changed(small, new_pipeline, damage, message: str):
    pipeline = copied(small, new_pipeline)
    root = Path(pipeline.warehouse.root)
    damage(root)
    before = contents(root)

    with pytest.raises(WarehouseError, match=message):
        forget.plan(pipeline.warehouse, ID)

    assert contents(root) == before


def test_what_stands_in_the_way_of_a_build_is_told_before_anything_is_erased(small, new_pipeline, record: Line):
    pipeline = copied(small, new_pipeline)
    pipeline.land([record("users", {"id": number, **AT}) for number in (70, 71)])  # another universe of ids

    with pytest.raises(ApiReset):
        forget.forget(pipeline.warehouse, ID)

    assert forget.plan(pipeline.warehouse, ID).began_at is None
    assert pipeline.rows("dim_users")["user_id"].to_list() == [7, ID]


def test_the_change_feed_of_versions_before_keeps_what_others_lost(pipeline):
    warehouse, table = pipeline.warehouse, "source/t"
    warehouse.append(table, pl.DataFrame({"user_id": [1, 2, 9]}))
    warehouse.delete(table, pl.DataFrame({"user_id": [1, 9]}), {})

    erasure.erase(Path(warehouse.root), table, lambda _: Trace(pl.col("user_id") == 9))

    feed = pl.DataFrame(DeltaTable(warehouse.uri(table)).load_cdf(starting_version=0))
    assert sorted(feed.select("_commit_version", "_change_type", "user_id").rows()) == [
        (0, "insert", 1),
        (0, "insert", 2),
        (1, "delete", 1),
    ]


def test_on_an_object_store_nothing_is_begun():
    with pytest.raises(UsageError, match=r"expected a warehouse in a local folder.*got s3://bucket/house\. Nothing"):
        forget.plan(Warehouse("s3://bucket/house"), ID)


# -- looking ---------------------------------------------------------------------------------------------------------


def copied(pipeline, new_pipeline):
    """Another pipeline with a copy of the warehouse."""
    copy = new_pipeline()
    shutil.copytree(pipeline.warehouse.root, copy.warehouse.root)
    return copy


def rows_in_kept_builds(warehouse: Warehouse) -> dict[tuple[int, str], list[str]]:
    """The rows of each table as of each build, as sorted texts; a field's first value is a column to strike, no row."""
    found = {}
    for build in builds.every(warehouse):
        for name in build.tables:
            rows = (
                tables.scan(warehouse, name, build.tables).collect().drop("first_raw_id", "first_value", strict=False)
            )
            found[build.build_id, name] = sorted(json.dumps(row, default=str) for row in rows.to_dicts())
    return found


def others_in_kept_builds(warehouse: Warehouse) -> dict[tuple[int, str], list[str]]:
    found = rows_in_kept_builds(warehouse)
    return {key: [row for row in rows if not has_canary(row.encode())] for key, rows in found.items()}


def has_canary(content: bytes) -> bool:
    content = content.lower()
    return any(canary in content for canary in CANARIES)


def canaries(root: Path) -> Iterator[str]:
    """Every place in a folder in which the person is: a file's bytes or, where they are packed, a column of it."""
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name, content = path.relative_to(root).as_posix(), path.read_bytes()
        if has_canary(content) or has_canary(name.encode()):
            yield name
        if content[:4] == content[-4:] == b"PAR1":
            # By another reader than the one that wrote it: each value of each column, and what the footer tells.
            for what in (f"from read_parquet('{path}')", f"from parquet_metadata('{path}')"):
                rows = duckdb.sql(what)
                for column, values in zip(rows.columns, zip(*rows.fetchall(), strict=True), strict=False):
                    if has_canary(repr(values).encode()):
                        yield f"{name}: {column}"


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def scribbled_over(file: Path) -> None:
    file.write_bytes(b"x" * file.stat().st_size)


def with_deletion_vector(commit: Path) -> None:
    actions = [json.loads(line) for line in commit.read_text().splitlines()]
    for action in actions:
        if "add" in action:
            action["add"]["deletionVector"] = {"storageType": "u"}
    commit.write_text("".join(json.dumps(action) + "\n" for action in actions))
