"""Unique integer ids scattered over a range, as the client's are (1,000 tracks have ids between 62 and 99,860)."""

import numpy as np

from .dice import Dice, Ints

_ROUNDS = 4


class Ids:
    """A one-to-one map from numbers 0, 1, 2, … to ids 1..bound that looks random: a Feistel network.

    A shuffled list would do for a fixed size, but here later numbers must not move earlier ids.
    """

    def __init__(self, dice: Dice, size: int) -> None:
        self._dice = dice
        self.bound = 100 * max(size, 1000)
        self._half_bits = ((self.bound - 1).bit_length() + 1) // 2

    def of(self, numbers: Ints) -> Ints:
        """The id of each number; numbers must be below `bound`."""
        ids = self._shuffled(numbers)
        # The network permutes a power of four, so walk on along the permutation until inside the range.
        while (outside := ids >= self.bound).any():
            ids[outside] = self._shuffled(ids[outside])
        return ids + 1

    def _shuffled(self, numbers: Ints) -> Ints:
        low = (1 << self._half_bits) - 1
        left, right = numbers >> self._half_bits, numbers & low
        for turn in range(_ROUNDS):
            scrambled = (self._dice.roll(right, turn) & np.uint64(low)).astype(np.int64)
            left, right = right, left ^ scrambled
        return (left << self._half_bits) | right
