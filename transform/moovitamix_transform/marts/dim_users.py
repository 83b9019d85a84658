"""dim_users: the listeners."""

from typing import Any

import narwhals as nw

from moovitamix_transform import contracts
from moovitamix_transform.staging.stg_users import StgUsers


class DimUsers(StgUsers):
    """One row per user ever seen."""


def dim_users(stg_users: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per user ever seen.

    Reads:
        stg_users: one row per user, latest
    Returns:
        the columns of stg_users
    """
    return contracts.conform(stg_users, DimUsers)
