"""Listens and a catalogue of hand size, and a model run on them."""

from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import pytest
from moovitamix_transform import contracts
from moovitamix_transform.graph import models

Listen = tuple[int, int, int]


@pytest.fixture(scope="session")
def day() -> Callable[[int], datetime]:
    return lambda of_january: datetime(2026, 1, of_january, tzinfo=UTC)


@pytest.fixture(scope="session")
def run() -> Callable[..., pl.DataFrame]:
    """`run("fct_listens", stg_listen_history=frame)`: the model's table, sorted by its key, its contract held."""

    def compute(name: str, **inputs: pl.DataFrame) -> pl.DataFrame:
        model = models()[name]
        rows = model.frame({table: frame.lazy() for table, frame in inputs.items()}).collect()
        contracts.require(name, rows.lazy(), model.contract)
        return rows.sort(model.contract.primary_key())

    return compute


@pytest.fixture(scope="session")
def listened(run: Callable[..., pl.DataFrame], day: Callable[[int], datetime]) -> Callable[..., pl.DataFrame]:
    """`listened((user, track, day), …)`: their user_track_interactions."""

    def interactions(*listens: Listen) -> pl.DataFrame:
        rows = [(user, track, day(on), at) for at, (user, track, on) in enumerate(listens, 1)]
        schema = contracts.schema(models()["fct_listens"].contract)
        return run("user_track_interactions", fct_listens=pl.DataFrame(rows, schema=schema, orient="row"))

    return interactions


@pytest.fixture(scope="session")
def catalogue(day: Callable[[int], datetime]) -> Callable[..., pl.DataFrame]:
    """`catalogue((track, genre, seconds), …)`: their dim_tracks, every other attribute null."""

    def tracks(*known: tuple[int, str | None, int | None]) -> pl.DataFrame:
        rows = [
            {"track_id": track, "genre": genre, "duration_seconds": seconds, "created_at": day(1), "updated_at": day(1)}
            for track, genre, seconds in known
        ]
        return pl.DataFrame(rows, schema=contracts.schema(models()["dim_tracks"].contract))

    return tracks
