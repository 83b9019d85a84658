"""The client's three collections, a page at a time."""

from datetime import datetime
from typing import cast

from fastapi import APIRouter, Request
from fastapi_pagination.api import create_page, resolve_params

from .library.instants import to_microseconds
from .live import CollectionName, LiveLibrary
from .pagination import Listing, Selection
from .schemas import ListenHistoryOut, TracksOut, UsersOut

router = APIRouter(tags=["HTTP methods"])

# The handlers are coroutines on purpose: a page is a millisecond of work, less than handing it to a thread and back.


@router.get("/tracks")
async def get_tracks(request: Request) -> Listing[TracksOut]:
    """The catalogue, by id; a withdrawn track is no longer listed."""
    return cast(Listing[TracksOut], _page(request, "tracks"))


@router.get("/users")
async def get_users(request: Request) -> Listing[UsersOut]:
    """The users, by id; one who left is no longer listed."""
    return cast(Listing[UsersOut], _page(request, "users"))


@router.get("/listen_history")
async def get_listen_history(request: Request) -> Listing[ListenHistoryOut]:
    """What each user listened to, by user_id and created_at; records outlive their users and tracks."""
    return cast(Listing[ListenHistoryOut], _page(request, "listen_history"))


def _page(request: Request, name: CollectionName) -> object:
    live: LiveLibrary = request.app.state.live
    selection = cast(Selection, resolve_params())
    total, rows = live.page(
        name,
        offset=selection.size * (selection.page - 1),
        limit=selection.size,
        since=_bound(selection.updated_since),
        until=_bound(selection.updated_until),
    )
    return create_page(rows, total=total, params=selection)


def _bound(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)
