"""The MooVitamix application's data as a pure function of (seed, size, listens, now); no request, no clock, no file."""

from .library import Library

__all__ = ["Library"]
