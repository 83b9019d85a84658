"""The users: their names, their addresses, the genre they like best."""

from .collection import Collection, Row, to_datetimes
from .dice import Dice, Ints
from .pools import GENDERS, GENRES, MAIL_HOSTS, Pools
from .population import Population

_EDITED = ("last_name", "email", "gender", "favorite_genres")


class Users:
    """Attributes of users by member number and edition (the version that last changed the attribute)."""

    def __init__(self, seed: int, pools: Pools, members: Population) -> None:
        self.members = members
        self._pools = pools
        self._dice = {name: Dice(seed, f"users/{name}") for name in ("first_name", "mail_host", *_EDITED)}
        self._versions = members.versions()

    def collection(self) -> Collection:
        """The users as the API answers them, by id."""
        versions = self._versions
        return Collection(versions.visible_from, versions.visible_until, versions.updated_at, self._rows)

    def favorite(self, number: Ints, edition: Ints | int = 0) -> Ints:
        """An index into GENRES."""
        return self._dice["favorite_genres"].below(len(GENRES), number, edition)

    def _rows(self, positions: Ints) -> list[Row]:
        versions, pools, dice = self._versions, self._pools, self._dice
        number, version = versions.number[positions], versions.version[positions]
        last_name, email, gender, favorite = self.members.editions(number, version, len(_EDITED)).T
        columns = zip(
            self.members.id[number].tolist(),
            dice["first_name"].below(len(pools.first_names), number).tolist(),
            dice["last_name"].below(len(pools.last_names), number, last_name).tolist(),
            dice["email"].below(len(pools.first_names), number, email).tolist(),
            dice["email"].below(1000, number, email, 1).tolist(),
            dice["mail_host"].below(len(MAIL_HOSTS), number, email).tolist(),
            dice["gender"].below(len(GENDERS), number, gender).tolist(),
            self.favorite(number, favorite).tolist(),
            to_datetimes(self.members.created_at[number]),
            to_datetimes(versions.updated_at[positions]),
            strict=True,
        )
        return [
            {
                "id": user_id,
                "first_name": pools.first_names[first],
                "last_name": pools.last_names[last],
                "email": f"{pools.first_names[mailbox].lower()}{suffix}@{MAIL_HOSTS[host]}",
                "gender": GENDERS[gender],
                "favorite_genres": GENRES[favorite],
                "created_at": created_at,
                "updated_at": updated_at,
            }
            for user_id, first, last, mailbox, suffix, host, gender, favorite, created_at, updated_at in columns
        ]
