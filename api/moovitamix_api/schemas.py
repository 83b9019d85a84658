"""What the API answers, field for field as the client's: one record of each collection."""

from datetime import datetime

from pydantic import BaseModel, Field

_CREATED_AT = "When the record was created; UTC, without a zone, to the microsecond."


class TracksOut(BaseModel):
    """One track of the catalogue."""

    id: int = Field(description="The track's key.")
    name: str = Field(description="The track's title; not unique.")
    artist: str = Field(description="Who performs the track.")
    songwriters: str = Field(description="Who wrote it: one name.")
    duration: str = Field(description="minutes:seconds, such as 03:45.", examples=["03:45"])
    genres: str = Field(description="One genre; not from a closed list.")
    album: str = Field(description="The title of the album it is on.")
    created_at: datetime = Field(description=_CREATED_AT)
    updated_at: datetime = Field(
        description="UTC, without a zone; before created_at for about a quarter of the tracks."
    )


class UsersOut(BaseModel):
    """One user."""

    id: int = Field(description="The user's key.")
    first_name: str = Field(description="Given name.")
    last_name: str = Field(description="Family name.")
    email: str = Field(description="Not unique.")
    gender: str = Field(description="A word of the user's choice from the application's list.")
    favorite_genres: str = Field(description="One genre.")
    created_at: datetime = Field(description=_CREATED_AT)
    updated_at: datetime = Field(description="UTC, without a zone; before created_at for about a quarter of the users.")


class ListenHistoryOut(BaseModel):
    """One list of tracks a user listened to; (user_id, created_at) is its key."""

    user_id: int | None = Field(description="Who listened; the user may have left since.")
    items: list[int] | None = Field(description="Ids of the tracks, first heard first; a track may be gone since.")
    created_at: datetime = Field(description=_CREATED_AT)
    updated_at: datetime = Field(
        description="When the record, or this correction of it, became visible; UTC, never before created_at."
    )


class Problem(BaseModel):
    """Why a request was not answered; the client's API has the same shape."""

    detail: str
