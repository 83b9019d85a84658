"""What is odd in the data but true of it: counted and shown, never quarantined.

Each function is one check: its parameters are the tables it reads, its result the offending rows, its docstring what a
person is told of them. The contracts'
severity *warn*; under `--strict` one offending row makes the exit code 3.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import narwhals as nw

from moovitamix_transform.engines.engine import Engine, Frame, count
from moovitamix_transform.runs import WarningCount

Check = Callable[..., Frame]


def tracks_updated_before_created(stg_tracks: Frame) -> Frame:
    """Tracks updated before they were created, as a quarter of the client's are."""
    return stg_tracks.filter(nw.col("updated_at") < nw.col("created_at"))


def users_updated_before_created(stg_users: Frame) -> Frame:
    """Users updated before they were created, as a quarter of the client's are."""
    return stg_users.filter(nw.col("updated_at") < nw.col("created_at"))


def listens_updated_before_created(stg_listen_history: Frame) -> Frame:
    """Listens updated before they were listened to."""
    return stg_listen_history.filter(nw.col("updated_at") < nw.col("listened_at"))


def users_email_without_at(stg_users: Frame) -> Frame:
    """Users with an e-mail address without @."""
    return stg_users.filter(~nw.col("email").str.contains("@", literal=True))


def listens_of_unknown_tracks(fct_listens: Frame, dim_tracks: Frame) -> Frame:
    """Listens of tracks that dim_tracks does not have: history outlives the catalogue."""
    return fct_listens.join(dim_tracks, on="track_id", how="anti")


def listens_of_unknown_users(fct_listens: Frame, dim_users: Frame) -> Frame:
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

    def count(self, engine: Engine, versions: dict[str, int]) -> int:
        """The rows of a build that are odd."""
        return count(engine, self.check(**{name: engine.table(name, versions) for name in self.reads}))


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


def count_warnings(engine: Engine, versions: dict[str, int]) -> list[WarningCount]:
    """Every warning in the tables of one build."""
    return [WarningCount(each.name, each.table, each.count(engine, versions)) for each in all_warnings()]
