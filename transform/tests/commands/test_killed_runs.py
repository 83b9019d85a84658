"""Law 3: SIGKILL at any moment of a run, and again, and again; the tables end as if nobody had ever killed anything."""

import inspect
import itertools
import json
import random
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
from moovitamix_transform import builds, load_table, sources
from moovitamix_transform.errors import NoWarehouse
from moovitamix_transform.graph import MARTS, SOURCES, models
from moovitamix_transform.warehouse import Warehouse

Start = Callable[..., subprocess.Popen[str]]
Command = Callable[..., Any]

SEED = 20261124
KILLS_A_SYNC = 7


def listens(syncs: int) -> Iterator[dict[str, object]]:
    """What users listened to up to a sync, by updated_at: sixty lists, then three new ones and a correction each."""

    def at(minute: int) -> str:
        return f"2026-01-{1 + minute // 1440:02}T{minute // 60 % 24:02}:{minute % 60:02}:00"

    for user in range(60):
        yield {"user_id": user, "items": [3, user % 7], "created_at": at(user), "updated_at": at(user)}
    for sync in range(2, syncs + 1):
        for more in range(3):
            when = at(sync * 100 + more)
            yield {"user_id": (sync * 10 + more) % 60, "items": [sync, more], "created_at": when, "updated_at": when}
        when = at(sync * 100 + 3)
        yield {"user_id": sync % 60, "items": [sync, 5, 5], "created_at": at(sync % 60), "updated_at": when}


# Full-refresh streams in which each sync loses a key, gains one and renames one; listens from the state's cursor on.
BODY = f"""
from collections.abc import Iterator
{inspect.getsource(listens)}
sync = int(open("sync").read())
print(os.getpid(), file=open("pids", "a"))

def record(stream, **data):
    say(type="RECORD", record={{"stream": stream, "data": data, "emitted_at": 1767607200000 + sync * 60_000}})

for id in range(sync, sync + 30):
    track(id, name=f"track {{id}}, sync {{sync if id == sync + 9 else 0}}")
for id in range(60):
    user(id, last_name=f"{{sync if id == sync + 9 else 0}}")

states = json.load(open(sys.argv[1]))
cursor = "".join(each["stream"]["stream_state"]["updated_at"] for each in states)
for number, each in enumerate(listens(sync)):
    if each["updated_at"] > cursor:
        record("listen_history", **each)
        if number % 20 == 0:
            state("listen_history", updated_at=each["updated_at"])
state("listen_history", updated_at=each["updated_at"])
for stream in ("tracks", "users", "listen_history"):
    status(stream, "COMPLETE")
"""


@dataclass(frozen=True)
class Moment:
    """When to kill: so many seconds after the start, or as soon as a table has so many more commits."""

    seconds: float | None = None
    table: str = ""
    commits: int = 0


# A sync's moments go through them in this order. Without a build before, every table is written; later ones only where
# something is new: nothing is quarantined, and once a build is published its sync has no more listens.
WRITTEN_FIRST = ("staging/quarantine", "source/listen_history", "staging/base_users", "staging/stg_users")
WRITTEN_AGAIN = (
    *("marts/fct_listens", "staging/base_listen_history", "marts/dim_tracks_history", "marts/user_track_interactions"),
    *("staging/stg_listen_history", "marts/dim_users_history", "marts/track_popularity", "staging/stg_tracks"),
    *("marts/user_profiles", "marts/dim_tracks", "staging/base_tracks", "marts/dim_users", "_meta/builds"),
)
BESIDE = ("source/tracks", "source/users", "_meta/generations", "_meta/fields", "_meta/runs")


def moments(count: int, length: float) -> list[Moment]:
    """Two of five drawn uniformly over the length of a run, the others at a commit of each table in turn."""
    chance = random.Random(SEED)
    tables = (*WRITTEN_FIRST, *WRITTEN_AGAIN, *BESIDE)
    commits = itertools.cycle(Moment(table=table, commits=number) for number in (1, 2) for table in tables)
    drawn = iter(lambda: Moment(seconds=chance.uniform(0, length)), None)
    return [next(drawn) if number % 5 in (1, 3) else next(commits) for number in range(count)]


def commits(table: str) -> int:
    return len(list(Path("warehouse", table, "_delta_log").glob("*.json")))


def kill_at(run: subprocess.Popen[str], moment: Moment) -> bool:
    """Whether the moment came before the run's end; its process is gone in either case."""
    before = commits(moment.table)
    end = time.monotonic() + (60 if moment.seconds is None else moment.seconds)
    while (
        run.poll() is None
        and time.monotonic() < end
        and not (moment.table and commits(moment.table) >= before + moment.commits)
    ):
        time.sleep(0.005)
    is_killed = run.poll() is None
    run.kill()
    _, err = run.communicate(timeout=20)
    assert is_killed or run.returncode == 0, f"expected a killed or a good run, got {run.returncode}: {err}"
    return is_killed


@dataclass(frozen=True)
class Look:
    """A build as it was found: its row, the rows of each of its tables by their logs, and the listens read in four."""

    build: builds.Build
    rows: dict[str, int]
    listens: tuple[int, ...]


@dataclass
class Reader:
    """Looks at the newest build again and again, as a notebook does that is open all day."""

    seen: dict[int, Look] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def look(self) -> None:
        try:
            house = Warehouse("warehouse").open()
            newest = builds.newest(house)
        except NoWarehouse:
            newest = None
        if newest is None:
            if self.seen:
                self.wrong.append(f"expected build {max(self.seen)} or a later one, found none")
            return
        number = newest.build_id
        paths = {name: sources.path(name) for name in SOURCES} | {name: each.path for name, each in models().items()}
        rows = {name: house.count(path, newest.tables[name]) for name, path in paths.items()}
        fct = load_table("warehouse", "fct_listens", number).select(pl.len())
        counted = [
            load_table("warehouse", name, number).select(pl.col("listen_count").sum())
            for name in ("user_track_interactions", "track_popularity", "user_profiles")
        ]
        found = Look(newest, rows, tuple(frame.item() for frame in pl.collect_all([fct, *counted])))
        if {*found.listens} != {rows["fct_listens"]}:
            self.wrong.append(f"build {number}: expected as many listens in each table, got {found}")
        if self.seen.setdefault(number, found) != found:
            self.wrong.append(f"build {number}: expected {self.seen[number]} as before, got {found}")
        if number < max(self.seen):
            self.wrong.append(f"expected build {max(self.seen)} or a later one, got {number}")


@contextmanager
def reading() -> Iterator[Reader]:
    reader, is_over = Reader(), threading.Event()

    def look_until_the_end() -> None:
        while not is_over.wait(0.5):
            try:
                reader.look()
            except Exception as error:
                reader.wrong.append(f"expected the rows of a build, got {type(error).__name__}: {error}")

    thread = threading.Thread(target=look_until_the_end)
    thread.start()
    try:
        yield reader
    finally:
        is_over.set()
        thread.join()


def uncovered(syncs: int) -> list[dict[str, object]]:
    """The listens that the committed state says are read, but that have not landed."""
    house = Warehouse("warehouse")
    if not house.exists("source/listen_history"):
        return []
    state = sources.states(house).get("listen_history")
    cursor = json.loads(state)["stream_state"]["updated_at"] if state else ""
    landed = set(house.scan("source/listen_history").collect()["_airbyte_data"])
    return [each for each in listens(syncs) if str(each["updated_at"]) <= cursor and json.dumps(each) not in landed]


def all_marts(root: str) -> dict[str, pl.DataFrame]:
    return {name: load_table(root, name).collect().sort(pl.all()) for name in MARTS}


def is_running(script: str, pid: str) -> bool:
    """In an hour a busy machine gives each pid to others: it is ours while it runs our script."""
    try:
        return script in psutil.Process(int(pid)).cmdline()
    except psutil.Error:
        return False


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(20, id="20_kills", marks=pytest.mark.timeout(600)),
        pytest.param(300, id="300_kills", marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
def test_law_3_a_run_killed_at_any_moment_and_run_again_ends_as_an_undisturbed_one(
    start: Start,
    source: Command,
    until: Command,
    moovitamix: Command,
    history: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kills: int,
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # a killed process leaves its files of the source there
    command = source(BODY) + " {state}"
    Path("sync").write_text("1")
    started = time.monotonic()
    undisturbed = start("run", "--source", command, "--warehouse", "undisturbed")
    _, err = undisturbed.communicate(timeout=60)
    length = time.monotonic() - started
    assert undisturbed.returncode == 0, err
    plan = moments(2 * kills, length)
    sync, done = 1, 0
    unkilled = {each.path for each in models().values()}
    missed: list[Moment] = []

    with reading() as reader:
        while done < kills or unkilled:
            planned = missed + plan[(sync - 1) * KILLS_A_SYNC : sync * KILLS_A_SYNC]
            assert planned, f"expected a kill at a commit of each table, got none at one of {unkilled}"
            missed = []
            for moment in planned:
                run = start("run", "--source", command)
                if kill_at(run, moment):
                    done += 1
                    unkilled.discard(moment.table)
                elif moment.table in unkilled:
                    missed.append(moment)
                assert uncovered(sync) == [], f"after {moment}: expected each listen that the state covers"
            again = moovitamix("run", "--source", command)
            assert again.code == 0, again.err
            if done < kills or unkilled:
                sync += 1
                Path("sync").write_text(str(sync))
                whole = moovitamix("run", "--source", command, "--warehouse", "undisturbed")
                assert whole.code == 0, whole.err

    assert reader.wrong == []
    assert len(reader.seen) >= sync
    expected = all_marts("undisturbed")
    for name, rows in all_marts("warehouse").items():
        assert rows.equals(expected[name]), f"{name}: expected the rows of the undisturbed warehouse"
    checked = moovitamix("check")
    assert checked.code == 0, checked.out
    assert {each["status"] for each in history("warehouse")} == {"interrupted", "succeeded"}
    script, pids = shlex.split(command)[1], Path("pids").read_text().split()
    until(lambda: not any(is_running(script, pid) for pid in pids), "the end of every source that was started", 5)
