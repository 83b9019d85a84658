"""The transform beside its peers, on generated messages: `transform.py [--runs N] [--quick] [--only PART] [--rows N]`.

PART: land, build, day, api. A run of all sizes and parts writes TRANSFORM.md, any other prints its sections.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from processes import OURS, PEERS, REPOSITORY, Contender, alternate, apart, api, table

HERE = REPOSITORY / "bench"
RESULTS = HERE / "TRANSFORM.md"
SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
API_LISTS = 200_000
NOW = "2026-01-01T00:00:00"  # the library's start: as many listens as asked for, to the row
LARGEST_OF_PANDAS = 1_000_000
LARGEST_OF_DLT = 1_000_000
DAYS = (0.001, 0.01, 0.05)
BYTES_PER_LIST = 3000  # lines, landed, two builds, a peer's tables
WORK = object()  # stands for the folder of a contender

LANDING_BOUNDS = """\
What bounds it: one thread. Of the CPU seconds for 10⁶ messages about two fifths go into taking the envelopes apart
(msgspec, a block of 1 MiB at a time) and copying each record's text, a third into the commits, which nothing overlaps,
a sixth into the start of the process (polars, deltalake, narwhals). What would remove it: a commit written while the
next block is read, or a parser that hands out the texts as one Arrow column. DuckDB shows the floor; it stops at the
first line that is no JSON."""

BUILD_BOUNDS = """\
What bounds it: the cores, which are busy (two tables at a time take as long). Of the time for 5·10⁶ lists
`base_listen_history` takes a quarter, for each value is judged as text before it is cast; `user_track_interactions` a
fifth (32 million groups), `stg_listen_history` an eighth, `fct_listens` a tenth, `user_profiles` a fourteenth. An
eighth is what DuckDB's files do not get: each row is held against its contract as it is written, and all keys for being
unique (a sixteenth); fields that appear or vanish are looked for in every text (a twentieth); ledger and warnings are
counted. What would remove it: a Parquet writer that looks for no dictionary of what hardly repeats (a fourteenth of
the CPU seconds; delta-rs' can, and takes longer on one core), memory that is not given back to Linux and asked for
again (a tenth), without those proofs an eighth. Rows that lie by user would save as much as sorting them costs."""

DAY_BOUNDS = """\
What bounds it: what a day touches nearly everywhere. A hundredth of new lists is of a third of the users, and of
pairs in all files of `user_track_interactions`: of the time at 5·10⁶ lists that table takes a third, two thirds of it
to write all its files again (half of a MERGE); a third of `user_profiles` a sixth, `track_popularity` a sixteenth,
the keys' count of the ledger a twentieth: all grow with the total. The catalogue is read whole every day, and
`dim_*_history` is made of all its reads (a sixteenth). An eighth is the start of the process and a commit a table.
Parts by user would not help, since a day touches all of them. What would: deletion vectors, which delta-rs does not
write. A correction of an old list costs a read of the files that hold lists of its key."""

API_BOUNDS = """\
What bounds it: the connector, whose messages are landed as they come, on the other core. The build begins when the
last record has landed, for a build reads whole generations. What would remove it: what is under the connector's own
results (`RESULTS.md`), and `base_*` made while the source is read."""


@dataclass(frozen=True)
class Bench:
    """What the parts share: where they put their files, and how often each process runs."""

    folder: Path
    runs: int

    def lines(self, lists: int, day: float | None = None) -> Path:
        """The messages of a first read, or of the day after it with this share of new lists."""
        file = self.folder / f"{lists}-{day or 'first'}.jsonl"
        if not file.exists():
            share = [] if day is None else ["--day", day]
            apart(OURS / "python", HERE / "generate.py", file, "--lists", lists, *share)
        return file

    def landed(self, lists: int) -> Path:
        """A warehouse with a first read in its source tables, not built."""
        warehouse = self.folder / f"{lists}-landed"
        if not warehouse.exists():
            _land(warehouse, self.lines(lists))
        return warehouse

    def built(self, lists: int) -> Path:
        warehouse = self.folder / f"{lists}-built"
        if not warehouse.exists():
            copy(self.landed(lists), warehouse)
            apart(OURS / "moovitamix", "build", "--json", "--warehouse", warehouse)
        return warehouse

    def next_day(self, lists: int, day: float) -> Path:
        """A built warehouse in whose source tables the next day has landed."""
        warehouse = self.folder / f"{lists}-{day}"
        if not warehouse.exists():
            copy(self.built(lists), warehouse)
            _land(warehouse, self.lines(lists, day))
        return warehouse

    def ours(self, command: str, *options: str, begin_with: Path | None = None, stdin: Path | None = None) -> Contender:
        """`moovitamix COMMAND` on a warehouse that is the same in each run: a copy, or none yet."""
        work = self._new_folder()
        words = [str(OURS / "moovitamix"), command, "--warehouse", str(work), *options]
        name = " ".join(["moovitamix", command, *options[:1]])
        return Contender(name, words, stdin=stdin, prepare=lambda: copy(begin_with, work))

    def peer(self, name: str, script: str, *arguments: object, begin_with: Path | None = None) -> Contender:
        """A script in the peers' environment; WORK among its arguments is a folder that is the same in each run."""
        work = self._new_folder()
        words = [str(work if word is WORK else word) for word in arguments]
        return Contender(
            name, [str(PEERS / "python"), str(HERE / script), *words], prepare=lambda: copy(begin_with, work)
        )

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.folder))


def copy(folder: Path | None, to: Path) -> None:
    """By hard links, for what is in the files of a table never changes; of nothing, an empty folder."""
    shutil.rmtree(to, ignore_errors=True)
    if folder is None:
        to.mkdir()
    else:
        shutil.copytree(folder, to, copy_function=os.link)


def _land(warehouse: Path, lines: Path) -> None:
    apart("/bin/sh", "-c", f"exec '{OURS}/moovitamix' land --warehouse '{warehouse}' < '{lines}' > {os.devnull}")


def landing(bench: Bench, lists: int) -> str:
    """Lines → committed rows."""
    lines = bench.lines(lists)
    mine = bench.ours("land", stdin=lines)
    contenders = [mine, bench.peer("DuckDB, lines → Parquet", "builders/duckdb_builder.py", WORK, "land", lines)]
    if lists <= LARGEST_OF_DLT:
        contenders.append(bench.peer("dlt, lines → Parquet", "landers/dlt_lander.py", WORK, lines))
    alternate(contenders, bench.runs)
    messages = _count_lines(lines)
    return (
        f"### {messages:,} messages, {lines.stat().st_size / 1e6:,.0f} MB\n\n{table(contenders, mine)}\n\n"
        f"{messages / mine.median_seconds:,.0f} messages a second."
    )


def full_build(bench: Bench, lists: int) -> str:
    """Landed rows → every table, from nothing. The peers' tables are compared with ours first."""
    lines, landed = bench.lines(lists), bench.folder / f"{lists}-duckdb"
    script = "builders/duckdb_builder.py"
    landed.mkdir()
    apart(PEERS / "python", HERE / script, landed, "land", lines)
    mine = bench.ours("build", begin_with=bench.landed(lists))
    contenders = [
        mine,
        bench.peer("DuckDB, landed Parquet → Parquet", script, WORK, "build", begin_with=landed),
        bench.peer("DuckDB, lines → Parquet", script, WORK, "land,build", lines),
    ]
    if lists <= LARGEST_OF_PANDAS:
        contenders.append(bench.peer("pandas, lines → Parquet", "builders/pandas_builder.py", WORK, lines))
    for peer in contenders[1:]:
        peer.prepare()
        apart(*peer.command)
        apart(OURS / "python", HERE / "same_rows.py", bench.built(lists), peer.command[2])
    alternate(contenders, bench.runs)
    return f"### {lists:,} lists, about {10 * lists:,} rows of fct_listens\n\n{table(contenders, mine)}"


def day(bench: Bench, lists: int) -> str:
    """What a day costs to land and to build, beside the full build of the same, for several shares of new lists."""
    rows = [
        f"### {lists:,} lists before",
        "",
        "| new lists | land, s | build, s | CPU s | peak MB | build --full-refresh, s | part of it |",
        "|---|---|---|---|---|---|---|",
    ]
    for share in DAYS:
        landed = bench.next_day(lists, share)
        land = bench.ours("land", begin_with=bench.built(lists), stdin=bench.lines(lists, share))
        mine = bench.ours("build", begin_with=landed)
        full = bench.ours("build", "--full-refresh", begin_with=landed)
        alternate([land, mine, full], bench.runs)
        rows.append(
            f"| {share:.1%}: {max(round(lists * share), 1):,} | {land.median_seconds:.2f} | {mine.median_seconds:.2f} "
            f"| {median(mine.cpu_seconds):.2f} | {mine.median_bytes / 1e6:.0f} | {full.median_seconds:.2f} "
            f"| {mine.median_seconds / full.median_seconds:.2f} |"
        )
    return "\n".join(rows)


def from_api(bench: Bench, lists: int) -> str:
    """API → built tables, beside dlt, which only lands the listens."""
    with api("--listens", str(lists), "--now", NOW) as url:
        mine = bench.ours("run", "--api-url", url)
        contenders = [mine, bench.peer("dlt, API → Parquet", "readers/dlt_reader.py", url, WORK, "parquet")]
        alternate(contenders, bench.runs)
    mine.name = "moovitamix run: sync, land, build"
    return f"### {lists:,} lists\n\n{table(contenders, mine)}"


def _count_lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b""))


@dataclass(frozen=True)
class Part:
    title: str
    section: Callable[[Bench, int], str]
    sizes: tuple[int, ...]
    bounds: str  # what bounds it, and what would remove that


PARTS = {
    "land": Part("Landing: lines → committed rows", landing, SIZES, LANDING_BOUNDS),
    "build": Part("The full build: landed rows → every table", full_build, SIZES, BUILD_BOUNDS),
    "day": Part("A day: the build of what is new", day, SIZES[1:], DAY_BOUNDS),
    "api": Part("From the API to built tables", from_api, (API_LISTS,), API_BOUNDS),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--quick", action="store_true", help="a hundredth of the rows")
    options.add_argument("--only", choices=PARTS, help="one part")
    options.add_argument("--rows", type=int, nargs="+", help="these numbers of lists")
    given = options.parse_args()
    parts = [PARTS[given.only]] if given.only else list(PARTS.values())
    sizes = [given.rows or [size // (100 if given.quick else 1) for size in part.sizes] for part in parts]
    is_whole = not (given.quick or given.only or given.rows)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _require_space(folder, max(map(max, sizes)))
        bench = Bench(Path(folder), given.runs)
        text = _head()
        for part, lists in zip(parts, sizes, strict=True):
            section = "\n\n".join([f"## {part.title}", *(part.section(bench, each) for each in lists), part.bounds])
            sys.stdout.write(f"{section}\n\n")  # as soon as it is known: the whole takes an hour
            sys.stdout.flush()
            text += f"\n{section}\n"
    if is_whole:
        RESULTS.write_text(text)
        sys.stdout.write(f"written: {RESULTS.relative_to(REPOSITORY)}\n")


def _require_space(folder: str, lists: int) -> None:
    needed, free = lists * BYTES_PER_LIST, shutil.disk_usage(folder).free
    if free < needed:
        raise SystemExit(f"{folder}: expected {needed / 1e9:.1f} GB free for {lists:,} lists, got {free / 1e9:.1f} GB")


def _head() -> str:
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    packages = f"polars {version('polars')}, deltalake {version('deltalake')}"
    return (
        f"# The transform beside its peers\n\n{datetime.now(UTC):%Y-%m-%d}, {machine}, {packages}; messages of a "
        "made-up library (`generate.py`), whole processes in turns, medians (least–most). `make bench`.\n"
    )


if __name__ == "__main__":
    main()
