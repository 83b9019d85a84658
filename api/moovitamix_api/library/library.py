"""The whole library: three collections that know one another."""

from functools import lru_cache

from .charts import Charts
from .listens import Listens
from .pools import Pools
from .population import Population
from .tracks import Tracks
from .users import Users

# Faker takes longer than all the rest of a small library, and a library is built again when its horizon is reached.
_pools = lru_cache(maxsize=8)(Pools)


class Library:
    """Everything the API answers at any instant up to `horizon`; a pure function of its arguments.

    Args:
        seed: another seed, another library
        size: tracks, and users, alive at START
        listens: listen records visible at START; needs users and tracks, so 0 when size is 0
        horizon: microseconds since 1970; a later one adds rows, and changes none that was visible before
    """

    def __init__(self, seed: int, size: int, listens: int, horizon: int) -> None:
        pools = _pools(seed)
        tracks = Tracks(seed, pools, Population(seed, "tracks", size, horizon))
        users = Users(seed, pools, Population(seed, "users", size, horizon))
        self.horizon = horizon
        self.tracks = tracks.collection()
        self.users = users.collection()
        self.listen_history = Listens(seed, listens, horizon, users, Charts(seed, tracks)).collection()
