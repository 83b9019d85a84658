"""An S3 server on a free port of loopback, which it prints, whose buckets are folders of the one it is given.

What another program writes there are objects too: so a test's Spark, which has no client for S3, meets the same store.
It knows the requests that delta-rs and Polars make, and checks no signature.
"""

import sys
from hashlib import md5
from itertools import count
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from werkzeug import Request, Response
from werkzeug.http import http_date
from werkzeug.serving import WSGIRequestHandler, make_server

ROOT = Path(sys.argv[1])
PARTS: dict[str, dict[int, bytes]] = {}
NUMBERS = count()


@Request.application
def answer(request: Request) -> Response:
    bucket, _, key = request.path.lstrip("/").partition("/")
    file = ROOT / bucket / key
    asked = request.args
    if request.method in ("GET", "HEAD"):
        return content(request, file) if key else listed(ROOT / bucket, asked.get("prefix", ""), asked)
    if request.method == "PUT":
        if "uploadId" in asked:
            PARTS[asked["uploadId"]][int(asked["partNumber"])] = request.data
            return Response(headers={"ETag": etag(request.data)})
        return written(file, request.data, is_new=request.headers.get("If-None-Match") == "*")
    if request.method == "DELETE":
        file.unlink(missing_ok=True)
        return Response(status=204)
    if "uploads" in asked:
        upload = str(next(NUMBERS))
        PARTS[upload] = {}
        return xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
    if "uploadId" in asked:
        parts = PARTS.pop(asked["uploadId"])
        written(file, b"".join(parts[number] for number in sorted(parts)), is_new=False)
        return xml("CompleteMultipartUploadResult", f"<ETag>{etag(file.read_bytes())}</ETag>")
    for each in ElementTree.fromstring(request.data).iter():  # noqa: S314 - a client of ours
        if each.tag.endswith("Key"):
            (ROOT / bucket / str(each.text)).unlink(missing_ok=True)
    return xml("DeleteResult", "")


def content(request: Request, file: Path) -> Response:
    if not file.is_file():
        return xml("Error", "<Code>NoSuchKey</Code>", 404)
    body = file.read_bytes()
    response = Response(body, headers={"ETag": etag(body), "Last-Modified": http_date(file.stat().st_mtime)})
    return response.make_conditional(request, accept_ranges=True, complete_length=len(body))


def written(file: Path, body: bytes, *, is_new: bool) -> Response:
    if is_new and file.exists():
        return xml("Error", "<Code>PreconditionFailed</Code>", 412)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    return Response(headers={"ETag": etag(body)})


def listed(bucket: Path, prefix: str, asked: "Request.args") -> Response:
    objects, folders = [], set()
    for file in bucket.rglob("*"):
        key = file.relative_to(bucket).as_posix()
        if not file.is_file() or not key.startswith(prefix) or key <= unquote(asked.get("start-after", "")):
            continue
        inside, mark, _ = key.removeprefix(prefix).partition("/")
        if mark and asked.get("delimiter") == "/":
            folders.add(f"{prefix}{inside}/")
        else:
            objects.append((key, file.stat()))
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{told.st_size}</Size><ETag>{told.st_mtime_ns}</ETag>"
        f"<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key, told in sorted(objects)
    )
    prefixes = "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in sorted(folders))
    return xml("ListBucketResult", f"<IsTruncated>false</IsTruncated>{contents}{prefixes}")


def etag(body: bytes) -> str:
    return f'"{md5(body, usedforsecurity=False).hexdigest()}"'


def xml(name: str, inside: str, status: int = 200) -> Response:
    return Response(f"<{name}>{inside}</{name}>", status, content_type="application/xml")


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for all requests

    def log(self, *_: object) -> None: ...


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=Quiet)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
