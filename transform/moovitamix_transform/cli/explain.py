"""`explain`: where one key went."""

from collections import Counter
from typing import Annotated

import typer

from moovitamix_transform.cli.options import DEFAULT_WAREHOUSE, WarehouseOption, consoles, reading
from moovitamix_transform.cli.output import print_object, print_table, tell_of_more_than
from moovitamix_transform.explain import Explanation
from moovitamix_transform.explain import explain as run_explain
from moovitamix_transform.graph import models

EXAMPLE = "Example: moovitamix explain listen_history 7,2026-11-24T12:00:00"
SHOWN_ROWS = 5


def explain(
    stream: Annotated[str, typer.Argument(help="tracks, users or listen_history.")],
    key: Annotated[str, typer.Argument(help="An id; of listen_history USER_ID,CREATED_AT.")],
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what became of every record with a key, and which rows were made of it. Exit 1 when there is none."""
    found = run_explain(reading(warehouse), stream, key)
    if as_json:
        print_object(vars(found))
    else:
        _tell(found)
    if not found.found:
        raise typer.Exit(1)


def _tell(found: Explanation) -> None:
    out = consoles().out
    if not found.found:
        consoles().err.print(
            f"{found.stream} {found.key}: expected a record with this key, the newest build has none; those whose key "
            f"cannot be read are shown by `moovitamix quarantine show --stream {found.stream}`",
            soft_wrap=True,
        )
        return
    outcomes = Counter(record["outcome"] for record in found.records)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    rows = [{**record, "rules": ", ".join(record["rules"]) or None} for record in found.records]
    columns = ("raw_id", "run_id", "extracted_at", "generation_id", "outcome", "rules")
    print_table(rows, columns, title=f"{found.stream} {found.key}: {_counted(len(rows), 'record')}, {counts}")
    for table, made in found.rows.items():
        out.print()
        if made:
            title = f"{table}: {_counted(len(made), 'row')}. {models()[table].grain}"
            print_table(made[:SHOWN_ROWS], list(made[0]), title=title)
            tell_of_more_than(min(len(made), SHOWN_ROWS), len(made))
        else:
            out.print(f"{table}: no row{_why(found, table)}", soft_wrap=True)


def _why(found: Explanation, table: str) -> str:
    if table == "quarantine":
        return ": no record breaks a rule"
    if all(record["outcome"] == "quarantined" for record in found.records):
        rules = dict.fromkeys(rule for record in found.records for rule in record["rules"])
        return f": every record with this key is quarantined ({', '.join(rules)})"
    if table == "fct_listens" or not found.rows.get("fct_listens", [True]):
        return ": the record that counts has no plays"
    return ": nobody listened to it" if found.stream == "tracks" else ""


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
