"""The charts, as Vega-Lite specifications made by Altair. Their colours are the page's CSS variables: light and dark
are the page's affair, and nothing is drawn anew when they change."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import altair as alt

from moovitamix_transform.report.null_rates import NullRate
from moovitamix_transform.runs import Run
from moovitamix_transform.streams import STREAMS

Specification = dict[str, Any]
RUNS = 90
_COLUMNS = 8
_BAR = 28  # pixels
_CLOCK = "%H:%M"
_TIMES = {"year": "%Y", "month": "%b %Y", "day": "%d %b", "hours": _CLOCK, "minutes": _CLOCK, "seconds": "%H:%M:%S"}
_COLOURS = ["var(--tracks)", "var(--users)", "var(--listens)"]
_NO_STREAM = "no known stream"
_STREAM_COLOURS = alt.Scale(domain=list(STREAMS), range=_COLOURS)
_ALL_COLOURS = alt.Scale(domain=[*STREAMS, _NO_STREAM], range=[*_COLOURS, "var(--soft)"])
_LEGEND = alt.Legend(orient="top", title=None, direction="horizontal", columns=2)  # a phone is wide enough for two
_SHORT_LEGEND = alt.Legend(orient="top", title=None, direction="horizontal", columns=3)
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "legend": {
        "labelColor": "var(--ink)",
        "labelFontSize": 13,
        "labelLimit": 260,
        "symbolBaseFillColor": "var(--soft)",
        "symbolBaseStrokeColor": "var(--soft)",
    },
    "range": {"category": [f"var(--c{number})" for number in range(1, _COLUMNS + 1)]},
}


def volumes(runs: list[Run]) -> Specification:
    """Records landed per run and stream that it read, oldest run first."""
    values = [
        {"at": _iso(run.started_at), "stream": each.stream, "landed": each.landed, "run": run.run_id}
        for run in _oldest_first(runs)
        for each in run.streams
        if each.stream in STREAMS and (run.kind == "run" or each.received)  # `land` is given one stream at a time
    ]
    return _finished(
        alt.Chart(alt.InlineData(values=values))
        .mark_line(point=alt.OverlayMarkDef(size=60, filled=True), strokeWidth=2)
        .encode(
            x=_time("at"),
            y=alt.Y("landed:Q", title="records landed", axis=alt.Axis(tickCount=5, format="~s")),
            color=alt.Color("stream:N", scale=_STREAM_COLOURS, legend=_LEGEND),
            shape=alt.Shape("stream:N", scale=alt.Scale(domain=list(STREAMS)), legend=_LEGEND),
            tooltip=["run:N", "stream:N", alt.Tooltip("landed:Q", format=",")],
        ),
        "Records landed per run and stream, over time",
    )


def durations(runs: list[Run]) -> Specification:
    """Seconds per run that came to an end, by its kind; a cross is a run that failed."""
    values = [
        {
            "at": _iso(run.started_at),
            "seconds": run.seconds,
            "kind": run.kind,
            "status": run.status,
            "run": run.run_id,
        }
        for run in _oldest_first(runs)
        if run.seconds is not None
    ]
    return _finished(
        alt.Chart(alt.InlineData(values=values))
        .mark_point(filled=True, size=90, opacity=0.9)
        .encode(
            x=_time("at"),
            y=alt.Y("seconds:Q", title="seconds", axis=alt.Axis(tickCount=5)),
            color=alt.Color("kind:N", scale=alt.Scale(domain=["run", "land", "build"]), legend=_SHORT_LEGEND),
            shape=alt.Shape(
                "status:N",
                scale=alt.Scale(domain=["succeeded", "failed"], range=["circle", "cross"]),
                legend=alt.Legend(orient="bottom", title=None, direction="horizontal"),
            ),
            tooltip=["run:N", "kind:N", "status:N", alt.Tooltip("seconds:Q", format=".1f")],
        ),
        "How long each run took, over time",
    )


def nulls(rates: list[NullRate]) -> Specification | None:
    """The columns with the most nulls, build by build; None when no value is missing."""
    most: dict[str, float] = {}
    for each in rates:
        name = f"{each.table}.{each.column}"
        most[name] = max(most.get(name, 0), each.rate)
    shown = sorted((name for name, rate in most.items() if rate), key=lambda name: (-most[name], name))[:_COLUMNS]
    if not shown:
        return None
    values = [
        {"build": each.build_id, "column": name, "rate": each.rate, "nulls": each.null_count}
        for each in reversed(rates)
        if (name := f"{each.table}.{each.column}") in shown
    ]
    legend = alt.Legend(orient="top", title=None, columns=2)
    return _finished(
        alt.Chart(alt.InlineData(values=values))
        .mark_line(point=alt.OverlayMarkDef(size=60, filled=True), strokeWidth=2)
        .encode(
            x=alt.X("build:O", title="build", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("rate:Q", title="values missing", axis=alt.Axis(tickCount=5, format=".1~%")),
            color=alt.Color("column:N", scale=alt.Scale(domain=shown), legend=legend),
            shape=alt.Shape("column:N", scale=alt.Scale(domain=shown), legend=legend),
            tooltip=["build:O", "column:N", alt.Tooltip("rate:Q", format=".2%"), alt.Tooltip("nulls:Q", format=",")],
        ),
        "Share of values the API left out, per column and build",
    )


def quarantine(counts: Iterable[dict[str, Any]]) -> Specification:
    """Quarantined rows per stream and rule, the most frequent on top."""
    values = [
        {
            "rule": row["rule"],
            "stream": row["stream"] if row["stream"] in STREAMS else _NO_STREAM,
            "named": row["stream"],
            "count": row["count"],
        }
        for row in counts
    ]
    return _finished(
        alt.Chart(alt.InlineData(values=values))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X(
                "count:Q", title="rows in the quarantine", axis=alt.Axis(tickMinStep=1, format="~s", labelOverlap=True)
            ),
            y=alt.Y("rule:N", title=None, sort="-x", axis=alt.Axis(labelLimit=170)),
            color=alt.Color("stream:N", scale=_ALL_COLOURS, legend=_LEGEND),
            tooltip=["named:N", "rule:N", alt.Tooltip("count:Q", format=",")],
        ),
        "Rows in the quarantine by broken rule",
        height=_BAR * len({each["rule"] for each in values}),
    )


def _finished(chart: alt.Chart, description: str, height: int = 240) -> Specification:
    sized = chart.properties(width="container", height=height, description=description)
    specification: Specification = sized.to_dict()
    return specification | {"config": _CONFIG}


def _time(field: str) -> alt.X:
    # In UTC, as every instant here, and not in the reader's own zone.
    return alt.X(
        f"{field}:T",
        title="run started (UTC)",
        scale=alt.Scale(type="utc", padding=12),
        axis=alt.Axis(labelOverlap=True, tickCount=4, format=_TIMES),
    )


def _oldest_first(runs: list[Run]) -> list[Run]:
    return runs[:RUNS][::-1]


def _iso(at: datetime) -> str:
    return at.isoformat()
