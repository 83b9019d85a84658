"""The command line: `moovitamix COMMAND`. Every command reads its arguments, calls one function, prints the result."""

from moovitamix_transform.cli.app import main

__all__ = ["main"]
