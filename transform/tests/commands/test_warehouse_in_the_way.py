"""What may be wrong with the place the tables live in: each a message, none a traceback, nothing half changed."""

import ctypes
import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from moovitamix_transform.errors import UsageError
from moovitamix_transform.warehouse import LAYOUT, Warehouse

Command = Callable[..., Any]
READERS = (["tables"], ["show", "fct_listens"], ["state"], ["quarantine", "list"], ["check"])
WRITERS = (["run", "--source", "true"], ["build"])


def refused(done: Any, message: str) -> None:  # noqa: ANN401 - the conftest's Done
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert len(done.err.splitlines()) == 1, f"expected one line, got {done.err}"


@pytest.mark.parametrize("command", [*READERS, ["build"]], ids=" ".join)
def test_without_a_warehouse_a_command_says_what_makes_one_and_makes_none(moovitamix: Command, command: list[str]):
    done = moovitamix(*command)

    refused(done, "warehouse: expected a warehouse, found nothing; `moovitamix run` or `land` makes one")
    assert not Path("warehouse").exists()


@pytest.mark.parametrize("command", [*READERS, *WRITERS], ids=" ".join)
def test_a_folder_with_other_files_is_left_alone(moovitamix: Command, command: list[str]):
    Path("photos").mkdir()
    Path("photos/cat.jpg").write_text("cat")

    done = moovitamix(*command, "--warehouse", "photos")

    refused(done, "photos: expected a")
    assert [path.name for path in Path("photos").iterdir()] == ["cat.jpg"]


@pytest.mark.parametrize("command", [*READERS, *WRITERS], ids=" ".join)
def test_a_file_is_no_warehouse(moovitamix: Command, command: list[str]):
    Path("notes").write_text("text")

    done = moovitamix(*command, "--warehouse", "notes")

    refused(done, "notes: expected a")
    assert Path("notes").read_text() == "text"


@pytest.mark.parametrize("command", [*READERS, *WRITERS], ids=" ".join)
def test_a_newer_layout_is_refused_and_untouched(moovitamix: Command, command: list[str]):
    newer = pl.DataFrame({"version": [LAYOUT + 1]})
    Warehouse("warehouse").append("_meta/layout", newer)

    done = moovitamix(*command)

    refused(done, f"expected layout {LAYOUT} at most, got {LAYOUT + 1}")
    assert "was written by a newer moovitamix" in done.err
    assert {path.name for path in Path("warehouse").iterdir()} <= {"_meta", ".lock"}


def test_what_the_first_moments_of_a_killed_first_run_leave_is_an_empty_warehouse(moovitamix: Command):
    Path("warehouse/_meta/layout/_delta_log").mkdir(parents=True)
    Path("warehouse/.lock").touch()

    done = moovitamix("run", "--source", "true")

    assert done.code == 0, done.err


def test_an_environment_variable_names_the_warehouse(moovitamix: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOOVITAMIX_WAREHOUSE", "elsewhere")

    done = moovitamix("run", "--source", "true")

    assert done.code == 0, done.err
    assert Path("elsewhere/_meta/layout").is_dir()
    assert "--warehouse" not in done.out, "the suggested commands see the variable too"


@pytest.mark.parametrize(
    ("given", "root"),
    [
        pytest.param("file:///tmp/my%20house", "/tmp/my house", id="file_url"),  # noqa: S108 - only a name
        pytest.param("house/", "house", id="slash"),
        pytest.param("/", "/", id="root"),
        pytest.param("s3://bucket/house/", "s3://bucket/house", id="object_store"),
    ],
)
def test_a_warehouse_is_named_by_a_path_or_a_url(given: str, root: str):
    warehouse = Warehouse(given)

    assert warehouse.root == root
    assert warehouse.is_local == ("s3" not in given)


def test_an_empty_name_is_no_warehouse():
    with pytest.raises(UsageError, match="got an empty text"):
        Warehouse("")


def test_an_endpoint_that_is_no_url_is_told_and_not_asked(moovitamix: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "127.0.0.1:9000")

    done = moovitamix("tables", "--warehouse", "s3://bucket/house")

    assert (done.code, done.out) == (2, "")
    assert (
        done.err == "moovitamix: AWS_ENDPOINT_URL: expected a URL such as http://127.0.0.1:9000, got '127.0.0.1:9000'\n"
    )


def test_a_path_with_spaces_and_marks_is_a_warehouse_like_any_other(moovitamix: Command):
    root = "my house #1 é?&"

    made = moovitamix("run", "--source", "true", "--warehouse", root)
    listed = moovitamix("tables", "--json", "--warehouse", root)

    assert (made.code, listed.code) == (0, 0), made.err
    assert f"moovitamix tables --warehouse '{root}'" in made.out


@pytest.mark.parametrize("mark", ["%41", "[1]"])
def test_a_path_that_delta_rs_garbles_is_refused_before_anything_is_written(moovitamix: Command, mark: str):
    done = moovitamix("run", "--source", "true", "--warehouse", f"house{mark}")

    assert done.code == 2
    assert "expected a path without any of % [ ]" in done.err
    assert list(Path().iterdir()) == []


def without_overriding_rights() -> None:
    """In the child, before its program: root, too, may write only where the folder's mode lets it."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def test_a_read_only_warehouse_can_be_read_and_says_so_to_who_writes(
    moovitamix: Command, start: Callable[..., subprocess.Popen[str]], source: Command
):
    moovitamix("run", "--source", source("sync()"))
    everything = [path for path in Path("warehouse").rglob("*") if path.is_dir()]
    for path in [*Path("warehouse").rglob("*"), Path("warehouse")]:
        path.chmod(path.stat().st_mode & ~0o222)

    build = start("build", preexec_fn=without_overriding_rights)
    _, build_err = build.communicate(timeout=30)
    show = start("show", "dim_tracks", "--json", preexec_fn=without_overriding_rights)
    rows, show_err = show.communicate(timeout=30)
    for path in [Path("warehouse"), *everything]:
        path.chmod(0o755)  # pytest removes old folders

    assert build.returncode == 1
    assert "warehouse: could not be opened for writing: [Errno 13] Permission denied" in build_err
    assert "Traceback" not in build_err
    assert show.returncode == 0, show_err
    assert sorted(row["track_id"] for row in json.loads(rows)) == [1, 2]


def with_files_of_192_kb_at_most() -> None:
    """In the child: what a full disk is to a program, an error of write(2). What coverage writes of it is smaller."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (192 * 1024, 192 * 1024))


def test_a_full_disk_is_a_message_and_what_was_committed_stays_readable(
    moovitamix: Command, start: Callable[..., subprocess.Popen[str]], source: Command, history: Command
):
    moovitamix("run", "--source", source("sync()"))
    # Random letters: parquet would make a repeated one small.
    noise = (
        "import random\nfor id in range(3, 300): track(id, name=''.join(random.choices('abcdefghijklmnop', k=2000)))"
    )

    run = start("run", "--source", source(noise), preexec_fn=with_files_of_192_kb_at_most)
    out, err = run.communicate(timeout=60)
    rows = moovitamix("show", "dim_tracks", "--json")
    again = moovitamix("run", "--source", source("sync()"))

    assert (run.returncode, out) == (1, "")
    message = err.splitlines()[-1]
    assert message.startswith("moovitamix: warehouse/source/tracks: could not append 297 rows: ")
    assert message.endswith("File too large (os error 27). What was committed before stays.")
    assert "Traceback" not in err
    assert sorted(row["track_id"] for row in json.loads(rows.out)) == [1, 2]
    assert again.code == 0, again.err
    assert [each["status"] for each in history("warehouse")] == ["succeeded", "failed", "succeeded"]


@pytest.mark.parametrize("command", ["run", "build"])
def test_a_run_that_cannot_read_the_states_is_recorded_as_failed(
    moovitamix: Command, source: Command, history: Command, command: str
):
    assert moovitamix("run", "--source", source("sync()")).code == 0
    newest = max(Path("warehouse/source/listen_history/_delta_log").glob("*.json"))
    newest.write_text("cut off")

    done = moovitamix("run", "--source", source("sync()")) if command == "run" else moovitamix("build")

    assert done.code == 1
    assert "listen_history" in done.err
    assert [(each["kind"], each["status"]) for each in history("warehouse")] == [
        ("run", "succeeded"),
        (command, "failed"),
    ]
