"""A warehouse on an object store (moto's S3 server on loopback): as on a folder; of two writers the later one loses."""

import itertools
import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from moovitamix_transform import builds, load_table, sources
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.errors import WarehouseInUse
from moovitamix_transform.landing import Landing
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.warehouse import LAYOUT, Warehouse
from rich.console import Console

pytestmark = pytest.mark.system  # needs a server beside it

Line = Callable[..., bytes]
Command = Callable[..., Any]
PYTHON = Path(sys.executable)
MOOVITAMIX = PYTHON.with_name("moovitamix")
AT, LATER = "2026-01-05T10:00:00", "2026-01-06T10:00:00"
SERVER = Path(__file__).with_name("s3_server.py")  # delta-rs holds Python's lock while it waits for an answer
SECONDS = 60
NUMBERS = itertools.count()


@dataclass(frozen=True)
class Store:
    url: str

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> str:
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260105/us-east-1/s3/aws4_request", **headers}
        data = None if body is None else body.encode()
        url = self.url + quote(path, safe="/?=&")
        request = urllib.request.Request(url, data, signed, method=method)  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return str(answer.read().decode())

    @contextmanager
    def gate(self, pattern: str, skip: int = 0) -> Iterator[None]:
        """Holds the first request whose method and path match, after some that it lets pass."""
        self.ask("PUT", "/-/gate", f"{skip} {pattern}")
        try:
            yield
        finally:
            self.open_gate()

    def new_bucket(self) -> str:
        name = f"bucket-{next(NUMBERS)}"
        self.ask("PUT", f"/{name}")
        return f"s3://{name}"

    def copied(self, url: str) -> str:
        """The same objects in a bucket of their own."""
        source, _, prefix = url.removeprefix("s3://").partition("/")
        target = self.new_bucket().removeprefix("s3://")
        listed = self.ask("GET", f"/{source}?list-type=2&prefix={prefix}/")
        for key in re.findall("<Key>(.*?)</Key>", listed):
            self.ask("PUT", f"/{target}/{key}", **{"x-amz-copy-source": quote(f"/{source}/{key}")})
        return f"s3://{target}/{prefix}"

    def lose_the_answer(self, pattern: str) -> None:
        """The first request whose method and path match is done, and told as failed."""
        self.ask("PUT", "/-/loss", pattern)

    def until_held(self) -> None:
        self.ask("GET", "/-/gate")

    def open_gate(self) -> None:
        self.ask("DELETE", "/-/gate")


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with subprocess.Popen([PYTHON, SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Store(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        process.kill()


def set_credentials(patch: pytest.MonkeyPatch, store: Store) -> None:
    """The usual environment variables, and no file of the user's."""
    for name, value in {
        "AWS_ENDPOINT_URL": store.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "none",
        "AWS_SHARED_CREDENTIALS_FILE": "none",
    }.items():
        patch.setenv(name, value)


@pytest.fixture(autouse=True)
def _at_the_store(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_credentials(monkeypatch, store)
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def moovitamix(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """A command line in this process."""

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = run_command(list(arguments))
        return Done(code, *capsys.readouterr())

    return run


@contextmanager
def started(*arguments: str, program: Path = MOOVITAMIX) -> Iterator[subprocess.Popen[bytes]]:
    """A command line as a process of its own, with a pipe at each end."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([program, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def send(process: subprocess.Popen[bytes], *lines: bytes) -> None:
    """All its input."""
    assert process.stdin is not None
    process.stdin.write(b"".join(line + b"\n" for line in lines))
    process.stdin.close()
    process.stdin = None


def ended(process: subprocess.Popen[bytes], *lines: bytes) -> Done:
    """It is given these lines, its input ends, and so does it."""
    if process.stdin is not None:
        send(process, *lines)
    out, err = process.communicate(timeout=SECONDS)
    return Done(process.returncode, out.decode(), err.decode())


def has_begun(process: subprocess.Popen[bytes]) -> None:
    """A `land` shows a LOG once its read is open, and so has seen what there is."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b'{"type":"LOG","log":{"level":"INFO","message":"hello"}}\n')
    assert process.stderr.readline() == b"INFO hello\n"


def track(record: Line, *ids: int) -> list[bytes]:
    return [record("tracks", {"id": each, "name": f"track {each}", "created_at": AT, "updated_at": AT}) for each in ids]


def listen(record: Line, user_id: int, items: list[int], updated_at: str = AT) -> bytes:
    return record("listen_history", {"user_id": user_id, "items": items, "created_at": AT, "updated_at": updated_at})


def ids_landed(house: str, stream: str, field: str) -> list[tuple[int, int]]:
    """(generation, id) of each record of a source table."""
    rows = Warehouse(house).scan(f"source/{stream}").select("_airbyte_generation_id", "_airbyte_data").collect()
    return sorted((generation, json.loads(text)[field]) for generation, text in rows.iter_rows())


def assert_refused(done: Done, *parts: str) -> None:
    """Exit 1 and a message of one line that says all this."""
    assert done.code == 1, done
    message = done.err.splitlines()[-1]
    assert message.startswith("moovitamix: "), done.err
    for part in parts:
        assert part in message
    assert "Traceback" not in done.err
    assert "a defect" not in done.err


def assert_sound(moovitamix: Command, house: str) -> None:
    """The ledger adds up, each contract is kept, each build is there once."""
    checked = moovitamix("check", "--warehouse", house)
    assert checked.code == 0, checked.out + checked.err
    ids = [build.build_id for build in builds.every(Warehouse(house))]
    assert ids == list(range(len(ids), 0, -1))


def lines(record: Line, state: Line) -> tuple[list[bytes], list[bytes]]:
    """Twenty tracks and listens; then a track renamed, one gone, a record that counts nowhere, a listen corrected."""
    first = [*track(record, *range(1, 21)), *(listen(record, user, [1, user]) for user in range(1, 21))]
    renamed = record("tracks", {"id": 1, "name": "new", "created_at": AT, "updated_at": AT})
    second = [
        renamed,
        *track(record, *range(2, 20)),
        record("tracks", {"id": 1.5}),
        listen(record, 8, [9, 9, 9], LATER),
    ]
    return [*first, state("listen_history", "1")], [*second, state("listen_history", "2")]


def two_builds(pipeline, record: Line, state: Line):
    for name, said in zip(("one", "two"), lines(record, state), strict=True):
        pipeline.land(said, run_id=name)
        pipeline.build(name)
    return pipeline


@pytest.fixture(scope="module")
def folder(new_pipeline, record: Line, state: Line):
    """Two builds in a folder."""
    return two_builds(new_pipeline(), record, state)


@pytest.fixture(scope="module")
def built(store: Store, new_pipeline, record: Line, state: Line):
    """The same two builds on the store, under a prefix with a space in it; for reading only."""
    with pytest.MonkeyPatch.context() as patch:
        set_credentials(patch, store)
        return two_builds(replace(new_pipeline(), warehouse=Warehouse(store.new_bucket() + "/my house")), record, state)


@pytest.fixture
def house(store: Store) -> str:
    """The URL of a warehouse that is not there yet."""
    return f"{store.new_bucket()}/house"


@pytest.fixture
def on_store(new_pipeline, house: str):
    """The arrow by hand, as `pipeline`, on the store."""
    return replace(new_pipeline(), warehouse=Warehouse(house))


READERS = (
    ("show", "fct_listens", "--json"),
    ("show", "dim_tracks", "--as-of", "1", "--json"),
    ("show", "user_profiles", "--csv"),
    ("diff", "1", "2", "--json"),
    ("state",),
    ("quarantine", "show", "--json"),
    ("check", "--json"),
)


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_command_answers_from_a_store_as_from_a_folder(built, folder, moovitamix: Command, command: tuple[str, ...]):
    from_store = moovitamix(*command, "--warehouse", built.warehouse.root)

    assert from_store == moovitamix(*command, "--warehouse", folder.warehouse.root)
    assert from_store.code == 0, from_store.err


def test_builds_and_tables_are_listed_as_of_a_folder(built, folder, moovitamix: Command):
    listed = {}
    for each in (built, folder):
        published, there = (
            json.loads(moovitamix(command, "--json", "--warehouse", each.warehouse.root).out)
            for command in ("builds", "tables")
        )
        counts = [(row["build_id"], row["run_id"], row["new_version_count"]) for row in published]
        listed[each.warehouse.is_local] = counts, [(row["table"], row["rows"], row["build_id"]) for row in there]

    assert listed[False] == listed[True]


def test_run_on_a_store_is_a_process_like_any_other(house: str, moovitamix: Command, record: Line, tmp_path: Path):
    (tmp_path / "said").write_bytes(b"\n".join(track(record, 1, 2)))

    with started("run", "--source", "cat said", "--warehouse", house) as process:
        ran = ended(process)

    assert ran.code == 0, ran.err
    assert f"The warehouse is {house}. Every record is accounted for" in ran.out
    history = json.loads(moovitamix("history", "--json", "--warehouse", house).out)
    assert [(run["kind"], run["status"], run["build_id"]) for run in history] == [("run", "succeeded", 1)]
    assert load_table(house, "dim_tracks").collect()["track_id"].sort().to_list() == [1, 2]


def test_the_report_of_a_store_is_a_file_here_with_the_figures_of_a_folder(
    built, folder, moovitamix: Command, tmp_path: Path
):
    done = [
        moovitamix("report", "--out", f"{name}.html", "--warehouse", each.warehouse.root)
        for name, each in (("store", built), ("folder", folder))
    ]

    assert [each.code for each in done] == [0, 0], done[0].err
    assert done[0].err == "written: store.html\n"
    pages = {name: (tmp_path / f"{name}.html").read_text() for name in ("store", "folder")}
    assert built.warehouse.root in pages["store"]
    shown = {name: re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", page) for name, page in pages.items()}
    counts = [[cell for cell in cells if not re.fullmatch(r"[0-9]|[0-9-]{10} .*", cell)] for cells in shown.values()]
    assert "id_unreadable" in shown["store"]
    assert len(counts[0]) > 100
    assert counts[0] == counts[1], "but for the instants, and the versions, of which a store has one more"


def test_the_report_of_a_store_has_no_place_of_its_own(built, moovitamix: Command, tmp_path: Path):
    done = moovitamix("report", "--warehouse", built.warehouse.root)

    assert (done.code, done.out) == (2, "")
    assert f"expected --out FILE for a warehouse on an object store, {built.warehouse.root}, got none" in done.err
    assert list(tmp_path.rglob("*.html")) == []


@pytest.mark.parametrize("command", ["tables", "build"])
def test_an_empty_prefix_is_no_warehouse_and_stays_empty(house: str, moovitamix: Command, command: str):
    done = moovitamix(command, "--warehouse", house)

    assert_refused(done, f"{house}: expected a warehouse, found nothing; `moovitamix run` or `land` makes one")
    assert not Warehouse(house).exists("_meta/layout")


@pytest.mark.parametrize("command", [("tables",), ("run", "--source", "true")], ids=" ".join)
def test_a_newer_layout_is_refused(house: str, moovitamix: Command, command: tuple[str, ...]):
    Warehouse(house).append("_meta/layout", pl.DataFrame({"version": [LAYOUT + 1]}))

    done = moovitamix(*command, "--warehouse", house)

    assert_refused(done, f"expected layout {LAYOUT} at most, got {LAYOUT + 1}", "Nothing was changed")
    assert not Warehouse(house).exists("_meta/runs")


def test_of_two_lands_at_once_the_later_to_commit_loses_and_run_again_loses_nothing(
    on_store, house: str, moovitamix: Command, record: Line, state: Line
):
    done = []
    for is_first, cursor in ((True, "2026-01-20"), (False, "2026-01-22")):
        with started("land", "--warehouse", house) as one, started("land", "--warehouse", house) as other:
            for process in (one, other):
                has_begun(process)
            winner, loser = (one, other) if is_first else (other, one)
            won = ended(winner, *track(record, 1, 2), listen(record, 7, [1]), state("listen_history", cursor))
            lost = ended(loser, *track(record, 1, 3), listen(record, 8, [3]), state("listen_history", "2026-01-18"))
        done.append((won, lost, json.loads(sources.states(Warehouse(house))["listen_history"])["stream_state"]))
    with started("land", "--warehouse", house) as process:
        again = ended(process, *track(record, 1, 3), listen(record, 8, [3]), state("listen_history", "2026-01-23"))
    on_store.build()

    for (won, lost, committed), cursor in zip(done, ("2026-01-20", "2026-01-22"), strict=True):
        assert won.code == 0, won.err
        assert_refused(
            lost,
            f"{house}/source/tracks: could not append 2 rows: expected version ",
            " to be the newest, but another moovitamix command has committed version ",
            "What was committed before stays, this is not; run it again.",
        )
        assert lost.out == "", "expected no echo of a state that is not committed"
        assert committed == {"updated_at": cursor}, "expected the state of the newest records"
    assert again.code == 0, again.err
    assert ids_landed(house, "tracks", "id") == [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 3)]
    assert ids_landed(house, "listen_history", "user_id") == [(1, 7), (1, 7), (1, 8)]
    assert_sound(moovitamix, house)


def test_two_lands_that_put_the_same_commit_at_the_same_moment_are_told_apart_by_the_store(
    on_store, store: Store, house: str, record: Line
):
    on_store.land(track(record, 1))

    with store.gate("^PUT .*/source/tracks/_delta_log/"), started("land", "--warehouse", house) as held:
        send(held, *track(record, 1, 2))
        store.until_held()
        on_store.land(track(record, 1, 3))
        store.open_gate()
        lost = ended(held)

    assert_refused(lost, "/source/tracks: could not append 2 rows", "has committed version ", "run it again")
    assert ids_landed(house, "tracks", "id") == [(1, 1), (2, 1), (2, 3)]


@pytest.mark.parametrize("table", ["source/tracks", "source/_lines", "_meta/generations"])
def test_a_commit_whose_answer_is_lost_is_made_once(
    on_store, store: Store, house: str, moovitamix: Command, record: Line, table: str
):
    """The store has it; asked again, it says that another is there. Its transaction id tells that it is the same."""
    on_store.land([*track(record, 1), b"no line"])

    with started("land", "--warehouse", house) as process:
        has_begun(process)
        store.lose_the_answer(f"^PUT .*/{table}/_delta_log/")
        done = ended(process, *track(record, 1, 2), b"another", b'{"type": "RECORD"}')
    on_store.build()

    assert done.code == 0, done.err
    assert ids_landed(house, "tracks", "id") == [(1, 1), (2, 1), (2, 2)]
    assert on_store.warehouse.count("source/_lines") == 3
    assert on_store.warehouse.count("_meta/generations") == 2
    assert_sound(moovitamix, house)


def test_a_state_that_is_reset_while_its_stream_is_read_stays_reset(on_store, record: Line, state: Line):
    on_store.land([listen(record, 7, [1]), state("listen_history", "1")])
    sources.reset_state(on_store.warehouse, "listen_history")
    landing = Landing(on_store.warehouse, "run", RunProgress(Console(quiet=True), "ERROR"), lambda _: None)

    sources.reset_state(on_store.warehouse, "listen_history")
    with pytest.raises(WarehouseInUse):
        landing.read([b"\n".join([listen(record, 8, [1]), state("listen_history", "2")])])

    assert sources.states(on_store.warehouse) == {}


@pytest.mark.parametrize(
    ("held", "skip"),
    [
        pytest.param("_meta/builds", 0, id="about_to_publish"),
        pytest.param("marts/fct_listens", 0, id="at_a_table_on_the_way", marks=pytest.mark.soak),
        pytest.param("staging/base_listen_history", 0, id="at_its_first_table", marks=pytest.mark.soak),
        pytest.param("marts/user_profiles", 0, id="at_its_last_table", marks=pytest.mark.soak),
    ],
)
def test_of_two_builds_at_once_one_is_published_and_the_other_says_so(
    built, store: Store, moovitamix: Command, record: Line, held: str, skip: int
):
    house = store.copied(built.warehouse.root)
    replace(built, warehouse=Warehouse(house)).land([listen(record, 8, [5], "2026-01-07T00:00:00")])

    with store.gate(f"^PUT .*/{held}/_delta_log/", skip), started("build", "--warehouse", house) as process:
        store.until_held()
        published = moovitamix("build", "--warehouse", house)
        store.open_gate()
        lost = ended(process)
    again = moovitamix("build", "--warehouse", house)

    assert (published.code, again.code) == (0, 0), published.err + again.err
    assert_refused(lost, "meanwhile", "run it again")
    assert "Build 3 (nothing new, still the newest)" in again.out
    assert_sound(moovitamix, house)
    rows = load_table(house, "fct_listens").filter(pl.col("user_id") == 8).select("track_id", "position").collect()
    assert rows.rows() == [(5, 1)]
    assert load_table(house, "fct_listens").collect().height == 39


WRITES = {
    "replace": "house.replace('marts/made', 0, pl.DataFrame({'id': [1]}), pl.DataFrame({'id': [1], 'by': [by]}))",
    "overwrite": "house.overwrite('marts/made', pl.LazyFrame({'id': [1, 2], 'by': [by, '']}))",
    "first_overwrite": "house.overwrite('marts/new', pl.LazyFrame({'id': [1, 2], 'by': [by, '']}))",
    "publish": "builds.publish(house, builds.Build(1, by, datetime.now(UTC), 'polars', True, {}), {})",
}


@pytest.mark.parametrize(
    ("write", "table", "skip"),
    [
        pytest.param("replace", "marts/made", 1, id="between_the_two_commits_of_a_replacement"),
        pytest.param("overwrite", "marts/made", 0, id="a_table_that_is_there"),
        pytest.param("first_overwrite", "marts/new", 1, id="a_table_that_both_make"),
        pytest.param("publish", "_meta/builds", 1, id="a_first_build"),
    ],
)
def test_no_version_has_rows_of_two_writers(store: Store, house: str, write: str, table: str, skip: int):
    Warehouse(house).append("marts/made", pl.DataFrame({"id": [1, 2], "by": ["", ""]}))
    code = (
        "import sys; from datetime import UTC, datetime; import polars as pl; from moovitamix_transform import builds\n"
        "from moovitamix_transform.warehouse import Warehouse\nhouse, by = Warehouse(sys.argv[1]), sys.argv[2]\n"
    ) + WRITES[write]

    with store.gate(f"^PUT .*/{table}/_delta_log/", skip), started("-c", code, house, "held", program=PYTHON) as held:
        store.until_held()
        subprocess.run([PYTHON, "-c", code, house, "early"], check=True, timeout=SECONDS)
        store.open_gate()
        lost = ended(held)

    newest = Warehouse(house).scan(table).collect()
    assert lost.code == 1
    assert "errors.WarehouseInUse: " in lost.err.splitlines()[-1]
    assert newest["run_id" if write == "publish" else "by"].sort().to_list() in (["", "early"], ["early"])


@pytest.mark.soak
@pytest.mark.parametrize("held", ["_meta/builds", "staging/base_tracks", "staging/quarantine"])
def test_of_two_first_builds_at_once_one_is_published(
    on_store, store: Store, house: str, moovitamix: Command, record: Line, held: str
):
    on_store.land(track(record, 1, 2))

    with store.gate(f"^PUT .*/{held}/_delta_log/"), started("build", "--warehouse", house) as process:
        store.until_held()
        on_store.build()
        store.open_gate()
        lost = ended(process)

    assert_refused(lost, "meanwhile", "run it again")
    assert_sound(moovitamix, house)
    assert on_store.rows("base_tracks").height == 2


def test_a_build_during_a_landing_does_not_take_what_is_not_landed_yet_for_gone(
    on_store, store: Store, house: str, record: Line
):
    on_store.land(track(record, 1, 2))
    on_store.build()

    with store.gate("^GET .*/source/tracks/_delta_log/0+1.json"), started("build", "--warehouse", house) as process:
        store.until_held()
        on_store.land(track(record, 1, 2))
        store.open_gate()
        done = ended(process)

    assert done.code == 0, done.err
    assert on_store.rows("dim_tracks").select("track_id", "is_deleted").rows() == [(1, False), (2, False)]


def test_a_landing_during_a_prune_is_no_reason_to_put_back_what_was_pruned(
    on_store, store: Store, house: str, moovitamix: Command, record: Line
):
    """Between the removals from tracks and users: the tables have other rows then, for the landing's sake."""
    user = record("users", {"id": 7, "created_at": AT, "updated_at": AT})
    for _ in range(3):
        on_store.land([*track(record, 1, 2), user])
    on_store.build()
    prune = ("prune", "--keep", "0h", "--apply", "--json", "--warehouse", house)

    with store.gate("^PUT .*/source/users/_delta_log/"), started(*prune) as process:
        store.until_held()
        on_store.land(track(record, 1, 3))
        store.open_gate()
        done = ended(process)

    assert done.code == 0, done.err
    assert {stream: each["records"] for stream, each in json.loads(done.out)["streams"].items()} == {
        "tracks": 2,
        "users": 1,
        "listen_history": 0,
    }
    assert ids_landed(house, "tracks", "id") == [(1, 1), (1, 2), (3, 1), (3, 2), (4, 1), (4, 3)]
    assert ids_landed(house, "users", "id") == [(1, 7), (3, 7)]
    assert on_store.rows("dim_tracks").select("track_id", "is_deleted").rows() == [(1, False), (2, True), (3, False)]
    checked = moovitamix("check", "--warehouse", house)
    assert checked.code == 0, checked.out + checked.err


def test_wrong_credentials_are_told(house: str, moovitamix: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "WRONG")

    for command in (("tables",), ("run", "--source", "true")):
        done = moovitamix(*command, "--warehouse", house)
        assert_refused(done, f"{house}/_meta/layout: could not be looked for: ", "403 Forbidden")


@pytest.mark.parametrize("command", [("tables",), ("run", "--source", "true")], ids=" ".join)
def test_a_missing_bucket_is_told(moovitamix: Command, command: tuple[str, ...]):
    done = moovitamix(*command, "--warehouse", "s3://no-such-bucket/house")

    assert_refused(done, "s3://no-such-bucket/house", "NoSuchBucket")


@pytest.mark.parametrize("command", [("tables",), ("run", "--source", "true")], ids=" ".join)
def test_a_store_that_is_down_is_told_in_seconds(
    house: str, moovitamix: Command, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        began = time.monotonic()
        done = moovitamix(*command, "--warehouse", house)
        seconds = time.monotonic() - began

    assert_refused(done, f"{house}/_meta/layout: could not be looked for: ", "Connection refused")
    assert seconds < 15


def test_a_file_that_is_gone_from_the_store_is_told(on_store, store: Store, moovitamix: Command, record: Line):
    on_store.land(track(record, 1))
    on_store.build()
    root = on_store.warehouse.root
    for url in on_store.warehouse._table("marts/dim_tracks").file_uris():
        store.ask("DELETE", "/" + url.removeprefix("s3://"))

    shown = moovitamix("show", "dim_tracks", "--warehouse", root)
    as_of = moovitamix("show", "dim_tracks", "--as-of", "1", "--warehouse", root)
    checked = moovitamix("check", "--warehouse", root)

    assert_refused(shown, "dim_tracks")
    assert_refused(as_of, "dim_tracks")
    assert (checked.code, "contract   dim_tracks" in checked.out) == (1, True)


@pytest.mark.parametrize("url", ["s3://bucket/house", "az://container/house", "gs://bucket/house", "abfss://a@b/house"])
def test_the_url_of_any_store_is_taken_as_it_is(url: str):
    house = Warehouse(url)

    assert (house.root, house.is_local) == (url, False)


def test_a_file_url_is_a_folder(new_pipeline, moovitamix: Command, record: Line, tmp_path: Path):
    pipeline = replace(new_pipeline(), warehouse=Warehouse(f"{tmp_path.as_uri()}/my%20house"))
    pipeline.land(track(record, 1))
    pipeline.build()

    done = moovitamix("show", "dim_tracks", "--json", "--warehouse", f"{tmp_path.as_uri()}/my%20house")

    assert [row["track_id"] for row in json.loads(done.out)] == [1]
    assert (tmp_path / "my house/_meta/layout").is_dir()
