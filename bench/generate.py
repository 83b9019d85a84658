"""Airbyte messages of a made-up library, as our connector prints them: `generate.py FILE --lists N [--day SHARE]`.

N lists of 1 to 19 tracks, 50 a user on average, tracks by Zipf's law; N // 50 users and tracks, a fiftieth of the
tracks gone from the catalogue. A hundredth of the lists comes twice, another is corrected, one in 5,000 cannot be read.
With `--day`, the next day of the same library: SHARE x N new lists, a tenth of them late, and the catalogue again.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

LISTS_PER_USER = 50
MOST_TRACKS = 19
CHUNK_LISTS = 50_000
FIRST_DAY = np.datetime64("2024-01-01T00:00:00.000000")
HISTORY_DAYS = 730
GENRES = ("Pop", "Rock", "Jazz", "Hip-Hop", "Folk", "Metal", "Reggae", "Blues", "Techno", "Country")
WORDS = ("Blue", "Night", "River", "Golden", "Silent", "Electric", "Summer", "Broken", "Velvet", "Distant")
CHANGED_TRACKS = 10  # a day: their genre
NEW_OF_CATALOGUE = 0.001  # a day: tracks and users that were not there before


@dataclass(frozen=True)
class Library:
    """Tracks by popularity, users by id with the chance that a list is theirs."""

    track_ids: np.ndarray
    popularity: np.ndarray  # cumulated, of each track by rank
    user_ids: np.ndarray
    activity: np.ndarray

    @classmethod
    def of(cls, lists: int, seed: int) -> "Library":
        random = np.random.default_rng(seed)
        count = max(lists // LISTS_PER_USER, 100)
        popularity = np.cumsum(1 / np.arange(1, count + 1))
        activity = random.lognormal(sigma=1.0, size=count)
        return cls(
            random.permutation(10 * count)[:count] + 1,
            popularity / popularity[-1],
            np.sort(random.permutation(10 * count)[:count] + 1),
            activity / activity.sum(),
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("file", type=Path)
    options.add_argument("--lists", type=int, required=True)
    options.add_argument("--day", type=float, metavar="SHARE", help="the next day instead of the first read")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    library = Library.of(given.lists, given.seed)
    with given.file.open("w") as file:
        for text in _first_read(library, given.lists, given.seed) if given.day is None else _day(library, given):
            file.write(text)
    sys.stdout.write(f"{given.file}: {given.file.stat().st_size / 1e6:.1f} MB\n")


def _first_read(library: Library, lists: int, seed: int) -> Iterator[str]:
    """In the API's order, which is the key's."""
    random = np.random.default_rng((seed, 0))
    emitted_at = _milliseconds(FIRST_DAY + np.timedelta64(HISTORY_DAYS, "D"))
    yield from _catalogue(library, emitted_at, day=0)
    users = np.repeat(library.user_ids, random.multinomial(lists, library.activity))
    for start in range(0, lists, CHUNK_LISTS):
        of_chunk = users[start : start + CHUNK_LISTS]
        created = _instants(random, len(of_chunk), 0, HISTORY_DAYS)
        yield from _lists(library, random, of_chunk, created, created, emitted_at)
    yield _status("listen_history", emitted_at)


def _day(library: Library, given: argparse.Namespace) -> Iterator[str]:
    random = np.random.default_rng((given.seed, 1))
    emitted_at = _milliseconds(FIRST_DAY + np.timedelta64(HISTORY_DAYS + 1, "D"))
    yield from _catalogue(library, emitted_at, day=1)
    count = max(round(given.lists * given.day), 1)
    users = random.choice(library.user_ids, count, p=library.activity)
    updated = _instants(random, count, HISTORY_DAYS, 1)
    is_late = random.random(count) < 0.1
    created = np.where(is_late, _instants(random, count, 0, HISTORY_DAYS), updated)
    order = np.argsort(users, kind="stable")
    for chunk in np.split(order, range(CHUNK_LISTS, count, CHUNK_LISTS)):
        yield from _lists(library, random, users[chunk], created[chunk], updated[chunk], emitted_at)
    yield _status("listen_history", emitted_at)


def _lists(
    library: Library,
    random: np.random.Generator,
    users: np.ndarray,
    created: np.ndarray,
    updated: np.ndarray,
    emitted_at: int,
) -> Iterator[str]:
    """One chunk and its STATE, which claims the number of its records."""
    count = len(users)
    order = np.lexsort((created, users))
    users, created, updated = users[order], created[order], updated[order]
    lines = _list_lines(library, random, users, created, updated, emitted_at)
    for number in np.flatnonzero(random.random(count) < 1 / 5000):
        is_instant = number % 2
        broken = ('"created_at":"20', '"created_at":"no 20') if is_instant else ('"items":[', '"items":[null,')
        lines[number] = lines[number].replace(*broken)
    again = [lines[number] for number in np.flatnonzero(random.random(count) < 0.01)]
    corrected = np.flatnonzero(random.random(count) < 0.01)
    later = updated[corrected] + np.timedelta64(1, "h")
    lines += _list_lines(library, random, users[corrected], created[corrected], later, emitted_at + 1) + again
    yield "".join(lines)
    yield (
        '{"type":"STATE","state":{"type":"STREAM","stream":{"stream_descriptor":{"name":"listen_history"},'
        f'"stream_state":{{"updated_at":"{updated.max()}"}}}},"sourceStats":{{"recordCount":{float(len(lines))}}}}}}}\n'
    )


def _list_lines(
    library: Library,
    random: np.random.Generator,
    users: np.ndarray,
    created: np.ndarray,
    updated: np.ndarray,
    emitted_at: int,
) -> list[str]:
    ends = np.cumsum(random.integers(1, MOST_TRACKS + 1, len(users)))
    ranks = np.searchsorted(library.popularity, random.random(ends[-1] if len(ends) else 0))
    tracks = list(map(str, library.track_ids[ranks].tolist()))
    starts = [0, *ends.tolist()][: len(users)]
    return [
        f'{{"type":"RECORD","record":{{"stream":"listen_history","data":{{"user_id":{user},'
        f'"items":[{",".join(tracks[start:end])}],"created_at":"{at}","updated_at":"{then}"}},'
        f'"emitted_at":{emitted_at}}}}}\n'
        for user, start, end, at, then in zip(
            users.tolist(),
            starts,
            ends.tolist(),
            np.datetime_as_string(created).tolist(),
            np.datetime_as_string(updated).tolist(),
            strict=True,
        )
    ]


def _catalogue(library: Library, emitted_at: int, day: int) -> Iterator[str]:
    """Both full-refresh streams whole, each with its status."""
    listed = library.track_ids[np.arange(len(library.track_ids)) % LISTS_PER_USER != LISTS_PER_USER - 1]
    new_count = round(NEW_OF_CATALOGUE * len(library.track_ids)) * day
    tracks = np.sort(listed).tolist() + list(
        range(20 * len(library.track_ids), 20 * len(library.track_ids) + new_count)
    )
    changed = set(tracks[:: max(len(listed) // CHANGED_TRACKS, 1)]) if day else set()
    yield "".join(_track_line(each, emitted_at, is_changed=each in changed) for each in tracks)
    yield _status("tracks", emitted_at)
    users = library.user_ids.tolist()
    users += range(20 * len(users), 20 * len(users) + new_count)
    yield "".join(_user_line(each, emitted_at) for each in users)
    yield _status("users", emitted_at)


def _track_line(number: int, emitted_at: int, *, is_changed: bool) -> str:
    words = f"{WORDS[number % 10]} {WORDS[number // 10 % 10]}"
    return (
        f'{{"type":"RECORD","record":{{"stream":"tracks","data":{{"id":{number},"name":"{words} {number}",'
        f'"artist":"The {WORDS[number // 7 % 10]}s","songwriters":"{WORDS[number // 3 % 10]} Songs, J. Doe",'
        f'"duration":"{number % 7}:{number % 60:02}","genres":"{GENRES[(number + is_changed) % len(GENRES)]}",'
        f'"album":"{words}","created_at":"2023-05-0{number % 9 + 1}T08:15:00.{number % 1_000_000:06}",'
        f'"updated_at":"2023-06-1{number % 10}T09:{number % 60:02}:00"}},"emitted_at":{emitted_at}}}}}\n'
    )


def _user_line(number: int, emitted_at: int) -> str:
    return (
        f'{{"type":"RECORD","record":{{"stream":"users","data":{{"id":{number},"first_name":"{WORDS[number % 10]}",'
        f'"last_name":"{WORDS[number // 10 % 10]}son","email":"User.{number}@Example.org",'
        f'"gender":"{("Female", "Male", "Other")[number % 3]}","favorite_genres":"{GENRES[number % len(GENRES)]}",'
        f'"created_at":"2023-05-0{number % 9 + 1}T08:15:00.{number % 1_000_000:06}",'
        f'"updated_at":"2023-06-1{number % 10}T09:{number % 60:02}:00"}},"emitted_at":{emitted_at}}}}}\n'
    )


def _status(stream: str, emitted_at: int) -> str:
    return (
        f'{{"type":"TRACE","trace":{{"type":"STREAM_STATUS","emitted_at":{emitted_at},"stream_status":'
        f'{{"stream_descriptor":{{"name":"{stream}"}},"status":"COMPLETE"}}}}}}\n'
    )


def _instants(random: np.random.Generator, count: int, from_day: int, days: int) -> np.ndarray:
    start = FIRST_DAY + np.timedelta64(from_day, "D")
    return start + random.integers(0, days * 86_400_000_000, count).astype("timedelta64[us]")


def _milliseconds(at: np.datetime64) -> int:
    return int(at.astype("datetime64[ms]").astype(np.int64))


if __name__ == "__main__":
    main()
