"""The Python half of source-moovitamix; manifest.yaml names these classes as source_declarative_manifest.components.X.

    a response ─► read_page ─► Page            what a page is, and the error when it is not one
    Page       ─► Walk      ─► the next page   which page follows, also when `total` shrinks
    EnvelopePagination                         the Walk as the CDK's pagination strategy
    PageErrorHandler                           which answers are tried again, how often, with which message
    PacedApiKey, Pace                          the API key, and a pause that all requests of the process keep
    PagesAheadRetriever                        reads the pages, several requests in flight, rows in order
    RealDate                                   a configured date that the calendar has

One file without relative imports and without postponed annotations: some runners execute it before its module has a
name. No component keeps what it reads on itself: the CDK reads all partitions of a stream through one instance.
"""

import math
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from operator import itemgetter
from threading import Lock
from typing import Any, NamedTuple, Optional
from urllib.parse import parse_qs, urlsplit

import orjson
import requests
from airbyte_cdk.models import (
    AirbyteEstimateTraceMessage,
    AirbyteLogMessage,
    AirbyteMessage,
    AirbyteTraceMessage,
    EstimateType,
    FailureType,
    Level,
    TraceType,
    Type,
)
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.declarative.interpolation import InterpolatedString
from airbyte_cdk.sources.declarative.requesters.error_handlers.default_error_handler import DefaultErrorHandler
from airbyte_cdk.sources.declarative.requesters.paginators.default_paginator import DefaultPaginator
from airbyte_cdk.sources.declarative.requesters.paginators.strategies.pagination_strategy import PaginationStrategy
from airbyte_cdk.sources.declarative.requesters.request_options import RequestOptionsProvider
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.declarative.retrievers.retriever import Retriever
from airbyte_cdk.sources.declarative.validators.validation_strategy import ValidationStrategy
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor
from airbyte_cdk.sources.streams.core import StreamData
from airbyte_cdk.sources.streams.http.error_handlers.response_models import (
    SUCCESS_RESOLUTION,
    ErrorResolution,
    ResponseAction,
)
from airbyte_cdk.sources.types import Config, Record, StreamSlice
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

# ── Pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class NotAPageError(ValueError):
    """A successful answer whose body is not the page asked for; the text says what came instead."""


class Page(NamedTuple):
    """One page: `{"items": [...], "total": 1000, "page": 3, "size": 100, "pages": 10}`.

    The four numbers may be null (the API's paginator allows it); `number` and `size` then are those asked for.
    """

    items: list[dict[str, Any]]
    total: int | None
    number: int
    size: int


def read_page(response: requests.Response) -> Page:
    """The page a response carries; raises NotAPageError unless it is the page asked for, complete.

    Parsed once per response: the error handler judges it, the paginator and the retriever use it.
    """
    page: Page | None = getattr(response, "moovitamix_page", None)
    if page is None:
        page = _parse_page(response)
        response.moovitamix_page = page  # type: ignore[attr-defined]
    return page


def _parse_page(response: requests.Response) -> Page:
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        raise NotAPageError(f"expected a page of records as JSON, got {_start_of(response)} ({error})") from error
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise NotAPageError(f"expected an object with a list of records in 'items', got {_start_of(response)}")
    numbers = {name: body.get(name, "nothing") for name in ("total", "page", "size", "pages")}
    smallest = {"total": 0, "page": 1, "size": 1, "pages": 0}
    for name, value in numbers.items():
        if value is not None and (type(value) is not int or value < smallest[name]):
            raise NotAPageError(f"expected an integer from {smallest[name]} or null in {name!r}, got {value!r}")

    asked_number, asked_size = _asked_for(response, "page", 1), _asked_for(response, "size", 100)
    total, size = numbers["total"], numbers["size"] or asked_size
    number = numbers["page"] or asked_number
    if number != asked_number:
        raise NotAPageError(f"expected page {asked_number}, got page {number}")
    if len(items) > size:
        raise NotAPageError(f"expected {size} records at most (size={size}), got {len(items)}")
    if total is not None:
        announced = min(size, max(0, total - (number - 1) * size))
        if len(items) < announced:
            raise NotAPageError(f"expected {announced} records (total={total}, size={size}), got {len(items)}")
    return Page(items, total, number, size)


def _asked_for(response: requests.Response, parameter: str, default: int) -> int:
    values = parse_qs(urlsplit(response.request.url or "").query).get(parameter, [])
    return int(values[0]) if values and values[0].isdigit() else default


def _start_of(response: requests.Response) -> str:
    return repr(response.content[:200].decode("utf-8", "replace")) if response.content else "an empty body"


# ── Which page comes next ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Walk:
    """How far one pass over a collection has come, in positions: row n of page p has position (p - 1) * size + n - 1.

    When rows the reader has passed are removed, those ahead of it slide towards the start, some onto pages already
    read. `total` tells how far at most: when it is d lower than on the page before, a row never seen can be d positions
    below where the reader stopped. So `seen` falls by d, and the page that holds position `seen` is read next, be it
    one read before. Rows added only push rows on: they are seen twice, which the key mends downstream, never missed.
    """

    page: int = 1
    total: int | None = None  # as on the page before
    seen: int = 0  # every row below this position was seen
    island: tuple[int, int] = (0, 0)  # positions from, to that were seen too, behind a gap
    repeats: int = 0  # pages asked for again so far

    def after(self, page: Page) -> Optional["Walk"]:
        """The walk once `page` is read; None at the end of the collection."""
        if page.total is None:  # nothing to count with: the first page without rows is the end
            return Walk(page=self.page + 1) if page.items else None
        change = page.total - (page.total if self.total is None else self.total)
        removed, added = max(0, -change), max(0, change)
        seen = max(0, self.seen - removed)
        # What is certain of an island: rows of the gap before it may be pushed into it, rows behind it may slide there.
        island = (self.island[0] + added, self.island[1] - removed)
        start = (page.number - 1) * page.size
        end = start + len(page.items)
        if start > seen:  # rows slid onto earlier pages: this page is kept, the gap before it is read next
            island = (start, end)
        else:
            seen = max(seen, end)
            if island[0] <= seen:
                seen = max(seen, island[1])
                island = (0, 0)
        if seen >= page.total:
            return None
        following = seen // page.size + 1
        return Walk(following, page.total, seen, island, self.repeats + (following <= self.page))


class PageToken(int):
    """A page number that carries its walk: the CDK sends it as the number, the strategy stays without state."""

    walk: Walk

    def __new__(cls, page: int, walk: Walk | None = None) -> "PageToken":  # copied by the CDK: with the page alone
        token = super().__new__(cls, page)
        token.walk = walk or Walk(page=page)
        return token


@dataclass
class EnvelopePagination(PaginationStrategy):
    """Pages by the envelope's `total`: exactly one request a page, and back to the pages that rows slid onto."""

    config: Config
    parameters: InitVar[Mapping[str, Any]]
    page_size: int | str = 100

    REPEATS_ALLOWED = 20  # on top of one a page, which a row removed between any two requests costs

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        size = InterpolatedString.create(str(self.page_size), parameters=parameters or {}).eval(self.config)
        self._page_size = int(size)

    @property
    def initial_token(self) -> PageToken:
        return PageToken(1)

    def get_page_size(self) -> int:
        return self._page_size

    def next_page_token(
        self,
        response: requests.Response,
        last_page_size: int,
        last_record: Record | None,
        last_page_token_value: Any | None = None,  # noqa: ANN401 (the interface's type)
        page_size_override: int | None = None,
        stream_slice: StreamSlice | None = None,
    ) -> PageToken | None:
        """Decides by the body alone: `last_page_size` counts rows after the connector's filter, never stop on it."""
        page = read_page(response)
        walk = getattr(last_page_token_value, "walk", None) or Walk(page=int(last_page_token_value or 1))
        following = walk.after(page)
        if following is None:
            return None
        if following.repeats > self.REPEATS_ALLOWED + math.ceil((page.total or 0) / page.size):
            raise AirbyteTracedException(
                message=(
                    f"GET {response.url}: expected a 'total' that settles, got {page.total}, smaller again after "
                    f"{following.repeats} pages were read again. Rows may be missing, so the read stops and the state "
                    "stays; run it again when fewer rows are being deleted."
                ),
                failure_type=FailureType.transient_error,
            )
        return PageToken(following.page, following)


# ── Errors and waiting ───────────────────────────────────────────────────────────────────────────────────────────────

MAX_RETRIES = 5
MAX_WAIT_SECONDS = 600
RATE_LIMIT_TRIES = 50


def setting(config: Config, name: str, default: int) -> int:
    """A whole number of the configuration; absent and null both mean the default."""
    value = config.get(name)
    return default if value is None else int(value)


def retry_after(answer: requests.Response | Exception | None) -> float | None:
    """Seconds that a 429 or 503 asks to wait (`Retry-After`: seconds or an HTTP date); None when it does not say."""
    if not isinstance(answer, requests.Response) or answer.status_code not in (429, 503):
        return None
    value = answer.headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


@dataclass
class PageErrorHandler(DefaultErrorHandler):
    """Judges each answer: the manifest's response_filters say what a status code means, this class what a page is.

    A 200 that is not the page asked for is treated as a 503 is. It is also the back-off strategy, so that the number
    of attempts and the last message are decided in one place: `max_retries` failures, or RATE_LIMIT_TRIES refusals
    by a rate limit. Between attempts the CDK waits 1, 2, 4, … seconds, or what `Retry-After` says.
    """

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters or {})
        self.backoff_strategies = [self]  # type: ignore[list-item]
        self.max_retries = RATE_LIMIT_TRIES  # the CDK's limit; backoff_time ends other failures sooner
        self.max_time = RATE_LIMIT_TRIES * MAX_WAIT_SECONDS

    def interpret_response(self, response_or_exception: requests.Response | Exception | None) -> ErrorResolution:
        if isinstance(response_or_exception, requests.Response):
            where = f"GET {response_or_exception.url}: "
            resolution = self._judge_response(response_or_exception)
        else:  # the exception knows its URL, unless it is about a body that broke off
            request = getattr(response_or_exception, "request", None)
            where = f"GET {request.url}: " if request is not None else ""
            resolution = self._judge_exception(response_or_exception)
        if resolution.error_message:  # an API may repeat the key in its error
            resolution = replace(resolution, error_message=filter_secrets(where + resolution.error_message))
        return resolution

    def _judge_response(self, response: requests.Response) -> ErrorResolution:
        if response.ok:
            try:
                read_page(response)
            except NotAPageError as error:
                message = f"{error}. Check that api_url points at a MooVitamix API."
                return ErrorResolution(ResponseAction.RETRY, FailureType.system_error, message)
            return SUCCESS_RESOLUTION
        known = super().interpret_response(response)
        got = f"HTTP {response.status_code} with {_start_of(response)}"
        return replace(known, error_message=f"expected a page of records, got {got}. {known.error_message}")

    def _judge_exception(self, error: Exception | None) -> ErrorResolution:
        message = f"expected a page of records, got {type(error).__name__}: {error}. "
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return ErrorResolution(ResponseAction.FAIL, FailureType.config_error, message + "Check api_url.")
        message += "Check that the API is running and that api_url is its address."
        return ErrorResolution(ResponseAction.RETRY, FailureType.transient_error, message)

    def backoff_time(
        self,
        response_or_exception: requests.Response | requests.RequestException | None,
        attempt_count: int = 0,
    ) -> float | None:
        """Seconds until the next attempt, None for the CDK's exponential series; raises when there is no next one."""
        resolution = self.interpret_response(response_or_exception)
        rate_limited = resolution.response_action == ResponseAction.RATE_LIMITED
        tries = RATE_LIMIT_TRIES if rate_limited else 1 + setting(self.config, "max_retries", MAX_RETRIES)
        longest = setting(self.config, "max_wait_seconds", MAX_WAIT_SECONDS)
        wait = retry_after(response_or_exception)
        if attempt_count >= tries:
            end = f"Gave up after {attempt_count} attempts."
        elif wait is not None and wait > longest:
            end = f"It asks to wait {wait:.0f} s, longer than {longest} s: run the read again later."
        else:
            if wait is None and rate_limited:
                wait = min(2.0 ** (attempt_count - 1), longest)
            return None if wait is None else max(wait - 1, 0.001)  # the CDK adds a second, and takes 0 for None
        raise AirbyteTracedException(
            message=f"{resolution.error_message} {end}",
            failure_type=resolution.failure_type or FailureType.system_error,
        )


class Pace:
    """When the next request to one API may leave; one per API and process, all streams and threads keep it.

    After a 429 no request leaves before `Retry-After` has passed, and those that waited leave one by one: let go at
    once, they would all be refused again. The gap between them doubles with each refusal, and shrinks with each page.
    The refusals of requests in flight together count once.
    """

    FIRST_GAP, LARGEST_GAP, SHRINK = 0.05, 5.0, 0.98

    def __init__(self) -> None:
        self._lock = Lock()
        self._opens_at = self._closed_until = 0.0  # time.monotonic()
        self._gap = 0.0

    def wait(self, longest: float) -> None:
        """Returns when the request may leave; raises when that is more than `longest` seconds away."""
        while True:
            with self._lock:
                pause = self._opens_at - time.monotonic()
                if pause <= 0:
                    if self._gap:
                        self._opens_at = time.monotonic() + self._gap
                    return
            if pause > longest:
                raise AirbyteTracedException(
                    message=(
                        f"The API refused a request (HTTP 429): expected to be let in within {longest} s, got a "
                        f"Retry-After with {pause:.0f} s left. Run the read again later."
                    ),
                    failure_type=FailureType.transient_error,
                )
            time.sleep(pause)

    def refused(self, seconds: float) -> None:
        with self._lock:
            now = time.monotonic()
            if now >= self._closed_until:
                self._gap = min(max(self.FIRST_GAP, self._gap * 2), self.LARGEST_GAP)
            self._closed_until = max(self._closed_until, now + seconds)
            self._opens_at = max(self._opens_at, self._closed_until)

    def answered(self) -> None:
        with self._lock:
            self._gap *= self.SHRINK
            if self._gap < self.FIRST_GAP / 2:
                self._gap = 0.0


_PACES: dict[str, Pace] = {}
_PACES_LOCK = Lock()


def pace_of(api_url: str) -> Pace:
    with _PACES_LOCK:
        return _PACES.setdefault(api_url, Pace())


@dataclass
class PacedApiKey(DeclarativeAuthenticator):
    """Sends the API key, when there is one, and keeps the Pace.

    The authenticator is where the CDK lets a component see every attempt: it is called before each request, retries
    included, and `update_from_response` after each answer (protocol ResponseAwareAuthenticator).
    """

    config: Config
    parameters: InitVar[Mapping[str, Any]]
    header: str = "X-API-Key"

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self._pace = pace_of(str(self.config.get("api_url")))
        self._longest_wait = setting(self.config, "max_wait_seconds", MAX_WAIT_SECONDS)

    @property
    def auth_header(self) -> str:
        return self.header if self.token else ""

    @property
    def token(self) -> str:
        return self.config.get("api_key") or ""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self._pace.wait(self._longest_wait)
        super().__call__(request)
        return request

    def update_from_response(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        if response.status_code == 429:
            self._pace.refused(max(1.0, retry_after(response) or 0.0))
        elif response.ok:
            self._pace.answered()


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PAGES_AHEAD = 8
PASSES = 3


class HashedSlice(StreamSlice):
    """A slice hashed once: the cursor hashes a record's slice, by way of a JSON dump, for every record it observes."""

    def __hash__(self) -> int:
        known = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = super().__hash__()
        return known


class Window:
    """What a slice covers, and the slices that say whether a record counts for the state: it is made of `covered`."""

    def __init__(self, stream_slice: StreamSlice) -> None:
        self.covered = HashedSlice(
            partition=stream_slice.partition,
            cursor_slice=stream_slice.cursor_slice,
            extra_fields=stream_slice.extra_fields,
        )
        self.uncounted = HashedSlice(partition={}, cursor_slice={})
        bounds = [stream_slice.get(bound) for bound in ("start_time", "end_time")]
        self.start, self.end = (parse_moment(bound) if bound else None for bound in bounds)


@dataclass
class Tally:
    """What one read of a stream has done so far; printed in one line when it ends."""

    pages: int = 0
    repeated_pages: int = 0
    highest_page: int = 0
    rows: int = 0
    filtered_out: int = 0
    started: float = field(default_factory=time.monotonic)

    def count(self, page: Page) -> None:
        self.pages += 1
        self.rows += len(page.items)
        self.repeated_pages += page.number <= self.highest_page
        self.highest_page = max(self.highest_page, page.number)

    def __str__(self) -> str:
        return (
            f"{self.rows} rows in {self.pages} pages ({self.repeated_pages} of them read again), "
            f"{self.filtered_out} rows filtered out, {self.rows - self.filtered_out} records, "
            f"{time.monotonic() - self.started:.2f} s"
        )


@dataclass
class PagesAheadRetriever(Retriever):
    """Reads a collection page by page, up to `pages_ahead` requests in flight, and gives the rows in the API's order.

    The paginator alone decides which page comes next. The retriever guesses ahead, rightly unless rows vanish while it
    reads; a page fetched early is handed to the paginator in its turn, which judges it by the `total` it carries.

    With `cursor_field`, rows that changed before the slice's start are left out, since an API may ignore
    `updated_since`. Rows that changed after its end are emitted but do not count for the state: neither a date in the
    future nor a row that changed during the read can carry the state past a row that was not seen yet.
    """

    requester: Requester
    paginator: DefaultPaginator
    config: Config
    parameters: InitVar[Mapping[str, Any]]
    name: str = ""
    primary_key: str | list[str] | None = None
    request_options_provider: RequestOptionsProvider | None = None
    cursor: Cursor | None = None
    cursor_field: str = ""

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self._key = [self.primary_key] if isinstance(self.primary_key, str) else list(self.primary_key or [])
        if not self._key:
            raise ValueError(f"{self.name}: expected a primary_key in the manifest, got {self.primary_key!r}")
        self._key_of = itemgetter(*self._key)

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[StreamData]:
        """The slice's records, an ESTIMATE message before the first of them, a LOG message with the tally at the end.

        The CDK takes messages among the records (StreamData) and passes them on in this order.
        """
        tally = Tally()
        try:
            yield from self._read(stream_slice or StreamSlice(partition={}, cursor_slice={}), tally)
        except Exception:
            yield self._log(f"stopped by an error after {tally}")
            raise
        yield self._log(str(tally))

    def _read(self, stream_slice: StreamSlice, tally: Tally) -> Iterator[StreamData]:
        hashes = array("q")  # of the keys of all rows: 8 bytes a row, looked at only when `total` fell
        window = Window(stream_slice)
        ahead = setting(self.config, "pages_ahead", PAGES_AHEAD)
        with RequestsAhead(partial(self._fetch, stream_slice), ahead) as requests_ahead:
            for _ in range(PASSES):
                largest = last = 0
                for page in self._pages(requests_ahead):
                    tally.count(page)
                    if tally.pages == 1 and page.total is not None:
                        yield self._estimate(page.total)
                    hashes.extend(self._hashes(page.items))
                    last = page.total or 0
                    largest = max(largest, last)
                    yield from self._records(page, window, tally)
                # A `total` that never fell, or as many rows as were ever announced: none can be missing. Otherwise
                # rows were removed while we read; they may never have been seen, or a late `total` has hidden others.
                if last >= largest or len(set(hashes)) >= largest:
                    return
                yield self._log(f"saw {len(set(hashes))} rows of {largest}, total is {last} now: reads all pages again")
        raise AirbyteTracedException(
            message=(
                f"{self.name}: expected {largest} rows, the largest 'total' of the API, got {len(set(hashes))} in "
                f"{PASSES} passes, and 'total' fell in each. Rows may be missing, so the state stays; run the read "
                "again when fewer rows are being deleted."
            ),
            failure_type=FailureType.transient_error,
        )

    def _pages(self, requests_ahead: "RequestsAhead") -> Iterator[Page]:
        """One pass over the collection, in the paginator's order."""
        token = self.paginator.get_initial_token()
        before: Page | None = None
        while token is not None:
            response = requests_ahead.take(token)
            page = read_page(response)
            if page.total is None and page.items and before is not None and page.items == before.items:
                raise AirbyteTracedException(
                    message=(
                        f"GET {response.url}: expected other records than on the page before, got the same "
                        f"{len(page.items)}. Without 'total' the read would never end; the API must honour 'page'."
                    ),
                    failure_type=FailureType.system_error,
                )
            following = self.paginator.next_page_token(response, len(page.items), None, token)
            token = following["next_page_token"] if following else None
            if token is not None and page.total is not None:
                requests_ahead.fill(token, math.ceil(page.total / page.size))
            yield page
            before = page

    def _fetch(self, stream_slice: StreamSlice, number: int) -> requests.Response:
        token = {"next_page_token": number}
        params = dict(self.paginator.get_request_params(next_page_token=token))
        if self.request_options_provider is not None:
            params.update(self.request_options_provider.get_request_params(stream_slice=stream_slice))
        try:
            response = self.requester.send_request(
                stream_slice=stream_slice, next_page_token=token, request_params=params
            )
        except AirbyteTracedException as error:
            if error.message and error.message.startswith("expected"):
                error.message = f"{self.name}, page {number}: {error.message}"
            if error.internal_message:  # the CDK quotes the API's answer there and prints it as it is
                error.internal_message = filter_secrets(error.internal_message)
            raise
        if response is None:
            raise RuntimeError(f"{self.name}: expected a response for page {number}, got None from the requester")
        return response

    def _records(self, page: Page, window: Window, tally: Tally) -> Iterator[Record]:
        if not self.cursor_field or window.start is None or window.end is None:
            for item in page.items:
                yield Record(data=item, stream_name=self.name, associated_slice=window.covered)
            return
        for item in page.items:
            moment = self._moment_of(item)
            if moment is not None and moment < window.start:
                tally.filtered_out += 1
                continue
            counted = moment is None or moment <= window.end  # without a moment no cursor can tell: emitted every time
            if counted and moment is not None and moment.utcoffset() and self.cursor is not None:
                # The CDK would write 12:00+02:00 into the state as 12:00 UTC, two hours too late.
                utc = {self.cursor_field: moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")}
                self.cursor.observe(Record(data=utc, stream_name=self.name, associated_slice=window.covered))
                counted = False
            associated = window.covered if counted else window.uncounted
            yield Record(data=item, stream_name=self.name, associated_slice=associated)

    def _moment_of(self, item: Mapping[str, Any]) -> datetime | None:
        value = item.get(self.cursor_field)
        if value is None:
            return None
        try:
            return parse_moment(value)
        except (TypeError, ValueError) as error:
            key = ", ".join(f"{name}={item.get(name)!r}" for name in self._key)
            raise AirbyteTracedException(
                message=(
                    f"{self.name}: expected an ISO date and time in {self.cursor_field!r}, got {value!r} in the record "
                    f"with {key}. The read stops and the state stays; correct the record in the API."
                ),
                failure_type=FailureType.system_error,
            ) from error

    def _hashes(self, items: list[dict[str, Any]]) -> list[int]:
        try:
            return list(map(hash, map(self._key_of, items)))
        except (KeyError, TypeError):  # a part of a key is missing, or is a list or an object
            return [self._hash(item) for item in items]

    def _hash(self, item: Mapping[str, Any]) -> int:
        parts = tuple(item.get(name) for name in self._key)
        try:
            return hash(parts if len(parts) > 1 else parts[0])
        except TypeError:
            return hash(orjson.dumps(parts))

    def _estimate(self, total: int) -> AirbyteMessage:
        estimate = AirbyteEstimateTraceMessage(name=self.name, type=EstimateType.STREAM, row_estimate=total)
        trace = AirbyteTraceMessage(type=TraceType.ESTIMATE, emitted_at=time.time() * 1000, estimate=estimate)
        return AirbyteMessage(type=Type.TRACE, trace=trace)

    def _log(self, text: str) -> AirbyteMessage:
        return AirbyteMessage(type=Type.LOG, log=AirbyteLogMessage(level=Level.INFO, message=f"{self.name}: {text}"))


class RequestsAhead:
    """The page requests of one read: those in flight, and those answered whose turn has not come yet."""

    def __init__(self, fetch: Callable[[int], requests.Response], ahead: int) -> None:
        self._fetch, self._ahead = fetch, ahead
        self._pool = ThreadPoolExecutor(max(1, ahead), thread_name_prefix="page")
        self._waiting: dict[int, Future[requests.Response]] = {}

    def __enter__(self) -> "RequestsAhead":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)  # an error is told at once, not after the others' retries

    def take(self, page: int) -> requests.Response:
        future = self._waiting.pop(int(page), None)
        return future.result() if future else self._fetch(int(page))

    def fill(self, first: int, last: int) -> None:
        for page in range(int(first), last + 1):
            if len(self._waiting) >= self._ahead:
                return
            if page not in self._waiting:
                self._waiting[page] = self._pool.submit(self._fetch, page)


# ── Dates ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def parse_moment(value: str) -> datetime:
    """ISO 8601, with or without microseconds, `Z` or an offset; without a zone it is UTC, as for the CDK's cursor."""
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class RealDate(ValidationStrategy):
    """What the spec's pattern cannot see: 30 February."""

    def validate(self, value: str) -> None:
        try:
            datetime.fromisoformat(value)
        except ValueError as error:
            raise AirbyteTracedException(
                message=f"start_date: expected a date of the calendar, got {value!r} ({error}).",
                failure_type=FailureType.config_error,
            ) from error
