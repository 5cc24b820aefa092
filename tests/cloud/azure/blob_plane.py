"""The data plane of all storage accounts: roles first, then Azurite behind it."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient

from tests.cloud.aws.certificates import Certificates
from tests.cloud.azure.faults import Call, Calls
from tests.cloud.azure.serving import Answer, Asked, LoopbackServer, blob_error
from tests.cloud.azure.tokens import STORAGE_AUDIENCE, make_token, principal_of
from tests.cloud.azurite import Azurite, pool_account

WEB_CONTAINER = "$web"

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class EmulatorLogin:
    """A login for Azurite itself, of the servers that stand for Azure's own."""

    def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        return AccessToken(make_token(STORAGE_AUDIENCE), 2**33)


class BlobPlane:
    """One port for all accounts, told apart by the first part of the path.

    Args:
        may_touch: Whether a principal has a role for an account's blobs: the words are the
            principal, the account, and whether it only reads.
        website: The account's static website, to be changed in place.
    """

    def __init__(self, azurite: Azurite, certificates: Certificates, calls: Calls) -> None:
        self.may_touch: Callable[[str, str, bool], bool] = lambda *_words: False
        self.website: Callable[[str], dict[str, Any]] = lambda _account: {}
        self.denied = 0
        """How many more requests are refused after the role exists: roles spread slowly."""
        self._azurite = azurite
        self._certificates = certificates
        self._calls = calls
        self._accounts: dict[str, str] = {}
        self._numbers = itertools.count()
        self._upstream = threading.local()
        self._lock = threading.Lock()
        self._server = LoopbackServer(self._answer, certificates.server_context())
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def open_account(self, name: str) -> str:
        with self._lock:
            if name not in self._accounts:
                self._accounts[name] = pool_account(next(self._numbers))
        return f"{self.url}/{name}"

    def close_account(self, name: str) -> None:
        if name in self._accounts:
            with self._service_of(name) as service, suppress(ResourceNotFoundError):
                for container in list(service.list_containers()):
                    service.delete_container(container.name)
        self._accounts.pop(name, None)

    def make_web_container(self, name: str) -> None:
        self.make_container(name, WEB_CONTAINER)

    def make_container(self, name: str, container_name: str) -> None:
        container = self.container(name, container_name)
        assert container is not None
        with container, suppress(ResourceExistsError):
            container.create_container()

    def container(self, name: str, container_name: str = WEB_CONTAINER) -> Any:
        """An SDK client of one of the account's containers, past all roles; None for no account."""
        if name not in self._accounts:
            return None
        return self._service_of(name).get_container_client(container_name)

    def _service_of(self, name: str) -> BlobServiceClient:
        return BlobServiceClient(
            f"{self._azurite.url}/{self._accounts[name]}",
            credential=EmulatorLogin(),
            connection_verify=str(self._certificates.authority),
        )

    def _answer(self, asked: Asked) -> Answer:
        place = "/".join(["*", *asked.path.split("/")[2:3]])
        call = Call(plane="blob", method=asked.method, path=f"/{place}")
        return self._calls.through(call, lambda: self._checked(asked))

    def _checked(self, asked: Asked) -> Answer:
        account = asked.path.split("/")[1]
        if account not in self._accounts:
            return blob_error(404, "ResourceNotFound")
        principal = principal_of(asked, STORAGE_AUDIENCE)
        if principal is None:
            return blob_error(401, "NoAuthenticationInformation")
        if asked.query.get("restype") == "service":
            return self._service(asked, account)
        is_read = asked.method in ("GET", "HEAD")
        if not self.may_touch(principal, account, is_read) or self._is_denied():
            return blob_error(403, "AuthorizationPermissionMismatch")
        return self._forwarded(asked, account)

    def _is_denied(self) -> bool:
        with self._lock:
            self.denied -= 1
            return self.denied >= 0

    def _service(self, asked: Asked, account: str) -> Answer:
        """The static website by the data plane, which older management planes do not have."""
        if asked.method != "PUT" or asked.query.get("comp") != "properties":
            return self._forwarded(asked, account)
        found = ET.fromstring(asked.body).find("StaticWebsite")
        if found is None:
            return blob_error(400, "InvalidXmlDocument")
        self.website(account).update(
            enabled=found.findtext("Enabled") == "true",
            indexDocument=found.findtext("IndexDocument"),
            errorDocument404Path=found.findtext("ErrorDocument404Path"),
        )
        self.make_web_container(account)
        return self._forwarded(asked, account)

    def _forwarded(self, asked: Asked, account: str) -> Answer:
        target = asked.target.replace(f"/{account}", f"/{self._accounts[account]}", 1)
        headers = {name: value for name, value in asked.headers.items() if name not in _HOP}
        body = asked.body
        if asked.query.get("comp") == "batch":
            inner = (f"/{account}/".encode(), f"/{self._accounts[account]}/".encode())
            body = body.replace(*inner)
        connection = self._connection()
        try:
            connection.request(asked.method, target, body or None, headers)
            response = connection.getresponse()
            answered = response.read()
        except (OSError, http.client.HTTPException):
            self._upstream.__dict__.clear()
            return Answer(status=500, dropped=True)
        kept = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        if asked.method == "HEAD":
            kept["Content-Length"] = response.headers.get("Content-Length", "0")
        return Answer(status=response.status, body=answered, headers=kept)

    def _connection(self) -> http.client.HTTPSConnection:
        """One for each thread, as each thread has one client."""
        found: http.client.HTTPSConnection | None = getattr(self._upstream, "connection", None)
        if found is None:
            found = http.client.HTTPSConnection(
                urlsplit(self._azurite.url).netloc,
                context=self._certificates.client_context(),
                timeout=30,
            )
            self._upstream.connection = found
        return found
