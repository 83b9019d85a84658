"""What is odd in the data but true of it: counted and shown, never quarantined.

Each function is one check: its parameters are the tables it reads, its result one figure, how many rows of its table
are odd, its docstring what a person is told of them. The contracts' severity *warn*; under `--strict` one odd row makes
the exit code 3.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import narwhals as nw

from moovitamix_transform.engines.engine import Engine, Frame, number
from moovitamix_transform.runs import WarningCount

Check = Callable[..., Frame]


def tracks_updated_before_created(stg_tracks: Frame) -> Frame:
    """Tracks updated before they were created, as a quarter of the client's are."""
    return stg_tracks.filter(nw.col("updated_at") < nw.col("created_at")).select(nw.len())


def users_updated_before_created(stg_users: Frame) -> Frame:
    """Users updated before they were created, as a quarter of the client's are."""
    return stg_users.filter(nw.col("updated_at") < nw.col("created_at")).select(nw.len())


def listens_updated_before_created(stg_listen_history: Frame) -> Frame:
    """Listens updated before they were listened to."""
    return stg_listen_history.filter(nw.col("updated_at") < nw.col("listened_at")).select(nw.len())


def users_email_without_at(stg_users: Frame) -> Frame:
    """Users with an e-mail address without @."""
    return stg_users.filter(~nw.col("email").str.contains("@", literal=True)).select(nw.len())


def listens_of_unknown_tracks(track_popularity: Frame, dim_tracks: Frame) -> Frame:
    """Listens of tracks that dim_tracks does not have: history outlives the catalogue."""
    return track_popularity.join(dim_tracks, on="track_id", how="anti").select(nw.col("listen_count").sum())


def listens_of_unknown_users(user_profiles: Frame, dim_users: Frame) -> Frame:
    """Listens of users that dim_users does not have: history outlives the accounts."""
    return user_profiles.join(dim_users, on="user_id", how="anti").select(nw.col("listen_count").sum())


@dataclass(frozen=True)
class DataWarning:
    """A check of one table.

    Attributes:
        table: the table whose rows are odd.
        reads: the tables that tell it: smaller ones, where they have counted its rows already.
    """

    name: str
    table: str
    reads: tuple[str, ...]
    check: Check

    @property
    def meaning(self) -> str:
        """What is odd about the rows, for a person."""
        return (self.check.__doc__ or self.name).strip().rstrip(".")

    def count(self, engine: Engine, versions: dict[str, int]) -> int:
        """The rows of a build that are odd."""
        return number(engine, self.check(**{name: engine.table(name, versions) for name in self.reads}))


def all_warnings() -> list[DataWarning]:
    checks: dict[Check, str] = {
        tracks_updated_before_created: "stg_tracks",
        users_updated_before_created: "stg_users",
        listens_updated_before_created: "stg_listen_history",
        users_email_without_at: "stg_users",
        listens_of_unknown_tracks: "fct_listens",
        listens_of_unknown_users: "fct_listens",
    }
    return [
        DataWarning(check.__name__, table, tuple(inspect.signature(check).parameters), check)
        for check, table in checks.items()
    ]


def count_warnings(engine: Engine, versions: dict[str, int]) -> list[WarningCount]:
    """Every warning in the tables of one build."""
    return [WarningCount(each.name, each.table, each.count(engine, versions)) for each in all_warnings()]
