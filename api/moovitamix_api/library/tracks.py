"""The tracks: who plays them, what they are called, how long they last."""

import numpy as np

from .collection import Collection, Row, to_datetimes
from .dice import Dice, Ints
from .pools import GENRES, Pools
from .population import Population

_EDITED = ("songwriters", "genres", "album", "duration")


class Tracks:
    """Attributes of tracks by member number and edition (the version that last changed the attribute)."""

    def __init__(self, seed: int, pools: Pools, members: Population) -> None:
        self.members = members
        self._pools = pools
        names = ("artist", "home", "stray", "odd", "name", *_EDITED)
        self._dice = {name: Dice(seed, f"tracks/{name}") for name in names}
        self._versions = members.versions()

    def collection(self) -> Collection:
        """The tracks as the API answers them, by id."""
        versions = self._versions
        return Collection(versions.visible_from, versions.visible_until, versions.updated_at, self._rows)

    def genre(self, number: Ints, edition: Ints | int = 0) -> Ints:
        """An index into GENRES: three tracks in four have the genre their artist is at home in."""
        home = self._dice["home"].below(len(GENRES), self._artist(number), edition)
        stray = self._dice["genres"].below(len(GENRES), number, edition)
        return np.where(self._dice["stray"].one_in(4, number), stray, home)

    def _artist(self, number: Ints) -> Ints:
        return self._dice["artist"].below(len(self._pools.full_names), number)

    def _rows(self, positions: Ints) -> list[Row]:
        versions, pools, dice = self._versions, self._pools, self._dice
        number, version = versions.number[positions], versions.version[positions]
        songwriters, genres, album, duration = self.members.editions(number, version, len(_EDITED)).T
        artist = self._artist(number)
        seconds = 120 + dice["duration"].below(120, number, duration) + dice["duration"].below(181, number, duration, 1)
        word = dice["odd"].below(len(pools.words), number)
        columns = zip(
            self.members.id[number].tolist(),
            dice["name"].below(len(pools.words), number).tolist(),
            artist.tolist(),
            dice["songwriters"].below(len(pools.full_names), number, songwriters).tolist(),
            seconds.tolist(),
            self.genre(number, genres).tolist(),
            # The client lets any word be a genre.
            np.where(dice["odd"].one_in(50, number, 1), word, -1).tolist(),
            dice["album"].below(len(pools.words), artist, dice["album"].below(4, number, album)).tolist(),
            to_datetimes(self.members.created_at[number]),
            to_datetimes(versions.updated_at[positions]),
            strict=True,
        )
        return [
            {
                "id": track_id,
                "name": pools.words[name],
                "artist": pools.full_names[artist],
                "songwriters": pools.full_names[songwriter],
                "duration": f"{seconds // 60:02}:{seconds % 60:02}",
                "genres": GENRES[genre] if odd < 0 else pools.words[odd],
                "album": pools.words[album],
                "created_at": created_at,
                "updated_at": updated_at,
            }
            for track_id, name, artist, songwriter, seconds, genre, odd, album, created_at, updated_at in columns
        ]
