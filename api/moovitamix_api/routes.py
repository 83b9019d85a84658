"""The client's three collections, a page at a time."""

from datetime import datetime
from typing import Annotated, TypeAlias, cast

from fastapi import APIRouter, Query, Request
from fastapi_pagination import Page

from .instants import to_microseconds
from .library.collection import Row
from .live import CollectionName, Pages
from .pagination import Listing, Selection
from .schemas import ListenHistoryOut, TracksOut, UsersOut

Selected: TypeAlias = Annotated[Selection, Query()]

router = APIRouter(tags=["HTTP methods"])

# The handlers are coroutines on purpose: a page is a millisecond of work, less than handing it to a thread and back.


@router.get("/tracks", response_model=Listing[TracksOut])
async def get_tracks(request: Request, selection: Selected) -> Page[Row]:
    """The catalogue, by id; a withdrawn track is no longer listed."""
    return _page(request, selection, "tracks", Listing[TracksOut])


@router.get("/users", response_model=Listing[UsersOut])
async def get_users(request: Request, selection: Selected) -> Page[Row]:
    """The users, by id; one who left is no longer listed."""
    return _page(request, selection, "users", Listing[UsersOut])


@router.get("/listen_history", response_model=Listing[ListenHistoryOut])
async def get_listen_history(request: Request, selection: Selected) -> Page[Row]:
    """What each user listened to, by user_id and created_at; records outlive their users and tracks."""
    return _page(request, selection, "listen_history", Listing[ListenHistoryOut])


def _page(request: Request, selection: Selection, name: CollectionName, listing: object) -> Page[Row]:
    live: Pages = request.app.state.live
    total, rows = live.page(
        name,
        offset=selection.size * (selection.page - 1),
        limit=selection.size,
        since=_bound(selection.updated_since),
        until=_bound(selection.updated_until),
    )
    return cast(type[Page[Row]], listing).create(rows, selection, total=total)


def _bound(moment: datetime | None) -> int | None:
    return None if moment is None else to_microseconds(moment)
