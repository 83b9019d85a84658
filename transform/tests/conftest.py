"""A warehouse in tmp_path, what lands in it, and what is built of it: real tables, in this process."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from moovitamix_transform import builds, ledger, runs, sources
from moovitamix_transform.build import BuildResult, OnDrift, build
from moovitamix_transform.engines.spark import session
from moovitamix_transform.errors import EngineFailed
from moovitamix_transform.landing import Landing
from moovitamix_transform.tables import scan
from moovitamix_transform.warehouse import Warehouse

S3_FOLDER = Path(__file__).with_name("s3_folder.py")
EMITTED_AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@dataclass
class Pipeline:
    """The arrow by hand: `land` some lines, `build`, look at `rows`."""

    warehouse: Warehouse
    echoed: list[bytes] = field(default_factory=list)

    def land(
        self,
        *batches: list[bytes],
        full_refresh: frozenset[str] = frozenset(),
        failure: str | None = None,
        is_killed: bool = False,
        run_id: str | None = None,
    ) -> Landing:
        """One read. Each batch is committed before the next one comes.

        Args:
            failure: what is known of the source's end once its last line is read.
            is_killed: the last batch is committed, but the read does not come to its end.
        """
        with self.warehouse.writing():
            sources.make_missing(self.warehouse)
            landing = Landing(self.warehouse, run_id or runs.new_run_id(), _Silent(), self.echoed.append, full_refresh)
            for batch in batches:
                landing.read([b"\n".join(batch) + b"\n"])
            if is_killed:
                return landing
            landing.finish(failure)
            ledger.of_run(self.warehouse, landing.run_id, landing.received)
        return landing

    def build(self, run_id: str = "by-hand", *, full_refresh: bool = False, on_drift: OnDrift = "warn") -> BuildResult:
        with self.warehouse.writing():
            return build(self.warehouse, run_id, full_refresh=full_refresh, on_drift=on_drift)

    def build_locked(self) -> BuildResult:
        """A build by who holds the lock already."""
        return build(self.warehouse, "by-hand")

    def rows(self, table: str) -> pl.DataFrame:
        """A table of the newest build, sorted by every column that can be sorted by."""
        newest = builds.newest(self.warehouse)
        assert newest is not None, "nothing is built yet"
        found = scan(self.warehouse, table, newest.tables).collect()
        return found.sort([name for name, dtype in found.schema.items() if not dtype.is_nested()], maintain_order=True)

    def texts(self, stream: str) -> list[str]:
        """The records of a source table as they came, in their order."""
        return self.landed(stream)["_airbyte_data"].to_list()

    def landed(self, stream: str) -> pl.DataFrame:
        return self.warehouse.scan(sources.path(stream)).sort("_airbyte_raw_id").collect()

    def generations(self) -> list[tuple[str, int, bool, int]]:
        """(stream, generation, is complete, unreadable lines), in the order of the reads."""
        rows = self.warehouse.scan("_meta/generations").sort("started_at", maintain_order=True)
        is_complete = pl.col("completed_at").is_not_null()
        return rows.select("stream", "generation_id", is_complete, "unreadable_count").collect().rows()

    def cursors(self) -> dict[str, str]:
        """The committed states' cursors, of states made by `state`."""
        states = sources.states(self.warehouse)
        return {stream: json.loads(text)["stream_state"]["updated_at"] for stream, text in states.items()}


class _Silent:
    def received(self, counts: Counter[str | None]) -> None: ...

    def estimate(self, stream: str, rows: int) -> None: ...

    def log(self, level: str, message: str) -> None: ...

    def failed(self) -> None: ...


@pytest.fixture(scope="session")
def new_pipeline(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Pipeline]:
    """A pipeline with an empty warehouse, as often as it is called: for properties, which make several."""
    return lambda: Pipeline(Warehouse(str(tmp_path_factory.mktemp("pipeline") / "warehouse")))


@pytest.fixture
def pipeline(new_pipeline: Callable[[], Pipeline]) -> Pipeline:
    return new_pipeline()


@pytest.fixture(scope="session")
def record() -> Callable[..., bytes]:
    """A RECORD's line: `record("tracks", {"id": 7})`. Data given as a text goes into it as it is."""

    def line(stream: str, data: dict[str, object] | str, emitted_at: int = EMITTED_AT) -> bytes:
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        return f'{{"type":"RECORD","record":{{"stream":"{stream}","data":{text},"emitted_at":{emitted_at}}}}}'.encode()

    return line


@pytest.fixture(scope="session")
def state() -> Callable[..., bytes]:
    """A STATE's line: `state("users", "2026-01-01", record_count=2)`."""

    def line(stream: str, cursor: str, record_count: float | None = None) -> bytes:
        of_stream = {"stream_descriptor": {"name": stream}, "stream_state": {"updated_at": cursor}}
        stats = {} if record_count is None else {"sourceStats": {"recordCount": record_count}}
        return json.dumps({"type": "STATE", "state": {"type": "STREAM", "stream": of_stream, **stats}}).encode()

    return line


@pytest.fixture(scope="session")
def status() -> Callable[..., bytes]:
    """A stream status' line: `status("users", "COMPLETE")`."""

    def line(stream: str, status: str, emitted_at: float = EMITTED_AT) -> bytes:
        of_stream = {"stream_descriptor": {"name": stream}, "status": status}
        trace = {"type": "STREAM_STATUS", "emitted_at": emitted_at, "stream_status": of_stream}
        return json.dumps({"type": "TRACE", "trace": trace}).encode()

    return line


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that is the bucket `songs` of an S3 server on loopback: its objects are the files in it."""
    folder = tmp_path / "store" / "songs"
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, S3_FOLDER, folder.parent], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.stdout.readline().strip()}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "canary-key",
            "AWS_SECRET_ACCESS_KEY": "canary-secret",
            "AWS_SESSION_TOKEN": "canary-token",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            monkeypatch.setenv(name, value)
        yield folder
        server.kill()


# Nothing in the tests has more than a few rows: what makes a large table fast costs seconds a plan.
SMALL = {
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory):
    """A session of Spark in this process, for tables of a few rows."""
    pytest.importorskip("pyspark", reason="make test-system installs it")
    try:
        session.require_spark("local[1]")
    except EngineFailed as error:
        pytest.skip(str(error))
    with session.started("local[1]", Warehouse(str(tmp_path_factory.mktemp("spark"))), SMALL) as started:
        yield started
