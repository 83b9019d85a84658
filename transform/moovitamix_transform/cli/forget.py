"""`forget`: one person out of everything."""

import sys
from typing import Annotated

import typer

from moovitamix_transform.cli.options import DEFAULT_WAREHOUSE, WarehouseOption, consoles
from moovitamix_transform.cli.output import print_object, print_table, shown
from moovitamix_transform.erasing import forget as eraser
from moovitamix_transform.erasing.forget import Plan, TableTraces
from moovitamix_transform.errors import UsageError
from moovitamix_transform.progress import RunProgress
from moovitamix_transform.warehouse import Warehouse

EXAMPLE = "Example: moovitamix forget users 4711 --yes"
_STREAM = "users"
_COLUMNS = ("table", "rows", "copies", "files")


def forget(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="users: only a person can be forgotten.")],
    user_id: Annotated[int, typer.Argument(metavar="ID", help="The user's id in the API.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask: it cannot be undone.")] = False,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Erase one person from everything, for good.

    From source tables, marts, kept builds, quarantine and lines. It cannot be undone.
    """
    if stream != _STREAM:
        raise UsageError(f"forget: expected {_STREAM}, got {stream!r}: only a person can be forgotten")
    house = Warehouse(warehouse)
    planned = eraser.plan(house, user_id)
    _tell_of_unfinished(planned)
    if not yes and not _is_confirmed(planned, user_id):
        consoles().err.print("Nothing was changed.")
        raise typer.Exit(1)
    progress = RunProgress(consoles().err, "WARN")
    with progress.shown():
        done = eraser.forget(house, user_id, progress.step)
    for notice in done.notices:
        consoles().err.print(notice, soft_wrap=True)
    if as_json:
        print_object(
            {"stream": stream, "user_id": user_id, "build_id": done.build_id, "tables": list(map(vars, done.tables))}
        )
        return
    _print(done.tables, f"Erased of user {user_id}")
    consoles().out.print(f"\nBuild {done.build_id} and all kept builds before it are without them.")


def _print(tables: list[TableTraces], title: str) -> None:
    title = f"{title}: rows of the newest build, and their copies in the files of all versions"
    print_table([vars(each) for each in tables], _COLUMNS, title=title)


def _is_confirmed(planned: Plan, user_id: int) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        counts = ", ".join(f"{each.table} {each.rows:,} ({each.copies:,})" for each in planned.tables)
        raise UsageError(
            f"forget users {user_id}: expected --yes, or a terminal to ask on: it cannot be undone. It would erase "
            f"rows (their copies in the files of all versions): {counts or 'what an unfinished forget left'}. "
            "Nothing was changed."
        )
    _print(planned.tables, f"Of user {user_id} there are")
    try:
        return typer.confirm("\nErase them for good?", err=True)
    except typer.Abort:
        return False


def _tell_of_unfinished(planned: Plan) -> None:
    err = consoles().err
    if planned.began_at:
        at = shown("began_at", planned.began_at)
        err.print(f"A forget of this user was begun at {at} and not finished: this finishes it.", soft_wrap=True)
    for began_at in planned.others_began_at:
        err.print(
            f"A forget of another user was begun at {shown('began_at', began_at)} and not finished: the same command "
            "with that user's id finishes it.",
            soft_wrap=True,
        )
