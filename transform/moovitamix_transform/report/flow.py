"""The ledger as a picture: per stream, bars that are as wide as the records they stand for, and what flows between."""

from dataclasses import dataclass

from moovitamix_transform.runs import PARTS, Run, StreamLedger

_LEAST = 2.0  # percent: a single record among a million stays visible


@dataclass(frozen=True)
class Piece:
    """A part of a bar: `left` and `width` in percent of it."""

    name: str
    count: int
    left: float
    width: float
    style: str

    @property
    def right(self) -> float:
        return self.left + self.width


@dataclass(frozen=True)
class Bar:
    """One count of records, whole and in its parts. `ribbons` are SVG paths in a box of 100 × 100 above the bar."""

    title: str
    count: int
    pieces: list[Piece]
    ribbons: list[tuple[str, str]]  # path, style


@dataclass(frozen=True)
class Flow:
    stream: str
    bars: list[Bar]


def flows(read_by: Run | None, counted_by: Run | None) -> list[Flow]:
    """API → received → landed → kept, superseded, quarantined, and where there are some pruned, erased, closed.

    Args:
        read_by: the run that the upper bars are of.
        counted_by: the run that counted the lower ones. Earlier than `read_by` when that was not built yet; then
            nothing flows from the one to the other.
    """
    upper = {each.stream: each for each in read_by.streams} if read_by else {}
    lower = {each.stream: each for each in counted_by.streams if each.landed_total is not None} if counted_by else {}
    is_built = read_by is not None and counted_by is not None and read_by.started_at <= counted_by.started_at
    found = []
    for stream in dict.fromkeys([*upper, *lower]):
        bars = [
            *(_of_run(upper[stream]) if stream in upper else []),
            *(_of_history(lower[stream], upper.get(stream) if is_built else None) if stream in lower else []),
        ]
        found.append(Flow(stream or "(names no stream)", bars))
    return found


def _of_run(entry: StreamLedger) -> list[Bar]:
    received = Bar("received", entry.received, _pieces([("received", entry.received, "received")]), [])
    if not entry.received:
        return [received]
    counts = [("landed", entry.landed, "landed"), ("quarantined lines", entry.quarantined_lines, "quarantined")]
    pieces = _pieces(counts)
    ribbons = [(_ribbon(each.left, each.right, each.left, each.right), each.style) for each in pieces]
    return [received, Bar("of them", entry.received, pieces, ribbons)]


def _of_history(entry: StreamLedger, read: StreamLedger | None) -> list[Bar]:
    total = entry.landed_total or 0
    ribbons = []
    landed = read.landed if read else 0
    if landed and read and total:
        above = _pieces([("landed", landed, "landed"), ("quarantined lines", read.quarantined_lines, "")])[0]
        ribbons = [(_ribbon(above.left, above.right, 0, max(100 * landed / total, _LEAST)), "landed")]
    whole = Bar("landed in all runs", total, _pieces([("landed in all runs", total, "landed")]), ribbons)
    parts = _pieces([(name, getattr(entry, name) or 0, name) for name in PARTS if name in entry.parts()])
    down = [(_ribbon(each.left, each.right, each.left, each.right), each.style) for each in parts]
    return [whole, Bar("what became of them", total, parts, down)]


def _pieces(counts: list[tuple[str, int, str]]) -> list[Piece]:
    """Side by side, each as wide as its share; what is not zero is wide enough to be seen."""
    total = sum(count for _, count, _ in counts)
    widths = [max(100 * count / total, _LEAST) if count else 0.0 for _, count, _ in counts]
    scale = 100 / sum(widths) if total else 0.0
    pieces, left = [], 0.0
    for (name, count, style), width in zip(counts, widths, strict=True):
        pieces.append(Piece(name, count, round(left, 3), round(width * scale, 3), style))
        left += width * scale
    return pieces


def _ribbon(left: float, right: float, to_left: float, to_right: float) -> str:
    """From the bar above, at the top, to the bar below."""
    return (
        f"M{left:.2f} 0C{left:.2f} 50 {to_left:.2f} 50 {to_left:.2f} 100"
        f"L{to_right:.2f} 100C{to_right:.2f} 50 {right:.2f} 50 {right:.2f} 0Z"
    )
