"""Who a user is in a warehouse: what their records, in whatever version of the source tables, say of them."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec
import polars as pl

from moovitamix_transform import sources
from moovitamix_transform.erasing import erasure
from moovitamix_transform.erasing.erasure import Trace
from moovitamix_transform.masking import mask
from moovitamix_transform.staging import readings
from moovitamix_transform.staging.decoding import decode
from moovitamix_transform.staging.json_fields import json_fields
from moovitamix_transform.warehouse import Warehouse

_STRUCK_VALUE = '"erased"'
_STRUCK_MESSAGE = "erased: it spoke of a user who is forgotten"
# Where an address in a longer text begins and ends. An escape may stand before it, as in `\nada@example.org`.
_BEFORE, _AFTER = r"(?:^|[^\w.%+-]|\\[bfnrt]|%[0-9a-fA-F]{2})", r"(?:$|[^\w.-]|\.(?:$|\W))"
_FEW = 4
_raw_values = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class Person:
    """Attributes:
    raw_ids: of the user's records, and of the lines that speak of them.
    emails: every address the user had, in lower case.
    names: first and last names the user had.
    values: every field of the user's records of users with its value, as `field:JSON`.
    """

    user_id: int
    raw_ids: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()

    def trace(self, columns: Collection[str]) -> Trace | None:
        """Where the person is in a table with these columns; None when no column can say it.

        A record is known by its raw id from source to quarantine, a row of a mart by its user_id.
        """
        if "first_value" in columns:
            return Trace(self._are_first(), {"first_raw_id": pl.lit(None), "first_value": pl.lit(_STRUCK_VALUE)})
        if "message" in columns:
            return Trace(self._is_told_of(), {"message": pl.lit(_STRUCK_MESSAGE)})
        rows = [pl.col(name).is_in(list(self.raw_ids)) for name in ("_airbyte_raw_id", "raw_id") if name in columns]
        if "user_id" in columns:
            rows.append(pl.col("user_id") == self.user_id)
        return Trace(pl.any_horizontal(each.fill_null(False) for each in rows)) if rows else None

    def is_spoken_of(self, text: pl.Expr) -> pl.Expr:
        """A line, JSON or not, with the id as a `user_id` or as the id of a user, or with an address of theirs."""
        of_users = text.str.contains(r'"stream\\?"\s*:\s*\\?"users\\?"') & text.str.contains(_key("id", self.user_id))
        spoken = text.str.contains(_key("user_id", self.user_id)) | of_users
        return spoken | text.str.contains(_addresses(self.emails)) if self.emails else spoken

    def is_quoted_in(self, text: str) -> bool:
        """One of the user's values is there, as it came; those of a few characters may be anybody's."""
        values = (value.partition(":")[2] for value in self.values)
        return any(value in text for value in values if len(value) > _FEW)

    def _are_first(self) -> pl.Expr:
        """Rows of _meta/fields whose first value is the person's."""
        is_theirs = pl.col("first_raw_id").is_in(list(self.raw_ids))
        value = pl.concat_str("field", "first_value", separator=":")  # of a record that was pruned
        is_like_theirs = (pl.col("stream") == "users") & value.is_in(list(self.values))
        ids = [str(self.user_id), f'"{self.user_id}"']
        is_id = (pl.col("field") == "user_id") & pl.col("first_value").is_in(ids)
        is_struck = pl.col("first_value") == _STRUCK_VALUE
        return ((is_theirs | is_like_theirs | is_id) & ~is_struck).fill_null(False)

    def _is_told_of(self) -> pl.Expr:
        """Messages of runs: what a source said, rows that broke a contract."""
        message = pl.col("message")
        told = message.str.contains(rf"(?s)user_id.*\b{abs(self.user_id)}\b")
        if self.emails:
            told |= message.str.contains(_addresses({*self.emails, *map(mask, self.emails)}))
        words = {*self.names, *(email for email in self.emails if "@" not in email)}
        if words:
            told |= message.str.contains(rf"(?:^|\W)(?:{_any_of(words)})(?:$|\W)")
        return (told & (message != _STRUCK_MESSAGE)).fill_null(False)


def find(warehouse: Warehouse, user_id: int) -> Person:
    """All there is of a user, in newest and old versions of the source tables, and in files that no version names.

    A record is the user's by its id, even where that is written as no reading takes it (`7.0`); one of users without
    any id, by an address the user had.
    """
    own = _records(warehouse, "users", _hint("id", user_id))
    own = own.filter(_is_number(own["id"], user_id))
    emails = _texts(own["email"].str.to_lowercase())
    nameless = _records(warehouse, "users", _addresses(emails)) if emails else own.clear()
    address = readings.text(pl.col("email")).str.to_lowercase()
    nameless = nameless.filter(_has_no_number(nameless["id"]), address.is_in(list(emails)))
    records = pl.concat([own, nameless])
    listens = _records(warehouse, "listen_history", _hint("user_id", user_id))
    listens = listens.filter(_is_number(listens["user_id"], user_id))
    known = Person(
        user_id,
        raw_ids=frozenset([*records["_airbyte_raw_id"], *listens["_airbyte_raw_id"]]),
        emails=emails,
        names=_texts(records["first_name"]) | _texts(records["last_name"]),
        values=frozenset(_values(records["_airbyte_data"])),
    )
    lines = _scan_all(warehouse, "_lines", known.is_spoken_of(pl.col("text")), ["raw_id"])
    return Person(**{**vars(known), "raw_ids": known.raw_ids | {*lines["raw_id"]}})


_TOKENS = ["id", "user_id", "email", "first_name", "last_name"]


def _records(warehouse: Warehouse, stream: str, pattern: str) -> pl.DataFrame:
    """Each record once whose text matches: `_airbyte_raw_id`, `_airbyte_data`, the tokens of _TOKENS."""
    matches = pl.col("_airbyte_data").str.contains(pattern)
    found = _scan_all(warehouse, stream, matches, ["_airbyte_raw_id", "_airbyte_data"]).unique("_airbyte_raw_id")
    return found.with_columns(json_fields(pl.col("_airbyte_data"), _TOKENS).alias("tokens")).unnest("tokens")


def _scan_all(warehouse: Warehouse, name: str, condition: pl.Expr, columns: list[str]) -> pl.DataFrame:
    """The rows of every file of a source table that meet the condition."""
    folder = Path(warehouse.uri(sources.path(name)))
    found = [pl.DataFrame(schema=dict.fromkeys(columns, pl.String))]
    for file in erasure.readable_files(folder) if folder.exists() else []:
        with erasure.reading(file) as rows:
            found.append(rows.filter(condition).select(columns).collect(engine="streaming"))
    return pl.concat(found)


def _hint(key: str, number: int) -> str:
    """Finds all texts in which the key has this number, and some others: JSON can be written in many ways."""
    return rf'"{key}"\s*:\s*"?\s*[+-]?0*{abs(number)}(?:[^0-9]|$)|\\u'


def _key(key: str, number: int) -> str:
    """The key with this number as its value, or with a string of its digits; in JSON, or in JSON within a string."""
    sign = "-" if number < 0 else ""
    return rf'\\?"{key}\\?"\s*:\s*(?:\\?"\s*)?{sign}0*{abs(number)}(?:\.0+)?(?:[^0-9.eE]|$)'


def _addresses(emails: Iterable[str]) -> str:
    """Each address as it is, or as JSON or a URL writes it; never as the end or the beginning of another one.

    What has no @ is a word like any other, and tells nobody by itself.
    """
    addresses = {email for email in emails if "@" in email}
    written = addresses | {
        json.dumps(email, ensure_ascii=is_ascii)[1:-1] for email in addresses for is_ascii in (True, False)
    }
    written |= {email.replace("@", "%40") for email in addresses}
    return rf"(?i){_BEFORE}(?:{_any_of(written)}){_AFTER}" if written else r"[^\s\S]"


def _any_of(texts: Iterable[str]) -> str:
    return "|".join(pl.escape_regex(text) for text in sorted(texts))


def _texts(tokens: pl.Series) -> frozenset[str]:
    """What staging reads as text in these tokens."""
    read = tokens.to_frame("token").select(readings.empty_to_null(readings.text(pl.col("token")))).to_series()
    return frozenset(read.drop_nulls())


def _values(texts: pl.Series) -> set[str]:
    records = (decode(_raw_values.decode, text) for text in texts)
    return {f"{field}:{bytes(value).decode()}" for record in records for field, value in record.items()}


def _is_number(tokens: pl.Series, number: int) -> pl.Series:
    return pl.Series([_number(token) == number for token in tokens], dtype=pl.Boolean)


def _has_no_number(tokens: pl.Series) -> pl.Series:
    return pl.Series([_number(token) is None for token in tokens], dtype=pl.Boolean)


def _number(token: str | None) -> Decimal | None:
    """A token as a whole number; None when it is none."""
    try:
        value = Decimal((token or "").strip('"').strip())
        return value if value == value.to_integral_value() else None
    except (InvalidOperation, ValueError):
        return None
