"""Random numbers that are looked up by place, not drawn in turn.

A generator's stream depends on how often it was asked before; here the number at a place (a row, a field, a turn) is
the same whoever asks, in whatever order, on whatever platform. That is what makes a page at any depth as cheap as the
first one, and two starts of the API equal.
"""

import hashlib
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Bits: TypeAlias = NDArray[np.uint64]
Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

_GOLDEN = 0x9E3779B97F4A7C15


class Dice:
    """An endless table of random numbers, one table a (seed, name)."""

    def __init__(self, seed: int, name: str) -> None:
        # Not `hash()`: it differs from process to process.
        digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
        self._key = np.frombuffer(digest, dtype="<u8").astype(np.uint64)

    def roll(self, *place: Ints | int) -> Bits:
        """64 random bits for each place; the numbers of a place are broadcast against one another."""
        bits = self._key
        for number in place:
            bits = _mixed(bits ^ _spread(number))
        return bits

    def below(self, limit: Ints | int, *place: Ints | int) -> Ints:
        """An integer from 0 to limit - 1 for each place; limit must be positive."""
        return remainders(self.roll(*place), limit)

    def fraction(self, *place: Ints | int) -> Floats:
        """A number in [0, 1) for each place."""
        return fractions(self.roll(*place))

    def one_in(self, many: int, *place: Ints | int) -> Bools:
        """True at one place in `many`."""
        hits: Bools = self.below(many, *place) == 0
        return hits


def fractions(bits: Bits) -> Floats:
    """[0, 1) from the upper 53 of 64 random bits; the lower 11 stay free for another use."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def remainders(bits: Bits, limit: Ints | int) -> Ints:
    """0 to limit - 1 from 64 random bits; limit must be positive."""
    divisor = np.uint64(limit) if isinstance(limit, int) else limit.view(np.uint64)
    return (bits % divisor).view(np.int64)


def _spread(number: Ints | int) -> Bits | np.uint64:
    # In Python's integers for a single number: numpy warns when one number, unlike an array, wraps around.
    if isinstance(number, int):
        return np.uint64(number * _GOLDEN % 2**64)
    return number.view(np.uint64) * np.uint64(_GOLDEN)


def _mixed(bits: Bits) -> Bits:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit flips half of the output's."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
