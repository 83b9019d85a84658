"""How a run goes, while it goes: a live picture on a terminal, plain lines anywhere else. Always on stderr."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

PAGE_ROWS = 100
LINE_SECONDS = 2.0
LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")


class RunProgress:
    """Tells of each stream: pages of pages, records a second, time left, from the total the source announces.

    Args:
        log_level: the lowest level of the source's LOG messages that is shown, one of LEVELS.
    """

    def __init__(self, console: Console, log_level: str) -> None:
        self._console = console
        self._lowest = LEVELS.index(log_level.upper())
        self._totals: dict[str, int] = {}
        self._counts: Counter[str | None] = Counter()
        self._first: dict[str, float] = {}
        self._tasks: dict[str, int] = {}
        self._last_line = 0.0
        self._live = Progress(
            TextColumn("{task.description:<15}"),
            BarColumn(bar_width=24),
            _StreamColumn(self),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    @contextmanager
    def shown(self) -> Iterator["RunProgress"]:
        with self._live:
            yield self
        if self._counts:
            self._line(is_last=True)

    def estimate(self, stream: str, rows: int) -> None:
        self._totals[stream] = rows
        self._show(stream)

    def received(self, counts: Counter[str | None]) -> None:
        for stream in counts:
            if stream is not None and counts[stream] != self._counts[stream]:
                self._first.setdefault(stream, time.monotonic())
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

    def log(self, level: str, message: str) -> None:
        rank = LEVELS.index(level) if level in LEVELS else LEVELS.index("INFO")
        if rank >= self._lowest:
            self._console.print(f"{level} {message}", markup=False, highlight=False, soft_wrap=True)

    def describe(self, stream: str) -> str:
        """`3 of 10 pages, 300 records, 2,140 a second, 1 s left`; without what is not known."""
        count, total = self._counts[stream], self._totals.get(stream)
        seconds = time.monotonic() - self._first.get(stream, time.monotonic())
        rate = count / seconds if seconds > 0.05 else 0.0
        parts = [f"{count:,} records"]
        if total is not None:
            pages = -(-total // PAGE_ROWS)
            parts.insert(0, f"{min(-(-count // PAGE_ROWS), pages):,} of {pages:,} pages")
        if rate:
            parts.append(f"{rate:,.0f} a second")
        if rate and total is not None and total > count:
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
        self._last_line = time.monotonic()
        if self._console.is_terminal:
            return
        for stream in self._counts:
            if stream is not None and (is_last or self._counts[stream] < self._totals.get(stream, 2**63)):
                self._console.print(f"{stream}: {self.describe(stream)}", highlight=False, soft_wrap=True)


class _StreamColumn(ProgressColumn):
    def __init__(self, progress: RunProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        return Text("" if task.description.startswith("build") else self._progress.describe(task.description))
