"""The page: figures, charts and texts put into the template, everything escaped that is not ours."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from moovitamix_transform import dictionary, lineage
from moovitamix_transform.report import charts, null_rates
from moovitamix_transform.report.figures import Figures
from moovitamix_transform.report.flow import flows

_HERE = Path(__file__).parent
_RUNS = 50
_UNITS = (("day", timedelta(days=1)), ("hour", timedelta(hours=1)), ("minute", timedelta(minutes=1)))


def html(figures: Figures, libraries: str) -> str:
    """One file, with nothing in it that is fetched.

    Args:
        libraries: Vega and what belongs to it, as `bundle` gives it.
    """
    environment = Environment(loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.filters |= {"shown": _shown, "iso": _iso, "age": lambda at: _age(figures.made_at - at)}
    return environment.get_template("page.html.j2").render(
        figures=figures,
        runs=figures.runs[:_RUNS],
        flows=flows(figures.read_by, figures.counted_by),
        parts=_parts(figures),
        charts=_charts(figures),
        newest_rates=_newest(figures),
        unread_builds=len(figures.builds[: null_rates.BUILDS]) - len({each.build_id for each in figures.null_rates}),
        lineage=lineage.html(),
        dictionary=Markup(_dictionary()),  # noqa: S704 - made of the contracts, by a parser that lets no HTML through
        style=_trusted("page.css"),
        script=_trusted("page.js"),
        libraries=Markup(libraries),  # noqa: S704 - of an installed package
        licences=(_HERE / "LICENCES.txt").read_text(encoding="utf-8"),
    )


def _trusted(name: str) -> Markup:
    return Markup((_HERE / name).read_text(encoding="utf-8"))  # noqa: S704 - a file of this package


def _parts(figures: Figures) -> list[str]:
    """What became of the landed records of any stream: the ledger's columns."""
    entries = figures.counted_by.streams if figures.counted_by else []
    return list(dict.fromkeys(part for each in entries if each.landed_total is not None for part in each.parts()))


def _charts(figures: Figures) -> dict[str, charts.Specification]:
    """Those that have something to show, by name."""
    found = {
        "volumes": charts.volumes(figures.runs) if figures.read_by else None,
        "durations": charts.durations(figures.runs) if any(run.seconds is not None for run in figures.runs) else None,
        "nulls": charts.nulls(figures.null_rates),
        "quarantine": charts.quarantine(figures.quarantine) if figures.quarantine else None,
    }
    return {name: chart for name, chart in found.items() if chart is not None}


def _newest(figures: Figures) -> list[Any]:
    newest = max((each.build_id for each in figures.null_rates), default=None)
    return [each for each in figures.null_rates if each.build_id == newest]


def _dictionary() -> str:
    """The data dictionary, its headings two steps down, each table in a box that scrolls by itself."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(dictionary.markdown())[3:]  # without its title, which is the section's
    subject = ""
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            token.attrSet(
                "id", f"dictionary-{following.content.split(':')[0].lower().replace(' ', '-').replace('/', '-')}"
            )
            subject = following.content
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{int(token.tag[1:]) + 1}"
        if token.type == "table_open":
            token.attrSet("aria-label", subject)
    boxed: str = markdown.renderer.render(tokens, markdown.options, {})
    return boxed.replace("<table", '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table').replace(
        "</table>", "</table></div>"
    )


def _shown(value: object) -> str:
    """A value as a person reads it: numbers in groups of three, instants in UTC to the second, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _age(age: timedelta) -> str:
    """`3 days`, `5 hours`, `1 minute`: whole ones, rounded down."""
    for name, unit in _UNITS:
        if age >= unit:
            return f"{age // unit} {name}{'s' if age >= 2 * unit else ''}"
    return "less than a minute"
