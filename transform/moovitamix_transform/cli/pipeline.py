"""`run`, `land` and `build`: the arrow, and its two halves."""

import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from moovitamix_transform import connector
from moovitamix_transform import run as runner
from moovitamix_transform.build import BuildResult
from moovitamix_transform.cli import summary
from moovitamix_transform.cli.echo import echo_state
from moovitamix_transform.cli.options import (
    DEFAULT_WAREHOUSE,
    STRICT_EXIT,
    LogLevelOption,
    SettingsOption,
    StrictOption,
    WarehouseOption,
    consoles,
)
from moovitamix_transform.engines.spark import spark_engine
from moovitamix_transform.errors import UsageError
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.runs import Run
from moovitamix_transform.streams import STREAMS
from moovitamix_transform.warehouse import Warehouse

RUN_EXAMPLE = "Example: moovitamix run --api-url http://127.0.0.1:8000"
LAND_EXAMPLE = """\b
Example: python source-moovitamix/main.py read --config config.json | moovitamix land
Example: moovitamix land --from 'airbyte/*/*.jsonl.gz'"""
BUILD_EXAMPLE = "Example: moovitamix build --full-refresh"

OnDriftOption = Annotated[
    Literal["warn", "fail"],
    typer.Option(help="When fields of the API appear or vanish: tell it, or build nothing and exit 1."),
]
JsonObjectOption = Annotated[bool, typer.Option("--json", help="The run as one JSON object, as `_meta/runs` has it.")]


def run(
    api_url: Annotated[str | None, typer.Option(help="Base URL of the API, read by our connector.")] = None,
    config: Annotated[Path | None, typer.Option(help="Our connector's config: a JSON file with api_url, …")] = None,
    source: Annotated[
        str | None,
        typer.Option(
            help="Any command that speaks the Airbyte protocol, run without a shell; "
            "{config}, {catalog}, {state} in it are replaced by file paths."
        ),
    ] = None,
    full_refresh: Annotated[
        str | None,
        typer.Option(metavar="[STREAM]", help="Read whole, as a new generation; alone: every stream."),
    ] = None,
    on_drift: OnDriftOption = "warn",
    accept_reset: Annotated[
        bool,
        typer.Option(
            "--accept-reset", help="The client's API began anew: read everything whole, begin the tables anew with it."
        ),
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option("--allow-empty", help="A stream that had records may have none: its keys then count as gone."),
    ] = False,
    settings: SettingsOption = None,
    strict: StrictOption = False,
    log_level: LogLevelOption = "WARN",
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: JsonObjectOption = False,
) -> None:
    """Sync the source and build every table, from the last state on."""
    chosen = connector.source_of(api_url, config, source)
    streams = _full_refresh(full_refresh, "run")
    from moovitamix_transform.alarms.settings import load  # pydantic: the other commands start sooner without it

    limits = load(settings)
    progress = RunProgress(consoles().err, log_level, page_rows=chosen.page_rows, secrets=chosen.secrets)
    with progress.shown():
        made, result = runner.sync_and_build(
            Warehouse(warehouse),
            chosen,
            progress,
            full_refresh=streams,
            on_drift=on_drift,
            accept_reset=accept_reset,
            allow_empty=allow_empty,
            settings=limits,
        )
    _report(Warehouse(warehouse), made, result, limits.warnings.accept, as_json)
    _require_no_warning(made, limits.warnings.accept, strict)


def land(
    full_refresh: Annotated[
        str | None,
        typer.Option(metavar="STREAM", help="This read of an incremental stream is whole: a new generation."),
    ] = None,
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="GLOB|URL",
            help="No messages, but files that an Airbyte destination wrote: .jsonl, .jsonl.gz, .parquet. Each is "
            "landed once; may be given several times.",
        ),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --from: the files' stream, where their folder is not named after it."),
    ] = None,
    accept_reset: Annotated[
        bool,
        typer.Option(
            "--accept-reset",
            help="With --from: the client's API began anew; begin the tables anew with what came since.",
        ),
    ] = False,
    log_level: LogLevelOption = "INFO",
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
) -> None:
    """Land Airbyte messages or a destination's files.

    The messages come from stdin; each STATE is echoed once its records are committed. With --from it lands files that
    an Airbyte destination wrote.
    """
    if from_:
        _land_files(from_, stream, full_refresh, warehouse, accept_reset=accept_reset)
        return
    if stream is not None:
        raise UsageError("land --stream: expected --from beside it; messages name their streams themselves")
    if accept_reset:
        raise UsageError(
            "land --accept-reset: expected --from beside it; of messages, `run --accept-reset` accepts one"
        )
    if sys.stdin is None or sys.stdin.isatty():
        got = "a terminal" if sys.stdin else "a closed stdin"
        raise UsageError(f"land: expected Airbyte messages on stdin, got {got}")
    streams = _full_refresh(full_refresh, "land")
    progress = RunProgress(consoles().err, log_level)
    with _ledger_told(warehouse) as ended, progress.shown():
        run = runner.land(
            Warehouse(warehouse), sys.stdin.fileno(), progress, echo_state, full_refresh=streams, ended=ended.append
        )
    if not any(entry.received for entry in run.streams):
        consoles().err.print("note: expected Airbyte messages with records, none came", soft_wrap=True)


@contextmanager
def _ledger_told(warehouse: str) -> Iterator[list[Run]]:
    """The ledger of the run that ends in the block is told after its progress, and before what it failed of."""
    ended: list[Run] = []
    try:
        yield ended
    finally:
        for run in ended:
            if run.streams:
                summary.print_landing(Warehouse(warehouse), run, consoles().err)


def _land_files(
    names: list[str], stream: str | None, full_refresh: str | None, warehouse: str, *, accept_reset: bool
) -> None:
    if full_refresh is not None:
        raise UsageError("land --from: expected no --full-refresh: the files say which generation each record is of")
    progress = RunProgress(consoles().err, "INFO")
    with _ledger_told(warehouse) as ended, progress.shown():
        _, landing = runner.land_files(
            Warehouse(warehouse), names, progress, stream=stream, accept_reset=accept_reset, ended=ended.append
        )
    err = consoles().err
    for name, count in landing.changed.items():
        if count:
            err.print(
                f"{name}: Airbyte had nulled or cut values of {count:,} records before it wrote them; the files' "
                "_airbyte_meta says which",
                soft_wrap=True,
            )
    for name, urls in landing.held_back.items():
        for url in urls:
            err.print(
                f"{name}: {url} landed in part, so that its generation shows of no key that it is gone; name it again, "
                "or the next generation shows it",
                soft_wrap=True,
            )
    if landing.landed_before:
        files = "1 file was" if landing.landed_before == 1 else f"{landing.landed_before:,} files were"
        err.print(f"{files} landed before: each is landed once")


def build(
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Compute every table anew.")] = False,
    on_drift: OnDriftOption = "warn",
    engine: Annotated[
        Literal["polars", "spark"],
        typer.Option(help="Where the tables are computed: on this machine, or on a cluster (the extra `spark`)."),
    ] = "polars",
    master: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="With --engine spark: spark://HOST:PORT, yarn, …; by default this machine, local[*]."
        ),
    ] = None,
    conf: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="With --engine spark: a setting of Spark's; may be given repeatedly."),
    ] = None,
    settings: SettingsOption = None,
    strict: StrictOption = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: JsonObjectOption = False,
) -> None:
    """Build every table from what has landed. All are published together."""
    house = Warehouse(warehouse)
    from moovitamix_transform.alarms.settings import load  # as in `run`

    accepted = load(settings).warnings.accept
    of_spark = _settings_of_spark(conf or [])
    progress = RunProgress(consoles().err, "WARN")
    with progress.shown():
        if engine == "polars":
            if master is not None or conf:
                raise UsageError("build --master and --conf: expected --engine spark beside them")
            made, result = runner.build_only(house, progress, full_refresh=full_refresh, on_drift=on_drift)
        else:
            with spark_engine(house.open(), master or "local[*]", of_spark) as on_spark:
                made, result = runner.build_only(
                    house, progress, full_refresh=full_refresh, on_drift=on_drift, engine=on_spark
                )
    _report(Warehouse(warehouse), made, result, accepted, as_json)
    _require_no_warning(made, accepted, strict)


def _settings_of_spark(given: list[str]) -> dict[str, str]:
    odd = [each for each in given if not re.fullmatch(r"spark\.[^=\s]+=.*", each)]
    if odd:
        name = odd[0].partition("=")[0]  # the value may be a secret
        raise UsageError(f"build --conf: expected NAME=VALUE with a name such as spark.executor.memory, got {name!r}")
    return dict(each.split("=", 1) for each in given)


def _report(warehouse: Warehouse, run: Run, result: BuildResult, accepted: Collection[str], as_json: bool) -> None:
    if as_json:
        summary.print_run(run)
        summary.print_quarantined(warehouse, run, consoles().err)
        summary.print_notices(result.notices, consoles().err)
    else:
        summary.print_summary(warehouse, run, result, accepted)


def _require_no_warning(run: Run, accepted: Collection[str], strict: bool) -> None:
    if strict and (run.alarms or any(each.count for each in run.warnings if each.name not in accepted)):
        raise typer.Exit(STRICT_EXIT)


def _full_refresh(value: str | None, command: str) -> frozenset[str]:
    if value is None:
        return frozenset()
    if value == "all":
        return frozenset(STREAMS)
    if value not in STREAMS:
        raise UsageError(f"{command} --full-refresh: expected one of {', '.join(STREAMS)}, got {value!r}")
    return frozenset({value})
