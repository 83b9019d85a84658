"""`dictionary.py check` compares docs/data-dictionary.md with the contracts, `dictionary.py write` writes it anew."""

import sys
from pathlib import Path

from moovitamix_transform import dictionary

FILE = Path(__file__).resolve().parents[1] / "docs" / "data-dictionary.md"


def is_stale() -> bool:
    return not FILE.exists() or FILE.read_text() != dictionary.markdown()


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        FILE.write_text(dictionary.markdown())
    elif sys.argv[1:] == ["check"]:
        sys.exit(f"{FILE.name}: expected what the contracts say; `make docs` writes it" if is_stale() else 0)
    else:
        sys.exit(__doc__)
