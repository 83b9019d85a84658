"""Where a number stands among those of the last runs: limits from the median and the median absolute deviation.

Mean and standard deviation would do it too, until the first outlier: it moves the mean and widens the deviation, and
hides the next one. The median and the MAD do not move before half of the runs are outliers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

# Of a normal distribution the MAD is 0.6745 standard deviations: this makes one of the other.
_TO_DEVIATIONS = 1.4826


@dataclass(frozen=True)
class Band:
    """What is usual: `middle` less or more `width`."""

    middle: float
    width: float

    @property
    def low(self) -> float:
        return self.middle - self.width

    @property
    def high(self) -> float:
        return self.middle + self.width


def band(values: Sequence[float], deviations: float, floor: float) -> Band:
    """The band around the values' median.

    Args:
        deviations: how many robust standard deviations wide it is to each side.
        floor: how wide it is at least: runs that were all alike have a MAD of 0, and the next one need not be.
    """
    middle = median(values)
    spread = median(abs(value - middle) for value in values) * _TO_DEVIATIONS
    return Band(middle, max(deviations * spread, floor))
