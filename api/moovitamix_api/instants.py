"""Instants as whole microseconds since 1970-01-01T00:00:00Z: exact, and one machine word each."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)

SECOND = 1_000_000
DAY = 86_400 * SECOND
YEAR = 365 * DAY
FOREVER = 2**62


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970; a datetime without a zone is read as UTC.

    Never overflows: `astimezone` would for 0001-01-01T00:00+14:00, an instant before the first `datetime`.
    """
    offset = moment.utcoffset() or timedelta()
    return (moment.replace(tzinfo=None) - _EPOCH) // _MICROSECOND - offset // _MICROSECOND


START = to_microseconds(datetime(2026, 1, 1, tzinfo=UTC))
"""The library's start: what `--size` and `--listens` count is there at this instant, and grows from here on."""

FIRST = START - 2 * YEAR
"""Nothing was created before."""

LAST = to_microseconds(datetime(2100, 1, 1, tzinfo=UTC))
"""Growth is linear and kept in memory: the clock must stop somewhere."""
