"""Ways in which an API misbehaves, for readers to be tried on: `--scenario NAME[:SEED]`.

The same seed gives the same faults: to the same requests where a request fails, to the same rows where a row is bad.
"""

from dataclasses import dataclass

SCENARIOS = {
    "throttled": "a third of the requests is answered 429, Retry-After in seconds or as an HTTP date",
    "flaky": "a third is answered 408, 500, 502, 503 or 504, late, cut mid-JSON, or not at all (connection reset)",
    "html": "a third is answered 200 with a proxy's login page",
    "moving": "with each request about a day passes: rows are inserted, updated and deleted between pages",
    "skewed": "the server's clock is up to two days ahead (even seeds) or behind (odd seeds)",
    "nulls": "one row in ten has a null user_id, items or date; a third of the pages has a null total",
    "restart": "from some request between the 5th and the 30th on, all ids are other ones",
    "mixed": "all of the above at once",
}


@dataclass(frozen=True)
class Scenario:
    """A named way to misbehave, and the seed of its faults."""

    name: str
    seed: int

    @classmethod
    def parse(cls, text: str) -> "Scenario":
        """From NAME or NAME:SEED; raises ValueError for an unknown name or a seed that is no integer."""
        name, _, seed = text.partition(":")
        if name not in SCENARIOS:
            raise ValueError(f"no scenario named {name!r}")
        return cls(name, int(seed or 0))

    def has(self, name: str) -> bool:
        """Whether the scenario misbehaves in this way, alone or among others."""
        return self.name in (name, "mixed")
