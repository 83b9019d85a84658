"""Every page of /listen_history over one connection, printed as Airbyte lines: what one connection can do."""

import sys

import orjson
import requests


def main(url: str) -> None:
    session, out, page = requests.Session(), sys.stdout.buffer, 1
    while True:
        body = orjson.loads(
            session.get(f"{url}/listen_history", params={"page": page, "size": 100}, timeout=60).content
        )
        for row in body["items"]:
            record = {"stream": "listen_history", "data": row, "emitted_at": 0}
            out.write(orjson.dumps({"type": "RECORD", "record": record}) + b"\n")
        if page >= body["pages"]:
            return
        page += 1


main(sys.argv[1])
