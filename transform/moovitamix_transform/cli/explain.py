"""`explain`: where one key went."""

from collections import Counter
from typing import Annotated

import typer

from moovitamix_transform.cli.options import DEFAULT_WAREHOUSE, LimitOption, WarehouseOption, consoles, reading
from moovitamix_transform.cli.output import print_object, print_table, tell_of_more_than
from moovitamix_transform.explain import Explanation
from moovitamix_transform.explain import explain as run_explain
from moovitamix_transform.graph import models
from moovitamix_transform.wording import counted

EXAMPLE = "Example: moovitamix explain listen_history 7,2026-11-24T12:00:00"
PERSON_ROWS = 5  # of each table


def explain(
    stream: Annotated[str, typer.Argument(metavar="STREAM", help="tracks, users or listen_history.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="An id; of listen_history USER_ID,CREATED_AT.")],
    limit: LimitOption = None,
    warehouse: WarehouseOption = DEFAULT_WAREHOUSE,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Say what became of every record with a key. Which rows were made of it, too; exit 1 when there is none.

    Rows are those made of this stream's records: who listened to a track is in listen_history.
    """
    found = run_explain(reading(warehouse), stream, key)
    if as_json:
        rows = {table: made[:limit] for table, made in found.rows.items()}
        print_object({**vars(found), "rows": rows})
    else:
        _tell(found, PERSON_ROWS if limit is None else limit)
    if not found.found:
        raise typer.Exit(1)


def _tell(found: Explanation, shown: int) -> None:
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
    print_table(rows, columns, title=f"{found.stream} {found.key}: {counted(len(rows), 'record')}, {counts}")
    for table, made in found.rows.items():
        out.print()
        if made:
            title = f"{table}: {counted(len(made), 'row')}. {models()[table].grain}"
            print_table(made[:shown], list(made[0]), title=title)
            tell_of_more_than(min(len(made), shown), len(made))
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
