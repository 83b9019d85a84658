"""How a run goes, while it goes: a live picture on a terminal, plain lines anywhere else. Always on stderr."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from moovitamix_transform.masking import hide
from moovitamix_transform.wording import counted

LINE_SECONDS = 2.0
IDLE_LINE_SECONDS = 10.0
TEXT_WIDTH, BAR_WIDTH = 86, 24  # a stream's line without the bar, which a terminal of 80 columns goes without
LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


class RunProgress:
    """Tells of each stream: pages of pages, records a second, time left, from the total the source announces.

    Args:
        log_level: the lowest level of the source's LOG messages that is shown, one of LEVELS. Their tracebacks
            are shown from DEBUG on. Above INFO, errors wait: what the source's failure says again is not shown.
        page_rows: records a page of the source; None when that is not known: then no pages are told.
        secrets: texts to keep out of what the source says.
    """

    def __init__(
        self, console: Console, log_level: str, *, page_rows: int | None = None, secrets: tuple[str, ...] = ()
    ) -> None:
        self._console = console
        self._page_rows = page_rows
        self._secrets = secrets
        self._lowest = LEVELS.index(log_level.upper())
        self._errors: list[str] = []
        self._totals: dict[str, int] = {}
        self._counts: Counter[str | None] = Counter()
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._tasks: dict[str, int] = {}
        self._started = time.monotonic()
        self._told_idle = 0.0
        self._told: dict[str, tuple[int, str]] = {}  # the last line of each stream: its count, its text
        self._last_line = 0.0
        bar = [BarColumn(bar_width=BAR_WIDTH)] if console.width >= TEXT_WIDTH + BAR_WIDTH else []
        self._live = Progress(
            TextColumn("{task.description:<14}"),
            *bar,
            _StreamColumn(self),
            console=console,
            disable=not console.is_terminal,
        )

    @contextmanager
    def shown(self) -> Iterator["RunProgress"]:
        with self._live:
            try:
                yield self
            finally:
                if "build" in self._tasks:
                    self._live.remove_task(self._tasks.pop("build"))  # type: ignore[arg-type]
                for text in self._errors:
                    self._print(text)
        if self._counts:
            self._line(is_last=True)

    def estimate(self, stream: str, rows: int) -> None:
        self._totals[stream] = rows
        self._show(stream)

    def received(self, counts: Counter[str | None]) -> None:
        for stream in counts:
            if stream is not None and counts[stream] != self._counts[stream]:
                self._last[stream] = time.monotonic()
                self._first.setdefault(stream, self._last[stream])
                self._counts[stream] = counts[stream]
                self._show(stream)
        if time.monotonic() - self._last_line >= LINE_SECONDS:
            self._line(is_last=False)

    def step(self, name: str) -> None:
        """A step other than a stream, such as a table that is built."""
        if self._console.is_terminal:
            if "build" not in self._tasks:
                self._tasks["build"] = self._live.add_task("build", total=None)
            self._live.update(self._tasks["build"], description=f"build {name}"[:40])  # type: ignore[arg-type]
        elif time.monotonic() - max(self._started, self._last_line) >= IDLE_LINE_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"build {name}, after {self._last_line - self._started:.0f} s", highlight=False)

    def log(self, level: str, message: str) -> None:
        rank = LEVELS.index(level) if level in LEVELS else LEVELS.index("INFO")
        if rank >= self._lowest:
            if self._lowest >= LEVELS.index("INFO"):
                message = message.partition("\nTraceback (most recent call last)")[0]
            text = hide(f"{level} {message}", self._secrets)
            if rank >= LEVELS.index("ERROR") and self._lowest > LEVELS.index("INFO"):
                self._errors.append(text)
            else:
                self._print(text)

    def failed(self) -> None:
        self._errors.clear()

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def idle(self) -> None:
        """Nothing came for a moment; told now and then, so that a wait has a reason."""
        now = time.monotonic()
        if now - max([self._started, self._told_idle, *self._last.values()]) >= IDLE_LINE_SECONDS:
            self._told_idle = now
            seconds = now - max([self._started, *self._last.values()])
            yet = "" if self._last else " yet,"
            self._console.print(
                f"the source has sent no record{yet} for {seconds:.0f} s; --log-level INFO shows what it says",
                highlight=False,
                soft_wrap=True,
            )

    def describe(self, stream: str) -> str:
        """`3 of 10 pages, 300 records, 2,140 a second, 1 s left`; without what is not known."""
        count, total = self._counts[stream], self._totals.get(stream)
        is_open = total is not None and total > count
        now = time.monotonic()
        until = now if is_open else self._last.get(stream, now)
        seconds = until - self._first.get(stream, until)
        rate = count / seconds if seconds > 0.05 else 0.0
        parts = [counted(count, "record")]
        if total is not None:
            if self._page_rows:
                pages = -(-total // self._page_rows)
                parts.insert(0, f"{min(-(-count // self._page_rows), pages):,} of {counted(pages, 'page')}")
            elif is_open:
                parts = [f"{count:,} of {total:,} records"]
        if rate >= 1:
            parts.append(f"{rate:,.0f} a second")
        if rate and is_open and total is not None:
            parts.append(f"{(total - count) / rate:,.0f} s left")
        return ", ".join(parts)

    def _show(self, stream: str) -> None:
        if not self._console.is_terminal:
            return
        if stream not in self._tasks:
            self._tasks[stream] = self._live.add_task(stream, total=None)
        self._live.update(
            self._tasks[stream],  # type: ignore[arg-type]
            completed=self._counts[stream],
            total=self._totals.get(stream),
        )

    def _line(self, *, is_last: bool) -> None:
        """A line for each stream that came on since its last one; at the end for every one of which there is more to
        say than its last line does."""
        self._last_line = time.monotonic()
        if self._console.is_terminal:
            return
        for stream, count in self._counts.items():
            if stream is None:
                continue
            told_count, told = self._told.get(stream, (0, ""))
            if count == told_count and not is_last:
                continue
            text = f"{stream}: {self.describe(stream)}"
            self._told[stream] = (count, text)
            if text != told:
                self._console.print(text, highlight=False, soft_wrap=True)


class _StreamColumn(ProgressColumn):
    def __init__(self, progress: RunProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        return Text("" if task.description.startswith("build") else self._progress.describe(task.description))
