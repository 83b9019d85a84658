"""The commands put together, and how an error becomes a message and an exit code."""

import io
import os
import signal
import sys
import traceback
from contextlib import suppress
from importlib.metadata import version
from types import FrameType
from typing import Annotated

import typer

from moovitamix_transform.cli import (
    SIGNALS,
    builds,
    check,
    explain,
    forget,
    graph,
    history,
    pipeline,
    prune,
    quarantine,
    report,
    schedule,
    state,
    tables,
    usage,
)
from moovitamix_transform.cli.invocation import NAME
from moovitamix_transform.cli.options import consoles, help_without_command
from moovitamix_transform.errors import MoovitamixError, first_line
from moovitamix_transform.masking import mask

app = typer.Typer(
    name=NAME,
    help="From the MooVitamix API to tables one can trust.",
    epilog="Example: moovitamix run --api-url http://127.0.0.1:8000",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
app.command("run", epilog=pipeline.RUN_EXAMPLE)(pipeline.run)
app.command("land", epilog=pipeline.LAND_EXAMPLE)(pipeline.land)
app.command("build", epilog=pipeline.BUILD_EXAMPLE)(pipeline.build)
app.command("tables", epilog=tables.TABLES_EXAMPLE)(tables.tables)
app.command("show", epilog=tables.SHOW_EXAMPLE)(tables.show)
app.command("builds", epilog=builds.BUILDS_EXAMPLE)(builds.builds)
app.command("diff", epilog=builds.DIFF_EXAMPLE)(builds.diff)
app.command("explain", epilog=explain.EXAMPLE)(explain.explain)
app.command("check", epilog=check.EXAMPLE)(check.check)
app.command("graph", epilog=graph.EXAMPLE)(graph.graph)
app.command("report", epilog=report.EXAMPLE)(report.report)
app.command("schedule", epilog=schedule.EXAMPLE)(schedule.schedule)
app.command("prune", epilog=prune.EXAMPLE)(prune.prune)
app.command("forget", epilog=forget.EXAMPLE)(forget.forget)
app.add_typer(history.app, name="history")
app.add_typer(state.app, name="state")
app.add_typer(quarantine.app, name="quarantine")


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"moovitamix {version('moovitamix')}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    show_traceback: Annotated[
        bool, typer.Option("--traceback", envvar="MOOVITAMIX_TRACEBACK", help="Show where in the code an error began.")
    ] = False,
) -> None:
    if show_traceback:
        os.environ["MOOVITAMIX_TRACEBACK"] = "1"
    help_without_command(context)


def run_and_exit() -> None:
    """The command line. Exit codes: 0 done, 1 failed, 2 usage, 3 a warning or an alarm under --strict."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # the tables' marks and the data's names, in any locale
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """One command line to its exit code. Every error becomes a message on stderr."""
    try:
        result = app(with_optional_values(arguments), prog_name=NAME, standalone_mode=False)
    except typer.Exit as exit_:
        return int(exit_.exit_code)
    except MoovitamixError as error:
        return _tell(str(error), error.exit_code)
    except KeyboardInterrupt:
        result = _INTERRUPTED
    except SystemExit:  # how rich and click leave when stdout is closed: whoever read it, as `head` does, had enough
        return 0
    except OSError as error:
        return _tell(
            f"{error.filename or 'the operating system'}: {error.strerror}" if error.strerror else first_line(error), 1
        )
    except Exception as error:
        if not hasattr(error, "format_message"):  # click's own errors have it
            return _tell(f"a defect of moovitamix: {type(error).__name__}: {error}; see it with --traceback", 1)
        return _tell(usage.message(error), int(getattr(error, "exit_code", 2)))
    if result == _INTERRUPTED:
        return _tell("interrupted; what was committed stays, the next run goes on from there", 1)
    return int(result or 0)


_INTERRUPTED = 130  # what typer makes of a KeyboardInterrupt in a command


def _tell(message: str, code: int) -> int:
    if os.environ.get("MOOVITAMIX_TRACEBACK") and sys.exc_info()[0] is not None:
        traceback.print_exc()
    with suppress(OSError):  # a closed terminal: there is nobody to tell
        consoles().err.print(f"moovitamix: {mask(message)}", soft_wrap=True)
    return code


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def with_optional_values(arguments: list[str]) -> list[str]:
    """`run --full-refresh` may stand alone or name a stream; the parser knows options with a value only."""
    if "run" not in arguments[:2] or "--full-refresh" not in arguments:
        return arguments
    at = arguments.index("--full-refresh")
    following = arguments[at + 1 : at + 2]
    if following and not following[0].startswith("-"):
        return arguments
    return [*arguments[: at + 1], "all", *arguments[at + 1 :]]
