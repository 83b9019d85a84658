"""The Python half of source-moovitamix; manifest.yaml names these classes as source_declarative_manifest.components.X.

    a response ─► read_page ─► Page            what a page is, and the error when it is not one
    Page       ─► Walk      ─► the next page   which page follows, also when `total` shrinks
    EnvelopePagination                         the Walk as the CDK's pagination strategy
    PageErrorHandler                           which answers are tried again, how often, with which message
    PatientRequester                           waits for an answer as long as the configuration says
    PacedApiKey, Pace                          the API key, and a pause that all requests of the process keep
    PagesAheadRetriever                        reads the pages, several requests in flight, rows in order
    KnownState                                 the state of an earlier sync, or the error when it is not one
    RealDate, AddressWithoutSecrets,
    SendableKey                                what a configuration may say, where its spec cannot tell

One file without relative imports and without postponed annotations: some runners execute it before its module has a
name. No component keeps what it reads on itself: the CDK reads all partitions of a stream through one instance.
"""

import logging
import math
import re
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import InitVar, dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from operator import itemgetter
from threading import Lock, local
from typing import Any, NamedTuple, Optional
from urllib.parse import parse_qs, urljoin, urlsplit

import orjson
import requests
from airbyte_cdk.models import (
    AirbyteEstimateTraceMessage,
    AirbyteLogMessage,
    AirbyteMessage,
    AirbyteRecordMessage,
    AirbyteTraceMessage,
    EstimateType,
    FailureType,
    Level,
    TraceType,
    Type,
)
from airbyte_cdk.sources.declarative.auth.declarative_authenticator import DeclarativeAuthenticator
from airbyte_cdk.sources.declarative.interpolation import InterpolatedString
from airbyte_cdk.sources.declarative.migrations.state_migration import StateMigration
from airbyte_cdk.sources.declarative.requesters.error_handlers.default_error_handler import DefaultErrorHandler
from airbyte_cdk.sources.declarative.requesters.http_requester import HttpRequester
from airbyte_cdk.sources.declarative.requesters.paginators.default_paginator import DefaultPaginator
from airbyte_cdk.sources.declarative.requesters.paginators.strategies.pagination_strategy import PaginationStrategy
from airbyte_cdk.sources.declarative.requesters.request_options import (
    InterpolatedRequestOptionsProvider,
    RequestOptionsProvider,
)
from airbyte_cdk.sources.declarative.requesters.requester import Requester
from airbyte_cdk.sources.declarative.retrievers.retriever import Retriever
from airbyte_cdk.sources.declarative.validators.validation_strategy import ValidationStrategy
from airbyte_cdk.sources.streams import NO_CURSOR_STATE_KEY
from airbyte_cdk.sources.streams.concurrent.cursor import Cursor
from airbyte_cdk.sources.streams.core import StreamData
from airbyte_cdk.sources.streams.http.error_handlers.response_models import (
    SUCCESS_RESOLUTION,
    ErrorResolution,
    ResponseAction,
)
from airbyte_cdk.sources.types import Config, Record, StreamSlice
from airbyte_cdk.utils.airbyte_secrets_utils import filter_secrets
from airbyte_cdk.utils.analytics_message import create_analytics_message
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from urllib3.exceptions import LocationValueError

# ── Pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class NotAPageError(ValueError):
    """A successful answer whose body is not the page asked for; the text says what came instead."""


class Page(NamedTuple):
    """One page: `{"items": [...], "total": 1000, "page": 3, "size": 100, "pages": 10}`.

    The numbers may be null (the API's paginator allows it); `number` and `size` then are those asked for.
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
        raise NotAPageError(f"expected an object with a list of records in 'items', got {_shape_of(body)}")
    smallest = {"total": 0, "page": 1, "size": 1}
    numbers = {name: body.get(name, "nothing") for name in smallest}
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


def _shape_of(body: Any) -> str:  # noqa: ANN401 (any JSON value)
    """What a body is, without its values: they may be people's names and addresses."""
    if isinstance(body, dict):
        return f"an object with {', '.join(map(repr, body)) or 'nothing'}"
    return f"a list of {len(body)}" if isinstance(body, list) else f"a JSON value, a {type(body).__name__}"


def _asked_for(response: requests.Response, parameter: str, default: int) -> int:
    asked = response.history[0] if response.history else response  # a redirect may drop the query
    values = parse_qs(urlsplit(asked.request.url or "").query).get(parameter, [])
    return int(values[0]) if values and values[0].isdigit() else default


def _start_of(response: requests.Response) -> str:
    """What came, in a few words. Of JSON that came with success, no value: it may be people's names and addresses."""
    if not response.content:
        return "an empty body"
    if response.ok and response.content.lstrip()[:1] in (b"{", b"["):
        return f"{len(response.content)} bytes that begin as JSON does"
    return repr(response.content[:200].decode("utf-8", "replace"))


# ── Which page comes next ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Walk:
    """How far one pass over a collection has come, in positions: row n of page p has position (p - 1) * size + n - 1.

    When rows the reader has passed are removed, those ahead of it slide towards the start, some onto pages already
    read. `total` tells how far at most: when it is d lower than on the page before, a row never seen can be d positions
    below where the reader stopped. So `seen` falls by d, and the page that holds position `seen` is read next, be it
    one read before. Rows added only push rows on: they are seen twice, which the key mends downstream, never missed.

    When rows came in the meantime, more slid than `total` tells: see `is_doubtful`.

    A page without `total`, or with more rows than it announces, cannot tell. It counts as seen once a later page says
    that `total` has not fallen.
    """

    page: int = 1
    total: int | None = None  # as on the last page that had one
    seen: int = 0  # every row below this position was seen
    unsure: int = 0  # rows below this position too, unless some were removed meanwhile
    island: tuple[int, int] = (0, 0)  # positions from, to that were seen too, behind a gap
    has_moved: bool = False  # the island's rows: `total` is another since they were seen
    goes_back: bool = False  # the page is read to find rows that slid, so it begins with one that was seen
    repeats: int = 0  # pages asked for again so far

    def is_doubtful(self, page: Page) -> bool:
        """Whether rows may be missing before the page's first one, unless that was seen: `total` fell by d, but more
        than d rows were removed, and others came."""
        start = (page.number - 1) * page.size
        removed = max(0, (self.total or 0) - page.total) if page.total is not None else 0
        return 0 < start <= self.seen - removed and bool(removed or self.goes_back)

    def further_back(self, page: Page) -> "Walk":
        """The walk when the page, a doubtful one, does not begin with a row that was seen."""
        before = page.number - 1
        seen = min(self.seen, (before - 1) * page.size)
        total = self.total if page.total is None else page.total
        return replace(self._on_to(before), total=total, seen=seen, unsure=0, island=(0, 0), goes_back=True)

    def after(self, page: Page) -> Optional["Walk"]:
        """The walk once `page` is read; None at the end of the collection."""
        start = (page.number - 1) * page.size
        end = start + len(page.items)
        if page.total is None or (page.items and page.total < end):
            return self._without_total(page, end)
        change = page.total - (page.total if self.total is None else self.total)
        removed, added = max(0, -change), max(0, change)
        seen = max(0, self.seen - removed) if removed else max(self.seen, self.unsure)
        # What is certain of an island: rows of the gap before it may be pushed into it, rows behind it may slide there.
        island = (self.island[0] + added, self.island[1] - removed)
        has_moved, goes_back = bool(change or self.has_moved), False
        if start > seen:  # rows slid onto earlier pages: this page is kept, the gap before it is read next
            island, has_moved, goes_back = (start, end), False, True
        else:
            seen = max(seen, end)
            if island[0] <= seen:
                goes_back = has_moved and self.island != (0, 0)
                seen = max(seen, island[1])
                island, has_moved = (0, 0), False
        if seen >= page.total:
            return None
        return replace(
            self._on_to(seen // page.size + 1),
            total=page.total,
            seen=seen,
            unsure=0,
            island=island,
            has_moved=has_moved,
            goes_back=goes_back,
        )

    def _without_total(self, page: Page, end: int) -> Optional["Walk"]:
        """Nothing to count with: the first page without rows is the end, unless an earlier `total` says that there are
        more; and a short page may not be the last."""
        if not page.items:
            is_cut = self.total is not None and max(self.seen, self.unsure) < self.total
            return self._on_to(page.number) if is_cut else None
        unsure = max(self.seen, self.unsure, end)
        following = unsure // page.size + 1 if len(page.items) >= page.size else page.number + 1
        return replace(self._on_to(following), unsure=unsure, goes_back=False)

    def back(self, page: Page, pages: int) -> "Walk":
        """The walk when `page` has another `total`, and was in flight together with `pages` others.

        Which of them was answered first is unknown, so none of them shows where rows slid: all are read again.
        """
        change = abs((page.total or 0) - (self.total or 0))
        seen = max(0, self.seen - pages * page.size - change)
        return replace(self._on_to(seen // page.size + 1), seen=seen, unsure=0, island=(0, 0), goes_back=True)

    def _on_to(self, page: int) -> "Walk":
        return replace(self, page=page, repeats=self.repeats + (page <= self.page))


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
            expected = (
                f"the {walk.total} records announced, got pages without records or 'total'"
                if page.total is None
                else f"a 'total' that settles, got {page.total}, smaller again"
            )
            raise AirbyteTracedException(
                message=(
                    f"GET {response.url}: expected {expected} after {following.repeats} pages were read again. Rows "
                    "may be missing, so the read stops and the state stays; run it again when fewer rows are being "
                    "deleted."
                ),
                failure_type=FailureType.transient_error,
            )
        return PageToken(following.page, following)


# ── Errors and waiting ───────────────────────────────────────────────────────────────────────────────────────────────

MAX_RETRIES = 5
MAX_WAIT_SECONDS = 600
RATE_LIMIT_TRIES = 50


class Attempts(local):
    """What became of a thread's requests: a request and its retries are made by one thread."""

    retries: int = 0  # asked for so far
    failures: int = 0  # of the request under way, refusals by a rate limit aside


ATTEMPTS = Attempts()
LOGGER = logging.getLogger("airbyte")


class WithholdsContent(logging.Filter):
    """Takes the body out of the line that the CDK logs of each answer it tries again: of a page of users that came
    incomplete, it would be their names and addresses."""

    BODY = ", Response Content: "

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str):
            record.msg = record.msg.partition(self.BODY)[0]
        return True


if not any(type(each).__name__ == WithholdsContent.__name__ for each in LOGGER.filters):  # some runners load us twice
    LOGGER.addFilter(WithholdsContent())


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
    of attempts and the last message are decided in one place: `max_retries` failures, or refusals by a rate limit until
    one request would have waited for `max_wait_seconds` in all. Between attempts the CDK waits 1, 2, 4, … seconds, or
    what `Retry-After` says.
    """

    # What TLS says of a wrong scheme or a certificate that is not trusted: no retry mends it.
    TLS_MISMATCHES = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        super().__post_init__(parameters or {})
        self.backoff_strategies = [self]  # type: ignore[list-item]
        self.max_retries = RATE_LIMIT_TRIES  # the CDK's limit; backoff_time ends other failures sooner
        self.max_time = RATE_LIMIT_TRIES * MAX_WAIT_SECONDS

    def interpret_response(self, response_or_exception: requests.Response | Exception | None) -> ErrorResolution:
        if isinstance(response_or_exception, requests.Response):
            where = f"GET {_route(response_or_exception)}: "
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
        filtered = {code for each in self.response_filters or () for code in each.http_codes or ()}
        # Of a status that no filter has, the CDK's message would be the whole body.
        advice = known.error_message if response.status_code in filtered else "Ask the API's owner what it means."
        got = f"HTTP {response.status_code} with {_start_of(response)}"
        return replace(known, error_message=f"expected a page of records, got {got}. {advice}")

    def _judge_exception(self, error: Exception | None) -> ErrorResolution:
        message = f"expected a page of records, got {type(error).__name__}: {error}. "
        wrong_urls = requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema
        if isinstance(error, wrong_urls | requests.exceptions.TooManyRedirects):
            return ErrorResolution(ResponseAction.FAIL, FailureType.config_error, message + "Check api_url.")
        if isinstance(error, requests.exceptions.SSLError) and any(kind in str(error) for kind in self.TLS_MISMATCHES):
            message += "Check that api_url has the right scheme and host, and that its certificate is trusted."
            return ErrorResolution(ResponseAction.FAIL, FailureType.config_error, message)
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
        if not rate_limited:
            ATTEMPTS.failures += 1
        failures = ATTEMPTS.failures
        tries = 1 + setting(self.config, "max_retries", MAX_RETRIES)
        is_last = attempt_count >= RATE_LIMIT_TRIES if rate_limited else failures >= tries
        longest = setting(self.config, "max_wait_seconds", MAX_WAIT_SECONDS)
        wait = retry_after(response_or_exception)
        if is_last:
            end = f"Gave up after {attempt_count} attempts."
        elif wait is not None and wait > longest:
            end = f"It asks to wait {wait:.0f} s, longer than {longest} s: run the read again later."
        elif not rate_limited:
            ATTEMPTS.retries += 1
            first = 2.0 ** (failures - 1)
            if pace_of(str(self.config.get("api_url"))).failed(failures):
                left = tries - failures
                seconds = first * (2**left - 1) if wait is None else left * wait
                again = "once more" if left == 1 else f"{left} more times"
                LOGGER.warning(f"{resolution.error_message} Trying {again}, for {seconds:.0f} s.")
            if wait is None and failures < attempt_count:  # the CDK's series counts refusals too
                wait = first
            return None if wait is None else max(wait - 1, 0.001)  # the CDK adds a second, and takes 0 for None
        else:
            wait = max(1.0, 2.0 ** (attempt_count - 1) if wait is None else wait)
            waited = _add_wait(response_or_exception, wait)
            if waited <= longest:
                ATTEMPTS.retries += 1
                return max(wait - 1, 0.001)
            end = f"Waited for {waited - wait:.0f} s in all, {longest} s at most: run the read again later."
        raise AirbyteTracedException(
            message=f"{resolution.error_message} {end}",
            failure_type=resolution.failure_type or FailureType.system_error,
        )


def _route(response: requests.Response) -> str:
    """The URL asked for, and where it led when that is elsewhere."""
    asked = response.history[0].url if response.history else response.url
    return asked if asked == response.url else f"{asked}, redirected to {response.url}"


def _add_wait(answer: requests.Response | requests.RequestException | None, seconds: float) -> float:
    """How long a request has been kept waiting, these seconds included; the request, sent again each time, keeps it."""
    request = getattr(answer, "request", None)
    waited = getattr(request, "moovitamix_waited", 0.0) + seconds
    if request is not None:
        request.moovitamix_waited = waited
    return waited


@dataclass
class PatientRequester(HttpRequester):
    """Waits `read_timeout_seconds` for an answer: a HttpRequester of the manifest takes a number, not an option."""

    name: str = field(default="", kw_only=True)  # the CDK gives a stream's name to requesters of its own only
    request_headers: Mapping[str, str] | None = None

    CONNECT_TIMEOUT_SECONDS = 10
    READ_TIMEOUT_SECONDS = 60

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self.name = self.name or parameters["endpoint"]
        self.read_timeout_in_seconds = setting(self.config, "read_timeout_seconds", self.READ_TIMEOUT_SECONDS)
        self.connect_timeout_in_seconds = min(self.CONNECT_TIMEOUT_SECONDS, self.read_timeout_in_seconds)
        self.request_options_provider = InterpolatedRequestOptionsProvider(
            config=self.config, parameters=parameters, request_headers=self.request_headers
        )
        super().__post_init__(parameters)


class Pace:
    """When the next request to one API may leave; one per API and process, all streams and threads keep it.

    After a 429 no request leaves before `Retry-After` has passed, and those that waited leave one by one: let go at
    once, they would all be refused again. The gap between them doubles with each refusal, and shrinks with each page.
    `breadth`, how many requests a stream may have in flight, is halved, and grows by one every GROWTH pages.
    The refusals of requests in flight together count once.
    """

    FIRST_GAP, LARGEST_GAP, SHRINK = 0.05, 5.0, 0.98
    GROWTH = 16

    def __init__(self) -> None:
        self._lock = Lock()
        self._opens_at = self._closed_until = 0.0  # time.monotonic()
        self._gap = self._least_gap = 0.0
        self._breadth, self._widest = math.inf, 1
        self._has_answered = self._is_told = False

    def allow(self, requests_per_second: float | None) -> None:
        """At most so many requests a second from now on; None: as many as there are."""
        self._least_gap = 1 / requests_per_second if requests_per_second else 0.0

    def breadth(self, wanted: int) -> int:
        """How many of the `wanted` requests a stream may have in flight."""
        self._widest = max(self._widest, wanted)
        return int(min(wanted, self._breadth))

    def wait(self, longest: float) -> None:
        """Returns when the request may leave; raises when that is more than `longest` seconds away."""
        while True:
            with self._lock:
                now = time.monotonic()
                pause = self._opens_at - now
                refusal = self._closed_until - now
                if pause <= 0:
                    gap = max(self._gap, self._least_gap)
                    if gap:
                        self._opens_at = now + gap
                    return
            if refusal > longest:
                raise AirbyteTracedException(
                    message=(
                        f"The API refused a request (HTTP 429): expected to be let in within {longest} s, got a "
                        f"Retry-After with {refusal:.0f} s left. Run the read again later."
                    ),
                    failure_type=FailureType.transient_error,
                )
            time.sleep(pause)

    def refused(self, seconds: float) -> None:
        with self._lock:
            now = time.monotonic()
            if now >= self._closed_until:
                self._gap = min(max(self.FIRST_GAP, self._gap * 2), self.LARGEST_GAP)
                self._breadth = max(1.0, min(self._breadth, self._widest) / 2)
            self._closed_until = max(self._closed_until, now + seconds)
            self._opens_at = max(self._opens_at, self._closed_until)

    def answered(self) -> None:
        with self._lock:
            self._gap *= self.SHRINK
            if self._gap < self.FIRST_GAP / 2:
                self._gap = 0.0
            self._breadth += 1 / self.GROWTH
            self._has_answered, self._is_told = True, False

    def failed(self, attempts: int) -> bool:
        """Whether a person should hear of it: an API that has not answered yet may be down; of one that has, the retry
        failed too. Once, until the API answers again: the streams fail together."""
        with self._lock:
            is_news = not self._is_told and (attempts > 1 or not self._has_answered)
            self._is_told = self._is_told or is_news
            return is_news


_REDIRECTS = requests.sessions.SessionRedirectMixin()
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
        self._pace.allow(self.config.get("max_requests_per_second"))
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
        if self.token and self._withhold_key not in request.hooks["response"]:  # a retry comes with the same request
            request.register_hook("response", self._withhold_key)
        return request

    def _withhold_key(self, response: requests.Response, **_: Any) -> None:  # noqa: ANN401 (requests' own)
        """Takes the key off a request that another host is about to get: requests does so with Authorization only."""
        if response.is_redirect:
            target = urljoin(response.url, response.headers["Location"])
            if _REDIRECTS.should_strip_auth(response.url, target):
                response.request.headers.pop(self.header, None)

    def update_from_response(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        if response.status_code == 429:
            self._pace.refused(max(1.0, retry_after(response) or 0.0))
        elif response.ok:
            self._pace.answered()


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

PAGES_AHEAD, NUM_WORKERS = 8, 4
SAME_PAGES = 2  # one can be chance: a page of new rows in front of it
PASSES = 3
VERIFYING_PASSES = 5


class Keys:
    """The keys of all rows read, as 42 bits of their hashes: 10 choose a heap, 32 are kept. That is 4 bytes a row; 6
    were measured, with what arrays and allocator keep free.

    Two keys of a million may look like one, by a chance of one in nine. Then one row more counts as repeated, and at
    worst a pass is made that was not needed.
    """

    HEAPS = 1 << 10

    def __init__(self) -> None:
        self._heaps = [array("I") for _ in range(self.HEAPS)]
        self._before = [0] * self.HEAPS  # how many of each heap are of the passes before

    def add(self, hashes: Iterable[int]) -> None:
        for key in hashes:
            self._heaps[key & 0x3FF].append(key >> 10 & 0xFFFFFFFF)

    def holds(self, key: int) -> bool:
        """Whether a row with this key was read since the pass before ended."""
        heap = key & 0x3FF
        return key >> 10 & 0xFFFFFFFF in self._heaps[heap][self._before[heap] :]

    def different(self) -> int:
        """How many different keys there are."""
        return sum(len(set(heap)) for heap in self._heaps)

    def end_pass(self) -> tuple[int, int]:
        """The keys since the pass before ended: how many different ones, and a digest, equal for equal keys."""
        count, digest = 0, 0
        for number, heap in enumerate(self._heaps):
            keys = set(heap[self._before[number] :])
            self._before[number] = len(heap)
            count += len(keys)
            digest = hash((digest, tuple(sorted(keys))))
        return count, digest


class Trail:
    """The rows of one pass before which none is missing: all that were read, but those of an island.

    `total` says how far rows slid only when no others came. A page that begins with a row of the trail shows it, too.
    """

    def __init__(self, read: Keys) -> None:
        self._read = read
        self._island: set[int] = set()
        self._astray: set[int] = set()  # of islands that were given up

    def bears_out(self, walk: Walk, page: Page, keys: list[int]) -> Walk | None:
        """The walk, as far as a page of it with these keys shows that it is right; None when rows may be missing before
        the page."""
        if walk.is_doubtful(page) and not (keys and self._has(keys[0])):
            return None
        has_moved = walk.has_moved or page.total != walk.total
        if walk.island != (0, 0) and has_moved and not (keys and keys[-1] in self._island):
            return replace(walk, island=(0, 0))  # the page may end before it
        return walk

    def _has(self, key: int) -> bool:
        return self._read.holds(key) and key not in self._island and key not in self._astray

    def add(self, keys: list[int], walk: Walk, following: Walk | None) -> None:
        """A page was read with these keys, and `following` made of `walk`."""
        if walk.island == (0, 0):
            self._astray |= self._island
            self._island = set()
        if following is not None and following.goes_back and following.island != (0, 0):
            self._astray |= self._island
            self._island = set(keys)
            return
        self._astray.difference_update(keys)
        is_joined = following is None or (following.island == (0, 0) and not following.goes_back)
        if is_joined or (keys and keys[-1] in self._island):  # the page reaches into it, hence all of it counts
            self._island = set()


@dataclass
class Tally:
    """What one read of a stream, or of one window of it, has done; told in one line when it ends."""

    pages: int = 0
    rows: int = 0
    filtered_out: int = 0
    records: int = 0
    re_read: int = 0  # pages asked for again
    retries: int = 0
    highest_page: int = 0
    keys: Keys = field(default_factory=Keys)
    started: float = field(default_factory=time.monotonic)
    lock: Lock = field(default_factory=Lock)

    def count(self, page: Page) -> None:
        self.pages += 1
        self.rows += len(page.items)
        self.re_read += page.number <= self.highest_page
        self.highest_page = max(self.highest_page, page.number)

    @property
    def repeated(self) -> int:
        """Rows with a key that had been read before."""
        return self.rows - self.keys.different()

    def count_retries(self, retries: int) -> None:
        with self.lock:  # by the threads that make the requests
            self.retries += retries

    def numbers(self) -> dict[str, float]:
        return {
            "pages": self.pages,
            "rows": self.rows,
            "filtered_out": self.filtered_out,
            "records": self.records,
            "repeated": self.repeated,
            "re_read": self.re_read,
            "retries": self.retries,
            "seconds": round(time.monotonic() - self.started, 3),
        }

    def __str__(self) -> str:
        return (
            f"{self.rows} rows in {self.pages} pages ({self.re_read} of them read again), "
            f"{self.filtered_out} rows filtered out, {self.records} records, {self.repeated} rows repeated, "
            f"{self.retries} retries, {time.monotonic() - self.started:.2f} s"
        )


@dataclass
class PagesAheadRetriever(Retriever):
    """Reads a collection page by page, up to `pages_ahead` requests in flight, and gives the rows in the API's order.

    The paginator alone decides which page comes next. The retriever guesses ahead, rightly unless rows come and go
    while it reads: then it goes back, and reads one page after the other until `total` holds still.

    With `cursor_field`, rows that changed before the slice's start are left out, since an API may ignore
    `updated_since`. Rows that changed after its end are emitted but do not count for the state: neither a date in the
    future nor a row that changed during the read can carry the state past a row that was not seen yet.

    With `slice_days` the slices are windows, and `until_parameter` tells the API their end. A row outside its window
    shows that the API ignored it; it would come in every window, so that is an error.
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
    until_parameter: str = ""

    def __post_init__(self, parameters: Mapping[str, Any]) -> None:
        self._key = [self.primary_key] if isinstance(self.primary_key, str) else list(self.primary_key or [])
        if not self._key:
            raise ValueError(f"{self.name}: expected a primary_key in the manifest, got {self.primary_key!r}")
        self._key_of = itemgetter(*self._key)
        self._moment_in = itemgetter(self.cursor_field)
        self._windowed = bool(self.until_parameter and self.config.get("slice_days"))
        self._verify = bool(self.config.get("verify_reads"))
        self._ahead = setting(self.config, "pages_ahead", PAGES_AHEAD)
        if self._windowed:  # windows are read in parallel, as many as there are workers
            self._ahead //= setting(self.config, "num_workers", NUM_WORKERS)
        self._pace = pace_of(str(self.config.get("api_url")))

    def read_records(
        self, records_schema: Mapping[str, Any], stream_slice: StreamSlice | None = None
    ) -> Iterable[StreamData]:
        """The slice's records, an ESTIMATE message before the first of them, the tally as two messages at the end.

        The CDK takes messages among the records (StreamData) and passes them on in this order.
        """
        tally = Tally()
        stream_slice = stream_slice or StreamSlice(partition={}, cursor_slice={})
        try:
            yield from self._read(stream_slice, tally)
        except Exception:
            yield from self._told(tally, stream_slice, complete=False)
            raise
        yield from self._told(tally, stream_slice, complete=True)

    def _read(self, stream_slice: StreamSlice, tally: Tally) -> Iterator[StreamData]:
        """Passes over the collection, until one of them shows that no row can be missing."""
        window = Window(stream_slice, self._windowed)
        emitted: set[int] | None = set() if self._verify else None
        passes: list[tuple[int, int]] = []
        with RequestsAhead(partial(self._fetch, stream_slice, tally), self._ahead, self._pace) as requests_ahead:
            while len(passes) < (VERIFYING_PASSES if self._verify else PASSES):
                largest = last = 0
                for page in self._pages(requests_ahead, tally.keys):
                    tally.count(page)
                    tally.keys.add(self._hashes(page.items))
                    last = last if page.total is None else page.total
                    largest = max(largest, last)
                    if tally.pages == 1 and page.total is not None and not self._windowed:
                        yield self._estimate(page.total)
                    yield from self._records(page, window, tally, emitted)
                held = tally.keys.end_pass()
                # The walk has looked for what slid when `total` fell. Where it ended lower and fewer rows were seen,
                # the others were removed before they were read, or a `total` that came late has hidden them.
                settled = not self._verify and (last >= largest or held[0] >= largest)
                if settled or held in passes:
                    return
                passes.append(held)
                saw = f"saw {held[0]} rows" + ("" if self._verify else f" of {largest}, total is {last} now")
                yield self._log(f"{saw}: reads all pages again")
        raise AirbyteTracedException(message=self._unsettled(largest, passes), failure_type=FailureType.transient_error)

    def _unsettled(self, largest: int, passes: list[tuple[int, int]]) -> str:
        counts = ", ".join(str(count) for count, _ in passes)
        if self._verify:
            expected = f"expected two passes with the same keys (verify_reads), got {counts} keys, never the same twice"
        else:
            expected = (
                f"expected {largest} rows, the largest 'total' of the API, got {passes[-1][0]} in {len(passes)} passes "
                f"({counts}), and 'total' fell in each"
            )
        return (
            f"{self.name}: {expected}. Rows may be missing, so the state stays; run the read again when fewer rows are "
            "being deleted."
        )

    def _pages(self, requests_ahead: "RequestsAhead", read: Keys) -> Iterator[Page]:
        """One pass over the collection, in the paginator's order.

        Args:
            read: the keys of the pages given so far.
        """
        token = self.paginator.get_initial_token()
        before: Page | None = None
        same, trail = 0, Trail(read)
        while token is not None:
            response, together = requests_ahead.take(token)
            page = read_page(response)
            walk: Walk = token.walk
            if None not in (page.total, walk.total) and page.total != walk.total:
                requests_ahead.slow_down()
                if together:
                    back = walk.back(page, together)
                    token = PageToken(back.page, back)
                    continue
            is_calm = page.total == walk.total and not walk.goes_back and walk.island == (0, 0)
            keys = [] if is_calm else self._hashes(page.items)
            borne_out = trail.bears_out(walk, page, keys)
            if borne_out is None:
                further = walk.further_back(page)
                token = PageToken(further.page, further)
                continue
            walk = borne_out
            repeats = before and before.number < page.number and page.items == before.items
            same = same + 1 if repeats and page.items else 0
            if same == SAME_PAGES:
                raise AirbyteTracedException(
                    message=self._endless(page, response), failure_type=FailureType.system_error
                )
            following = self.paginator.next_page_token(response, len(page.items), None, PageToken(token, walk))
            token = following["next_page_token"] if following else None
            trail.add(keys, walk, token.walk if token is not None else None)
            if token is not None and page.total is not None:
                requests_ahead.fill(token, math.ceil(page.total / page.size))
            yield page
            before = page

    def _endless(self, page: Page, response: requests.Response) -> str:
        return (
            f"GET {response.url}: expected other records than on the {SAME_PAGES} pages before, got the same "
            f"{len(page.items)}: the API must honour 'page'."
        )

    def _fetch(self, stream_slice: StreamSlice, tally: Tally, number: int) -> requests.Response:
        token = {"next_page_token": number}
        params = dict(self.paginator.get_request_params(next_page_token=token))
        if self.request_options_provider is not None:
            params.update(self.request_options_provider.get_request_params(stream_slice=stream_slice))
        if self._windowed:
            params[self.until_parameter] = stream_slice["end_time"]
        retries, ATTEMPTS.failures = ATTEMPTS.retries, 0
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
        except (LocationValueError, ValueError) as error:  # no request left: nobody judged it; InvalidURL is one, too
            raise AirbyteTracedException(
                message=f"{self.name}, page {number}: expected an address, got {error}. Check api_url.",
                failure_type=FailureType.config_error,
            ) from error
        finally:
            tally.count_retries(ATTEMPTS.retries - retries)
        if response is None:
            raise RuntimeError(f"{self.name}: expected a response for page {number}, got None from the requester")
        return response

    def _records(self, page: Page, window: "Window", tally: Tally, emitted: set[int] | None) -> Iterator[StreamData]:
        """The page's records: the first as a Record, by which the CDK knows that the stream is running, the others as
        the messages it would make of them, at half its cost. The cursor is shown the page's latest moment, once."""
        items = self._in_window(page.items, window, tally) if window.bounded and self.cursor_field else page.items
        if emitted is not None:
            items = [item for item in items if self._is_new(item, emitted)]
        tally.records += len(items)
        if items:
            yield Record(data=items[0], stream_name=self.name, associated_slice=window.uncounted)
        name, kind, now = self.name, Type.RECORD, time.time_ns() // 1_000_000
        for item in items[1:]:
            yield AirbyteMessage(type=kind, record=AirbyteRecordMessage(stream=name, data=item, emitted_at=now))

    def _is_new(self, item: dict[str, Any], emitted: set[int]) -> bool:
        """Whether no pass before has emitted this very row."""
        text = hash(orjson.dumps(item))
        known = text in emitted
        emitted.add(text)
        return not known

    def _in_window(self, items: list[dict[str, Any]], window: "Window", tally: Tally) -> list[dict[str, Any]]:
        """The items that did not change before the window; the latest moment inside it is told to the cursor."""
        try:  # nearly always: moments without a zone, all inside
            moments = list(map(datetime.fromisoformat, map(self._moment_in, items)))
            latest = max(moments)
            inside = window.naive_start <= min(moments) and latest <= window.naive_end
        except (KeyError, TypeError, ValueError):
            inside = False
        if inside:
            self._observe(latest, window)
            return items
        newest: datetime | None = None
        kept = []
        for item in items:
            moment = self._moment_of(item)
            if moment is not None:  # without a moment no cursor can tell: emitted every time
                if window.strict and not window.start <= moment <= window.end:
                    raise AirbyteTracedException(
                        message=self._outside(item, window), failure_type=FailureType.config_error
                    )
                if moment < window.start:
                    tally.filtered_out += 1
                    continue
                if moment <= window.end and (newest is None or moment > newest):
                    newest = moment
            kept.append(item)
        if newest is not None:
            # Not as the API wrote it: the CDK would take 12:00+02:00 for 12:00 UTC, two hours too late.
            self._observe(newest.astimezone(UTC), window)
        return kept

    def _observe(self, moment: datetime, window: "Window") -> None:
        if self.cursor is not None:
            value = {self.cursor_field: moment.strftime(STATE_FORMAT)}
            self.cursor.observe(Record(data=value, stream_name=self.name, associated_slice=window.covered))

    def _outside(self, item: Mapping[str, Any], window: "Window") -> str:
        return (
            f"{self.name}: expected records that changed from {window.start:{STATE_FORMAT}} to "
            f"{window.end:{STATE_FORMAT}}, got {self.cursor_field}={item[self.cursor_field]!r} in the record with "
            f"{self._key_in_words(item)}: the API ignores updated_since or {self.until_parameter}. Nothing of that "
            "page was emitted and the state stays; leave slice_days out for this API."
        )

    def _moment_of(self, item: Mapping[str, Any]) -> datetime | None:
        value = item.get(self.cursor_field)
        if value is None:
            return None
        try:
            return parse_moment(value)
        except (TypeError, ValueError) as error:
            raise AirbyteTracedException(
                message=(
                    f"{self.name}: expected an ISO date and time in {self.cursor_field!r}, got {value!r} in the record "
                    f"with {self._key_in_words(item)}. The read stops and the state stays; correct the record in the "
                    "API."
                ),
                failure_type=FailureType.system_error,
            ) from error

    def _key_in_words(self, item: Mapping[str, Any]) -> str:
        return ", ".join(f"{name}={item.get(name)!r}" for name in self._key)

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

    def _told(self, tally: Tally, stream_slice: StreamSlice, *, complete: bool) -> Iterator[AirbyteMessage]:
        """The tally for a person (LOG), and for a machine (TRACE ANALYTICS)."""
        window = {bound: stream_slice[bound] for bound in ("start_time", "end_time")} if self._windowed else {}
        text = str(tally) if complete else f"stopped by an error after {tally}"
        yield self._log(f"{' to '.join(window.values())}: {text}" if window else text)
        summary = {"stream": self.name, **window, "complete": complete, **tally.numbers()}
        yield create_analytics_message("moovitamix-stream-summary", orjson.dumps(summary).decode())

    def _log(self, text: str) -> AirbyteMessage:
        return AirbyteMessage(type=Type.LOG, log=AirbyteLogMessage(level=Level.INFO, message=f"{self.name}: {text}"))


class Window:
    """What a slice covers; `strict` when a row outside it is an error. Rows seen in `uncounted` move no state."""

    def __init__(self, stream_slice: StreamSlice, strict: bool) -> None:
        self.covered, self.strict = stream_slice, strict
        self.uncounted = StreamSlice(partition={}, cursor_slice={})
        start, end = stream_slice.get("start_time"), stream_slice.get("end_time")
        self.bounded = bool(start and end)
        if start and end:
            self.start, self.end = parse_moment(start), parse_moment(end)
            self.naive_start, self.naive_end = (m.astimezone(UTC).replace(tzinfo=None) for m in (self.start, self.end))


class RequestsAhead:
    """The page requests of one read: those in flight, and those answered whose turn has not come yet.

    How many there may be is the least of what the configuration, the Pace and the API's stillness allow: none after
    `slow_down`, then one more, two more, four more every CALM pages.
    """

    CALM = 8

    def __init__(self, fetch: Callable[[int], requests.Response], most: int, pace: Pace) -> None:
        self._fetch, self._most, self._pace = fetch, most, pace
        self._allowed, self._calm = most, 0
        self._pool = ThreadPoolExecutor(max(1, most), thread_name_prefix="page")
        self._waiting: dict[int, tuple[Future[requests.Response], int]] = {}

    def __enter__(self) -> "RequestsAhead":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)  # an error is told at once, not after the others' retries

    def take(self, page: int) -> tuple[requests.Response, int]:
        """The page's response, and with how many others it may have been in flight."""
        future, together = self._waiting.pop(int(page), (None, 0))
        return (future.result() if future else self._fetch(int(page))), together

    def fill(self, first: int, last: int) -> None:
        self._calm += 1
        if self._calm >= self.CALM and self._allowed < self._most:
            self._allowed, self._calm = min(max(1, self._allowed * 2), self._most), 0
        allowed = self._pace.breadth(self._allowed)
        for page in range(int(first), last + 1):
            if len(self._waiting) >= allowed:
                return
            if page not in self._waiting:
                self._waiting[page] = (self._pool.submit(self._fetch, page), self._most)

    def slow_down(self) -> None:
        """Forgets what is in flight: rows come and go, so it has to be asked for in turn."""
        for future, _ in self._waiting.values():
            future.cancel()
        self._waiting.clear()
        self._allowed = self._calm = 0


# ── Dates ────────────────────────────────────────────────────────────────────────────────────────────────────────────


STATE_FORMAT = "%Y-%m-%dT%H:%M:%S.%f"
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)


def parse_moment(value: str) -> datetime:
    """ISO 8601, with or without microseconds, `Z` or an offset; without a zone it is UTC, as for the CDK's cursor."""
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass
class KnownState(StateMigration):
    """Reads the state of an earlier sync; the CDK takes one without the cursor for none, and reads everything again.

    Known are the state this connector writes, `{"updated_at": …}` in any form of an ISO moment; the CDK's own list of
    slices; and what a full refresh leaves behind, which is none.
    """

    config: Config
    parameters: InitVar[Mapping[str, Any]]
    declarative_stream: Any = None  # the CDK hands the stream's model to every migration
    cursor_field: str = ""

    def should_migrate(self, stream_state: Mapping[str, Any]) -> bool:
        return self.migrate(stream_state) != stream_state

    def migrate(self, stream_state: Mapping[str, Any]) -> Mapping[str, Any]:
        """The state as the cursor reads it: in UTC, to the microsecond."""
        if not stream_state or set(stream_state) == {NO_CURSOR_STATE_KEY}:
            return {}
        slices = stream_state.get("slices") if stream_state.get("state_type") == "date-range" else None
        try:
            if isinstance(slices, list):
                moment = max((self._bounds(each)[1] for each in slices), default=EARLIEST)
            else:
                moment = parse_moment(stream_state[self.cursor_field])
        except (KeyError, TypeError, ValueError) as error:
            example = orjson.dumps({self.cursor_field: "2026-01-01T00:00:00.000000"}).decode()
            raise AirbyteTracedException(
                message=(
                    f"{self.declarative_stream.name}: expected a state such as {example}, got {dict(stream_state)!r}. "
                    "Nothing was read; reset the stream's state, or correct it."
                ),
                failure_type=FailureType.config_error,
            ) from error
        if moment > datetime.now(UTC):
            LOGGER.warning(
                f"{self.declarative_stream.name}: expected a state that has passed, got {moment.isoformat()}. No "
                "record comes before that moment; reset the stream's state unless it is meant."
            )
        if isinstance(slices, list):
            return stream_state
        return {self.cursor_field: moment.astimezone(UTC).strftime(STATE_FORMAT)}

    def _bounds(self, window: Mapping[str, Any]) -> tuple[datetime, datetime]:
        return parse_moment(window["start"]), parse_moment(window["end"])


class RealDate(ValidationStrategy):
    """What the spec's pattern cannot see: 30 February; a date to come, to which a read of nothing moves the state."""

    def validate(self, value: str) -> None:
        try:
            moment = parse_moment(value)
        except ValueError as error:
            raise _refusal(f"start_date: expected a date of the calendar, got {value!r} ({error}).") from error
        if moment > datetime.now(UTC):
            raise _refusal(f"start_date: expected a date that has passed, got {value!r}.")


class AddressWithoutSecrets(ValidationStrategy):
    """What the spec's pattern lets pass: most runners print what a pattern refuses, and a password may come before `@`,
    a token after `?`."""

    FORM = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")

    def validate(self, value: str) -> None:
        if not self.FORM.fullmatch(value):
            raise _refusal(
                "api_url: expected https://host[:port][/path], got an address with @ or ?, not shown here. Secrets "
                "belong in api_key."
            )


class SendableKey(ValidationStrategy):
    """A key that no header can carry: who refuses it later quotes it escaped, where no filter of secrets knows it."""

    FORM = re.compile(r"([!-~]([ -~]*[!-~])?)?")

    def validate(self, value: str) -> None:
        if not self.FORM.fullmatch(value):
            raise _refusal(
                "api_key: expected printable ASCII without spaces around it, got something else, not shown here."
            )


def _refusal(message: str) -> AirbyteTracedException:
    return AirbyteTracedException(message=message, failure_type=FailureType.config_error)
