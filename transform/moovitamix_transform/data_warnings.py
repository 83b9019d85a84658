"""What is odd in the data but true of it: counted and shown, never quarantined.

Each function is one check: its parameters are the tables it reads, its result the offending rows, its docstring what a
person is told of them. The contracts'
severity *warn*; under `--strict` one offending row makes the exit code 3.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

Check = Callable[..., pl.LazyFrame]


def tracks_updated_before_created(stg_tracks: pl.LazyFrame) -> pl.LazyFrame:
    """Tracks updated before they were created, as a quarter of the client's are."""
    return stg_tracks.filter(pl.col("updated_at") < pl.col("created_at"))


def users_updated_before_created(stg_users: pl.LazyFrame) -> pl.LazyFrame:
    """Users updated before they were created, as a quarter of the client's are."""
    return stg_users.filter(pl.col("updated_at") < pl.col("created_at"))


def listens_updated_before_created(stg_listen_history: pl.LazyFrame) -> pl.LazyFrame:
    """Listens updated before they were listened to."""
    return stg_listen_history.filter(pl.col("updated_at") < pl.col("listened_at"))


def users_email_without_at(stg_users: pl.LazyFrame) -> pl.LazyFrame:
    """Users with an e-mail address without @."""
    return stg_users.filter(~pl.col("email").str.contains("@", literal=True))


def listens_of_unknown_tracks(fct_listens: pl.LazyFrame, dim_tracks: pl.LazyFrame) -> pl.LazyFrame:
    """Listens of tracks that dim_tracks does not have: history outlives the catalogue."""
    return fct_listens.join(dim_tracks, on="track_id", how="anti")


def listens_of_unknown_users(fct_listens: pl.LazyFrame, dim_users: pl.LazyFrame) -> pl.LazyFrame:
    """Listens of users that dim_users does not have: history outlives the accounts."""
    return fct_listens.join(dim_users, on="user_id", how="anti")


@dataclass(frozen=True)
class DataWarning:
    name: str
    reads: tuple[str, ...]
    check: Check

    @property
    def table(self) -> str:
        """The table whose rows are odd."""
        return self.reads[0]

    @property
    def meaning(self) -> str:
        """What is odd about the rows, for a person."""
        return (self.check.__doc__ or self.name).strip().rstrip(".")

    def count(self, tables: dict[str, pl.LazyFrame]) -> int:
        rows = self.check(**{name: tables[name] for name in self.reads})
        return int(rows.select(pl.len()).collect(engine="streaming").item())


def all_warnings() -> list[DataWarning]:
    checks = (
        tracks_updated_before_created,
        users_updated_before_created,
        listens_updated_before_created,
        users_email_without_at,
        listens_of_unknown_tracks,
        listens_of_unknown_users,
    )
    return [DataWarning(check.__name__, tuple(inspect.signature(check).parameters), check) for check in checks]
