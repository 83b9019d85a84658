"""A tour of the tables, as a marimo notebook: `marimo edit docs/tour.py` opens it, `python docs/tour.py` runs it.

It reads the warehouse of MOOVITAMIX_WAREHOUSE (default `warehouse`), and writes nothing.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="MooVitamix: a tour of the tables")

with app.setup:
    import os
    import sys

    import altair as alt
    import marimo as mo
    import polars as pl
    from moovitamix_transform import load_table
    from moovitamix_transform.errors import MoovitamixError, NoSuchBuild

    WAREHOUSE = os.environ.get("MOOVITAMIX_WAREHOUSE", "warehouse")


@app.cell
def _():
    try:
        newest = load_table(WAREHOUSE, "user_track_interactions").collect()
    except MoovitamixError as error:
        missing = (
            f"{error}\n\nThis notebook needs a warehouse with a build: `make run` makes one in `warehouse/`; "
            "MOOVITAMIX_WAREHOUSE names another folder or s3://…"
        )
        if mo.app_meta().mode == "script":
            sys.exit(missing)
        mo.stop(True, mo.callout(mo.md(missing), kind="warn"))
    mo.md(f"""
    # A tour of the tables

    `load_table("{WAREHOUSE}", "user_track_interactions")` is a Polars LazyFrame: **{newest.height:,}** pairs of a user
    and a track, **{newest["listen_count"].sum():,}** listens. It is what a recommender starts from.
    """)
    return (newest,)


@app.cell
def _(newest):
    mo.ui.table(newest.sort("listen_count", descending=True).head(100), selection=None)
    return


@app.cell
def _():
    mo.md("""
    ## Back in time

    Each build stays readable until `moovitamix prune` takes it: `as_of=3` is the third one, `as_of="2026-11-24"` the
    last one of that day. The frame is of that build alone, whatever is built meanwhile.
    """)
    return


@app.cell
def _():
    builds = load_table(WAREHOUSE, "builds").select("build_id", "built_at").sort("build_id").collect()

    def pairs_of(build_id):
        """The pairs as a build has them; None where its rows were pruned."""
        try:
            return load_table(WAREHOUSE, "user_track_interactions", as_of=build_id).collect()
        except NoSuchBuild:
            return None

    kept = {number: rows for number in builds["build_id"] if (rows := pairs_of(number)) is not None}
    growth = pl.DataFrame(
        {
            "build_id": list(kept),
            "pairs": [rows.height for rows in kept.values()],
            "listens": [rows["listen_count"].sum() for rows in kept.values()],
        }
    ).join(builds, on="build_id")
    return growth, kept


@app.cell
def _(growth, kept, newest):
    first_build = min(kept)
    new_pairs = newest.join(kept[first_build], on=["user_id", "track_id"], how="anti")
    told = (
        f"Since build {first_build}, **{new_pairs.height:,}** pairs are new."
        if len(kept) > 1
        else "There is one build so far: `make run` again makes the next one."
    )
    mo.vstack([mo.md(told), mo.ui.table(growth, selection=None)])
    return (new_pairs,)


@app.cell
def _(newest):
    counts = newest.group_by("listen_count").agg(pairs=pl.len()).sort("listen_count")
    habits = (
        alt.Chart(counts, title="How often one user listened to one track")
        .mark_bar()
        .encode(
            alt.X("listen_count:O", title="listens"),
            alt.Y("pairs:Q", title="pairs, on a log scale").scale(type="symlog"),
            tooltip=["listen_count", "pairs"],
        )
        .properties(width=600, height=240)
    )
    mo.ui.altair_chart(habits)
    return (counts,)


@app.cell
def _(newest):
    met = newest.group_by(pl.col("first_listened_at").dt.truncate("1w").alias("week")).agg(pairs=pl.len()).sort("week")
    discovery = (
        alt.Chart(met, title="Tracks that users met for the first time, per week")
        .mark_area(line=True, opacity=0.4)
        .encode(alt.X("week:T", title=None), alt.Y("pairs:Q", title="new pairs"))
        .properties(width=600, height=240)
    )
    mo.ui.altair_chart(discovery)
    return (met,)


@app.cell
def _(newest):
    tracks = (
        newest.group_by("track_id").agg(pl.col("listen_count").sum()).sort("listen_count", "track_id", descending=True)
    )
    share = pl.col("listen_count").cum_sum() / pl.col("listen_count").sum()
    tail = tracks.with_row_index("rank", 1).select("rank", share=share)
    step = max(1, tail.height // 500)  # a chart carries its rows; no eye tells more points apart
    long_tail = (
        alt.Chart(tail.gather_every(step), title="The long tail: the share of all listens of the most popular tracks")
        .mark_line()
        .encode(alt.X("rank:Q", title="tracks"), alt.Y("share:Q", title="share of listens").axis(format="%"))
        .properties(width=600, height=240)
    )
    mo.ui.altair_chart(long_tail)
    return (tail,)


if __name__ == "__main__":
    app.run()
