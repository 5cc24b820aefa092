"""The operations of the counting object store: what each S3 request does to its objects."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from bisect import bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from itertools import count
from urllib.parse import parse_qs, quote, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

LONGEST_KEY_BYTES = 1024
MOST_KEYS = 1000
_NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/,]+/\d{8}/[a-z0-9-]+/s3/aws4_request, ?"
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), ?Signature=[0-9a-f]{64}"
)
_KEPT = ("content-type", "cache-control", "content-encoding", "content-disposition")


@dataclass(slots=True)
class Request:
    """One HTTP request; `key` is what follows the bucket."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    bucket: str
    key: str
    body: bytes = b""

    @classmethod
    def parsed(cls, head: bytes) -> Request:
        lines = head.decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ", 2)
        raw_path, _mark, query = target.partition("?")
        bucket, _slash, key = unquote(raw_path).lstrip("/").partition("/")
        fields = (line.partition(":") for line in lines[1:])
        return cls(
            method=method, path=raw_path,
            query=parse_qs(query, keep_blank_values=True) if query else {},
            headers={name.strip().lower(): value.strip() for name, _colon, value in fields},
            bucket=bucket, key=key,
        )  # fmt: skip

    def first(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[0]


@dataclass(slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Stored:
    """One object."""

    etag: str
    size: int
    headers: dict[str, str]
    at: str
    body: bytes | None


@dataclass(slots=True)
class _Upload:
    """A multipart upload that is not complete yet."""

    headers: dict[str, str]
    parts: dict[int, tuple[str, bytes]] = field(default_factory=dict)


def refused(status: int, code: str, message: str = "Refused.") -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, body.encode(), {"Content-Type": "application/xml"})


def unsigned(request: Request) -> Answer | None:
    """The refusal of a request without a signature of version 4 over what S3 wants signed."""
    found = _SIGNATURE.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        return refused(403, "AccessDenied", "The request carries no signature.")
    signed = found["signed"].split(";")
    missing = {"host", "x-amz-date", "x-amz-content-sha256"} - set(signed)
    loose = [n for n in request.headers if n.startswith("x-amz-") and n not in signed]
    if missing or loose:
        return refused(403, "AccessDenied", f"Not signed: {sorted([*missing, *loose])}.")
    wanted = request.headers["x-amz-content-sha256"]
    if len(wanted) == 64 and hashlib.sha256(request.body).hexdigest() != wanted:
        return refused(400, "XAmzContentSHA256Mismatch")
    return None


class Operations:
    """Buckets exist once somebody made them, or uses the name `site`."""

    def __init__(self, *, keep_bodies: bool) -> None:
        self._keep_bodies = keep_bodies
        self._buckets = {"site"}
        self._objects: dict[str, Stored] = {}
        self._order: list[str] = []
        self._uploads: dict[str, _Upload] = {}
        self._numbers = count(1)

    def name(self, request: Request) -> str:
        """LIST, PUT, DELETE, BULK_DELETE, GET, HEAD, BUCKET or MULTIPART."""
        if "uploads" in request.query or "uploadId" in request.query:
            return "MULTIPART"
        if request.method == "POST" and "delete" in request.query:
            return "BULK_DELETE"
        if request.key:
            return request.method
        return "LIST" if request.method == "GET" and "location" not in request.query else "BUCKET"

    def answer(self, operation: str, request: Request) -> Answer:
        if operation == "BUCKET":
            return self._bucket(request)
        if request.bucket not in self._buckets:
            return refused(404, "NoSuchBucket")
        if len(request.key.encode()) > LONGEST_KEY_BYTES:
            return refused(400, "KeyTooLongError")
        acts = {
            "LIST": self._list, "PUT": self._put, "DELETE": self._delete, "GET": self._get,
            "BULK_DELETE": self._bulk_delete, "HEAD": self._get, "MULTIPART": self._multipart,
        }  # fmt: skip
        act = acts.get(operation)
        return refused(405, "MethodNotAllowed") if act is None else act(request)

    def shown(self) -> dict[str, dict[str, object]]:
        return {
            key: {"etag": one.etag, "size": one.size, "headers": one.headers}
            for key, one in self._objects.items()
        }

    def open_uploads(self) -> int:
        return len(self._uploads)

    def empty(self) -> None:
        self._objects, self._order, self._uploads = {}, [], {}

    def put_by_hand(self, key: str, content: bytes) -> None:
        self._store(key, content, hashlib.md5(content).hexdigest(), {})

    def _bucket(self, request: Request) -> Answer:
        if request.method == "PUT":
            self._buckets.add(request.bucket)
        if request.bucket not in self._buckets:
            return refused(404, "NoSuchBucket")
        location = "<LocationConstraint xmlns='http://s3.amazonaws.com/doc/2006-03-01/'/>"
        return Answer(200, location.encode() if request.method == "GET" else b"")

    def _put(self, request: Request) -> Answer:
        body = decoded_body(request)
        if body is None:
            return refused(400, "InvalidRequest", "The chunks are not what was announced.")
        digest = hashlib.md5(body)
        told = request.headers.get("content-md5")
        if told is not None and b64decode(told) != digest.digest():
            return refused(400, "BadDigest")
        self._store(request.key, body, digest.hexdigest(), kept_headers(request))
        return Answer(200, b"", {"ETag": f'"{digest.hexdigest()}"'})

    def _store(self, key: str, body: bytes, etag: str, headers: dict[str, str]) -> None:
        if key not in self._objects:
            insort(self._order, key)
        kept = body if self._keep_bodies else None
        self._objects[key] = Stored(etag, len(body), headers, iso_now(), kept)

    def _get(self, request: Request) -> Answer:
        found = self._objects.get(request.key)
        if found is None:
            return refused(404, "NoSuchKey")
        at = format_datetime(datetime.fromisoformat(found.at), usegmt=True)
        headers = {"ETag": f'"{found.etag}"', "Last-Modified": at, **found.headers}
        if request.method == "HEAD":
            return Answer(200, b"", {**headers, "Content-Length": str(found.size)})
        return Answer(200, found.body or b"", headers)

    def _delete(self, request: Request) -> Answer:
        self._drop(request.key)
        return Answer(204)

    def _drop(self, key: str) -> None:
        if self._objects.pop(key, None) is not None:
            del self._order[bisect_right(self._order, key) - 1]

    def _bulk_delete(self, request: Request) -> Answer:
        has_sum = any(name.startswith("x-amz-checksum-") for name in request.headers)
        told = request.headers.get("content-md5")
        if not has_sum and told is None:
            return refused(400, "InvalidRequest", "Missing required header: Content-MD5.")
        if told is not None and b64decode(told) != hashlib.md5(request.body).digest():
            return refused(400, "BadDigest")
        root = ET.fromstring(request.body)
        found = [*root.iter(f"{_NAMESPACE}Key"), *root.iter("Key")]
        keys = [one.text or "" for one in found]
        if not keys or len(keys) > MOST_KEYS:
            return refused(400, "MalformedXML")
        for key in keys:
            self._drop(key)
        parts = [f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys]
        return xml(f"<DeleteResult>{''.join(parts)}</DeleteResult>")

    def _list(self, request: Request) -> Answer:
        limit = min(int(request.first("max-keys", str(MOST_KEYS))), MOST_KEYS)
        prefix = request.first("prefix")
        token = request.first("continuation-token") or request.first("marker")
        after = unquote(token) or request.first("start-after")
        keys = self._order[bisect_right(self._order, after) if after else 0 :]
        entries, common, last = self._page(keys, prefix, request.first("delimiter"), limit)
        is_cut = len(entries) + len(common) >= limit and bool(keys) and last != keys[-1]
        return xml(self._listing(request, entries, common, last if is_cut else None))

    def _page(
        self, keys: list[str], prefix: str, delimiter: str, limit: int
    ) -> tuple[list[str], list[str], str]:
        entries: list[str] = []
        common: list[str] = []
        last = ""
        for key in keys:
            if len(entries) + len(common) >= limit:
                break
            last = key
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folder = prefix + rest.partition(delimiter)[0] + delimiter
                common += [] if folder in common else [folder]
            else:
                entries.append(key)
        return entries, common, last

    def _listing(
        self, request: Request, entries: list[str], common: list[str], cut: str | None
    ) -> str:
        coded = request.first("encoding-type") == "url"

        def shown(key: str) -> str:
            return quote(key, safe="/") if coded else escape(key)

        parts = []
        for key in entries:
            one = self._objects[key]
            parts.append(
                f"<Contents><Key>{shown(key)}</Key><LastModified>{one.at}</LastModified>"
                f"<ETag>&quot;{one.etag}&quot;</ETag><Size>{one.size}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
        parts += [f"<CommonPrefixes><Prefix>{shown(p)}</Prefix></CommonPrefixes>" for p in common]
        if cut is not None:
            token = quote(cut, safe="")
            parts.append(f"<NextContinuationToken>{token}</NextContinuationToken>")
            parts.append(f"<NextMarker>{token}</NextMarker>")
        total = len(entries) + len(common)
        return (
            f"<ListBucketResult xmlns='{_NAMESPACE[1:-1]}'><Name>{request.bucket}</Name>"
            f"<KeyCount>{total}</KeyCount><MaxKeys>{MOST_KEYS}</MaxKeys>"
            f"{'<EncodingType>url</EncodingType>' if coded else ''}"
            f"<IsTruncated>{str(cut is not None).lower()}</IsTruncated>{''.join(parts)}"
            "</ListBucketResult>"
        )

    def _multipart(self, request: Request) -> Answer:
        if "uploads" in request.query:
            upload_id = f"upload-{next(self._numbers)}"
            self._uploads[upload_id] = _Upload(headers=kept_headers(request))
            return xml(
                f"<InitiateMultipartUploadResult xmlns='{_NAMESPACE[1:-1]}'><Bucket>"
                f"{request.bucket}</Bucket><Key>{escape(request.key)}</Key>"
                f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
            )
        upload = self._uploads.get(request.first("uploadId"))
        if upload is None:
            return refused(404, "NoSuchUpload")
        if request.method == "PUT":
            etag = hashlib.md5(request.body).hexdigest()
            upload.parts[int(request.first("partNumber"))] = (etag, request.body)
            return Answer(200, b"", {"ETag": f'"{etag}"'})
        del self._uploads[request.first("uploadId")]
        return Answer(204) if request.method == "DELETE" else self._complete(request, upload)

    def _complete(self, request: Request, upload: _Upload) -> Answer:
        ordered = [upload.parts[number] for number in sorted(upload.parts)]
        if any(len(body) < 5 * 1024**2 for _etag, body in ordered[:-1]):
            return refused(400, "EntityTooSmall")
        digests = b"".join(bytes.fromhex(etag) for etag, _body in ordered)
        etag = f"{hashlib.md5(digests).hexdigest()}-{len(ordered)}"
        self._store(request.key, b"".join(body for _etag, body in ordered), etag, upload.headers)
        return xml(
            f"<CompleteMultipartUploadResult xmlns='{_NAMESPACE[1:-1]}'><Bucket>{request.bucket}"
            f"</Bucket><Key>{escape(request.key)}</Key><ETag>&quot;{etag}&quot;</ETag>"
            "</CompleteMultipartUploadResult>"
        )


def kept_headers(request: Request) -> dict[str, str]:
    return {
        name: value
        for name, value in request.headers.items()
        if name in _KEPT or name.startswith("x-amz-meta-")
    }


def decoded_body(request: Request) -> bytes | None:
    """The content behind `aws-chunked`, which some clients use for checksums at the end."""
    if "aws-chunked" not in request.headers.get("content-encoding", ""):
        return request.body
    found, rest = bytearray(), request.body
    while rest:
        heading, _end, rest = rest.partition(b"\r\n")
        size = int(heading.partition(b";")[0], 16)
        if size == 0:
            break
        found += rest[:size]
        rest = rest[size + 2 :]
    announced = int(request.headers.get("x-amz-decoded-content-length", "-1"))
    return bytes(found) if len(found) == announced else None


def xml(text: str) -> Answer:
    body = f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode()
    return Answer(200, body, {"Content-Type": "application/xml"})


def iso_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
