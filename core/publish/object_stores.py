"""S3 buckets and Azure Blob containers as object stores, both through obstore.

obstore's calls are the blocking ones, for threads: a process that ends right after asynchronous
ones may be aborted. 5xx answers, 429 and broken connections are tried again in here by obstore
itself; 403 is not, because only the caller knows whether a role was assigned a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from core.cloud.aws import AwsAccount
from core.cloud.aws_errors import aws_errors
from core.cloud.azure import STORAGE_SCOPE
from core.errors import LoginNeededError
from core.ports.objects import StoredObject
from core.publish.object_errors import CredentialWatch, object_errors

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from obstore.store import AzureStore, S3Store

    Store = S3Store | AzureStore

BATCH_KEYS = 1000
PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 3
CREDENTIALS_LAST = timedelta(minutes=5)
_CONNECT_TIMEOUT, _REQUEST_TIMEOUT = "5s", "240s"
_RETRY_TIMEOUT = timedelta(minutes=3)
_ATTEMPTS = 11
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(milliseconds=30), timedelta(seconds=5)


def s3_objects(account: AwsAccount, bucket: str, prefix: str = "") -> ObstoreObjects:
    """The objects of a bucket, below `prefix` if there is one.

    The endpoint is the one that botocore uses for this account, so `AWS_ENDPOINT_URL*` counts.

    Raises:
        LoginNeededError: The profile has no usable login.
    """
    from obstore.store import S3Store  # noqa: PLC0415 - heavy, on use only

    endpoint, is_own_host = _s3_endpoint(account.client("s3").meta.endpoint_url, bucket)
    watch = CredentialWatch(_aws_credentials(account))
    store = S3Store(
        bucket, prefix=prefix or None, region=account.region, endpoint=endpoint,
        aws_endpoint_url_s3=endpoint, virtual_hosted_style_request=is_own_host,
        skip_signature=False, credential_provider=watch,
        client_options=_client_options(endpoint, None), retry_config=_retries(),
    )  # fmt: skip
    return ObstoreObjects(store, f"bucket {bucket}", watch)


def blob_objects(
    blob_endpoint: str, container: str, credential: TokenCredential, *, ca_file: str | None
) -> ObstoreObjects:
    """The blobs of a container, by bearer token: no account key exists.

    Args:
        blob_endpoint: `primary_endpoints.blob` of the storage account.
        container: `$web` for a static website.
        credential: The login of the control plane.
        ca_file: PEM file of one more authority to trust; None for those of the system.
    """
    from obstore.store import AzureStore  # noqa: PLC0415 - heavy, on use only

    endpoint = blob_endpoint.rstrip("/")
    watch = CredentialWatch(_azure_credentials(credential))
    store = AzureStore(
        container, account_name=_account_name(endpoint), endpoint=endpoint, use_emulator=False,
        skip_signature=False, credential_provider=watch,
        client_options=_client_options(endpoint, ca_file), retry_config=_retries(),
    )  # fmt: skip
    return ObstoreObjects(store, f"container {container} at {endpoint}", watch)


class ObstoreObjects:
    """Implements `core.ports.objects.ObjectStore`."""

    def __init__(self, store: Store, where: str, watch: CredentialWatch) -> None:
        self._store, self._where, self._watch = store, where, watch

    def list(self) -> dict[str, StoredObject]:
        """Every object by path.

        Raises:
            BuilderError: As `object_errors` says.
        """
        import obstore  # noqa: PLC0415 - heavy, on use only

        found: dict[str, StoredObject] = {}
        with self._errors("list"):
            for page in obstore.list(self._store, chunk_size=BATCH_KEYS):
                for meta in page:
                    found[meta["path"]] = StoredObject(
                        etag=_plain(meta["e_tag"]), size_bytes=meta["size"]
                    )
        return found

    def put(
        self, path: str, content: bytes | Iterator[bytes], headers: Mapping[str, str]
    ) -> str:  # fmt: skip
        """Write one object; its ETag without quotes.

        Raises:
            BuilderError: As `object_errors` says, or what `content` raised.
        """
        import obstore  # noqa: PLC0415 - heavy, on use only

        with self._errors(f"write {path} to"):
            if isinstance(content, bytes):
                answer = obstore.put(
                    self._store, path, content, attributes=dict(headers), use_multipart=False
                )
            else:
                answer = obstore.put(
                    self._store, path, content, attributes=dict(headers), use_multipart=True,
                    chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE,
                )  # fmt: skip
        return _plain(answer["e_tag"])

    def delete(self, paths: Sequence[str]) -> None:
        """Remove objects in as few requests as the store allows.

        Raises:
            BuilderError: As `object_errors` says.
        """
        import obstore  # noqa: PLC0415 - heavy, on use only

        if not paths:
            return
        with self._errors("delete from"):
            try:
                obstore.delete(self._store, list(paths))
            except FileNotFoundError:
                # Blob says so for one of a batch and leaves open what became of the others.
                for path in paths:
                    self._delete_one(path)

    def _delete_one(self, path: str) -> None:
        import obstore  # noqa: PLC0415 - heavy, on use only

        try:
            obstore.delete(self._store, path)
        except FileNotFoundError:
            return

    def _errors(self, doing: str) -> AbstractContextManager[None]:
        return object_errors(doing, self._where, self._watch)


def _aws_credentials(account: AwsAccount) -> Callable[[], Any]:
    credentials = account.session().get_credentials()

    def current() -> dict[str, object]:
        if credentials is None:
            raise LoginNeededError(
                f"The AWS profile {account.profile!r} has no credentials.",
                remedy=f"aws configure --profile {account.profile}",
            )
        with aws_errors("renew the login", account.profile):
            frozen = credentials.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key, "secret_access_key": frozen.secret_key,
            "token": frozen.token, "expires_at": datetime.now(UTC) + CREDENTIALS_LAST,
        }  # fmt: skip

    return current


def _azure_credentials(credential: TokenCredential) -> Callable[[], Any]:
    def current() -> dict[str, object]:
        token = credential.get_token(STORAGE_SCOPE)
        return {
            "token": token.token,
            "expires_at": datetime.fromtimestamp(token.expires_on, UTC),
        }

    return current


def _s3_endpoint(url: str, bucket: str) -> tuple[str, bool]:
    """The address of a bucket, and whether it has a host name of its own: on AWS itself it has."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.endswith((".amazonaws.com", ".amazonaws.com.cn")):
        return url.rstrip("/"), False
    return urlunsplit((parts.scheme, f"{bucket}.{parts.netloc}", "", "", "")), True


def _account_name(endpoint: str) -> str:
    """`name.blob...`, or the first part of the path where the host is an address."""
    parts = urlsplit(endpoint)
    return parts.path.strip("/").partition("/")[0] or (parts.hostname or "").partition(".")[0]


def _client_options(endpoint: str, ca_file: str | None) -> Any:
    options: dict[str, object] = {
        "allow_http": endpoint.startswith("http://"),
        "connect_timeout": _CONNECT_TIMEOUT,
        "timeout": _REQUEST_TIMEOUT,
        "user_agent": "tmux-builder",
    }
    if ca_file is not None:
        options["root_certificate"] = Path(ca_file).read_bytes()
    return options


def _retries() -> Any:
    return {
        "max_retries": _ATTEMPTS,
        "retry_timeout": _RETRY_TIMEOUT,
        "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE},
    }


def _plain(etag: str | None) -> str:
    """One form for listings, which quote it or not, and for answers to writes, which do."""
    return (etag or "").removeprefix("W/").strip('"')
