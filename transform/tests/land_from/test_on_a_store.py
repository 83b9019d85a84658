"""`land --from s3://…`: files on an object store, moto's S3 server on loopback, land as those in a folder."""

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from moovitamix_transform.cli.app import run_command
from moovitamix_transform.warehouse import Warehouse

pytestmark = pytest.mark.system  # needs a server beside it

BUCKET = "lake"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Its URL."""
    command = [sys.executable, Path(__file__).parents[1] / "s3_server.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


@pytest.fixture(autouse=True)
def _credentials(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The usual environment variables, and no file of the user's."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "none",
        "AWS_SHARED_CREDENTIALS_FILE": "none",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def land(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """`moovitamix land --from`: its exit code, and what it says."""

    def run(*names: str, warehouse: str = "warehouse") -> tuple[int, str]:
        capsys.readouterr()
        code = run_command(["land", *(word for name in names for word in ("--from", name)), "--warehouse", warehouse])
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def put(server: str) -> Callable[[str, bytes], None]:
    """Writes an object of BUCKET, also over one that is there."""
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    return lambda path, content: client.put_object(Bucket=BUCKET, Key=path, Body=content)


def row(number: int) -> dict[str, Any]:
    return {
        "_airbyte_raw_id": f"raw-{number}",
        "_airbyte_extracted_at": 1_767_225_600_123,
        "_airbyte_generation_id": 1,
        "id": number,
    }


def line(number: int) -> bytes:
    return json.dumps(row(number)).encode() + b"\n"


def parquet(number: int, path: Path) -> bytes:
    extracted_at = pl.col("_airbyte_extracted_at").cast(pl.Datetime("ms", "UTC"))
    pl.DataFrame([row(number)]).with_columns(extracted_at).write_parquet(path)
    return path.read_bytes()


def texts(warehouse: str, stream: str) -> list[str]:
    return sorted(Warehouse(warehouse).scan(f"source/{stream}").collect()["_airbyte_data"])


@pytest.mark.parametrize("warehouse", ["warehouse", f"s3://{BUCKET}/my house"])
def test_files_on_a_store_land_once_as_those_in_a_folder(
    put: Callable[[str, bytes], None], land: Callable[..., tuple[int, str]], tmp_path: Path, warehouse: str
):
    put("air byte/users/2026_1_1_1_0.jsonl", line(1) + line(2))
    put("air byte/users/2026_1_1_1_1.jsonl.gz", gzip.compress(line(3)))
    put("air byte/users/day=2/2026_1_2_1_0.parquet", parquet(4, tmp_path / "file"))

    first = land(f"s3://{BUCKET}/air byte/**", warehouse=warehouse)
    again = land(f"s3://{BUCKET}/air byte/users/*.jsonl", f"s3://{BUCKET}/air byte/*/*/*", warehouse=warehouse)

    assert first[0] == 0, first[1]
    assert "users: 4 received, 4 landed, 0 quarantined lines\n" in first[1]
    assert again[0] == 0, again[1]
    assert "2 files were landed before: each is landed once\n" in again[1]
    assert texts(warehouse, "users") == ['{"id":1}', '{"id":2}', '{"id":3}', '{"id":4}']
    files = Warehouse(warehouse).scan("_meta/files").sort("url").select("url", "stream", "size", "row_count").collect()
    assert files.row(0) == (f"s3://{BUCKET}/air byte/users/2026_1_1_1_0.jsonl", "users", len(line(1) + line(2)), 2)


def test_an_object_that_has_another_size_now_is_refused(
    put: Callable[[str, bytes], None], land: Callable[..., tuple[int, str]]
):
    put("changed/tracks/1.jsonl", line(1))
    land(f"s3://{BUCKET}/changed/tracks/1.jsonl")
    put("changed/tracks/1.jsonl", line(1) + line(2))

    code, told = land(f"s3://{BUCKET}/changed/tracks/1.jsonl")

    assert code == 1
    assert f"s3://{BUCKET}/changed/tracks/1.jsonl: expected it as run" in told
    assert texts("warehouse", "tracks") == ['{"id":1}']


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param(f"s3://{BUCKET}/nothing/users/*.jsonl", "expected files, none matches", id="nothing_matches"),
        pytest.param(f"s3://{BUCKET}/nothing/users/1.jsonl", "expected files, none matches", id="not_there"),
        pytest.param("s3://no-bucket/users/*.jsonl", "expected to list it, got: ", id="no_bucket"),
    ],
)
def test_a_name_that_leads_nowhere_is_told(
    put: Callable[[str, bytes], None], land: Callable[..., tuple[int, str]], name: str, message: str
):
    put("something/else", b"")

    code, told = land(name)

    assert code == 1
    assert told.startswith(f"moovitamix: land --from {name}: {message}")
    assert told.endswith(". Nothing was landed\n")


@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL"])
@pytest.mark.parametrize("file", ["*.jsonl", "1.jsonl"])
def test_a_store_that_refuses_or_does_not_answer_is_told_in_seconds(
    land: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, variable: str, file: str
):
    name = f"s3://{variable.lower().replace('_', '-')}/users/{file}"  # Polars keeps a bucket's connection
    monkeypatch.setenv(variable, {"AWS_ACCESS_KEY_ID": "WRONG", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}[variable])
    started = time.monotonic()

    code, told = land(name)

    assert code == 1, told
    assert f"land --from {name}: expected to " in told
    assert "Traceback" not in told
    assert time.monotonic() - started < 25
