"""The first records of each stream, as CAT's `expect_records` wants them: messages of a read in, JSON lines out.

With `moovitamix-api --seed 1 --now 2026-03-01` at port 8000, in this folder's parent:

python main.py read --config integration_tests/sample_config.json | python integration_tests/expected_records.py \
    > integration_tests/expected_records.jsonl
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator

RECORDS_PER_STREAM = 10
EMITTED_AT = 1_772_323_200_000  # 2026-03-01 in milliseconds; CAT compares the data only
STREAMS = ("tracks", "users", "listen_history")


def expected(lines: Iterable[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    first = []
    for message in map(json.loads, lines):
        if message["type"] == "RECORD" and seen[message["record"]["stream"]] < RECORDS_PER_STREAM:
            seen[message["record"]["stream"]] += 1
            first.append(message["record"])
    for record in sorted(first, key=lambda record: STREAMS.index(record["stream"])):
        yield json.dumps({"stream": record["stream"], "data": record["data"], "emitted_at": EMITTED_AT})


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in expected(sys.stdin))
