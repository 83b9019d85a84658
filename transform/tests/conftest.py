"""A warehouse in tmp_path, what lands in it, and what is built of it: real tables, in this process."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl
import pytest
from moovitamix_transform import builds, ledger, runs, sources
from moovitamix_transform.build import BuildResult, build, scan
from moovitamix_transform.landing import Landing
from moovitamix_transform.warehouse import Warehouse

EMITTED_AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@dataclass
class Pipeline:
    """The arrow by hand: `land` some lines, `build`, look at `rows`."""

    warehouse: Warehouse
    echoed: list[bytes] = field(default_factory=list)

    def land(self, *batches: list[bytes], full_refresh: frozenset[str] = frozenset()) -> Landing:
        """One read. Each batch is committed before the next one comes."""
        with self.warehouse.writing():
            sources.make_missing(self.warehouse)
            landing = Landing(self.warehouse, runs.new_run_id(), _Silent(), self.echoed.append, full_refresh)
            for batch in batches:
                landing.read([b"\n".join(batch) + b"\n"])
            landing.finish()
            ledger.of_run(self.warehouse, landing.run_id, landing.received)
        return landing

    def build(self, run_id: str = "by-hand", *, full_refresh: bool = False) -> BuildResult:
        with self.warehouse.writing():
            return build(self.warehouse, run_id, full_refresh=full_refresh)

    def rows(self, table: str) -> pl.DataFrame:
        """A table of the newest build, sorted by every column that can be sorted by."""
        newest = builds.newest(self.warehouse)
        assert newest is not None, "nothing is built yet"
        found = scan(self.warehouse, table, newest.tables).collect()
        return found.sort([name for name, dtype in found.schema.items() if not dtype.is_nested()], maintain_order=True)


class _Silent:
    def received(self, counts: Counter[str | None]) -> None: ...

    def estimate(self, stream: str, rows: int) -> None: ...

    def log(self, level: str, message: str) -> None: ...


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
