"""The static-website endpoints of storage accounts: one https port for each, drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from tests.cloud.aws.certificates import Certificates
from tests.cloud.azure.serving import Answer, Asked, LoopbackServer


class WebEndpoints:
    """Serves what lies in `$web`, with index documents, the 404 page and the blobs' headers.

    Args:
        container: The account's `$web`.
    """

    def __init__(self, certificates: Certificates, container: Callable[[str], Any]) -> None:
        self.website: Callable[[str], dict[str, Any]] = lambda _account: {}
        self._container = container
        self._certificates = certificates
        self._servers: dict[str, LoopbackServer] = {}

    def open_site(self, name: str) -> str:
        if name not in self._servers:
            self._servers[name] = LoopbackServer(
                lambda asked: self._answer(name, asked), self._certificates.server_context()
            )
        return self._servers[name].url

    def close_site(self, name: str) -> None:
        server = self._servers.pop(name, None)
        if server is not None:
            server.close()

    def close(self) -> None:
        for name in list(self._servers):
            self.close_site(name)

    def _answer(self, name: str, asked: Asked) -> Answer:
        server, website = self._servers.get(name), self.website(name)
        host = asked.headers.get("host", "")
        if server is None or host not in ("127.0.0.1", f"127.0.0.1:{server.port}"):
            return Answer(status=400, body=b"InvalidUri: this host name is nobody's")
        if asked.method not in ("GET", "HEAD"):
            return Answer(status=405)
        if not website.get("enabled"):
            return Answer(status=404, body=b"WebsiteDisabled")
        path = asked.path.lstrip("/")
        if path == "" or path.endswith("/"):
            path += website.get("indexDocument") or ""
        found = self._blob(name, path, asked)
        if found is not None:
            return found
        page = website.get("errorDocument404Path")
        missing = self._blob(name, page, None) if page else None
        if missing is None:
            return Answer(status=404, body=b"WebContentNotFound")
        return Answer(status=404, body=missing.body, headers=missing.headers)

    def _blob(self, name: str, path: str, asked: Asked | None) -> Answer | None:
        container = self._container(name)
        if container is None or not path:
            return None
        with container:
            try:
                download = container.download_blob(path)
                body = bytes(download.readall())
            except ResourceNotFoundError:
                return None
        settings = download.properties.content_settings
        headers = {"ETag": str(download.properties.etag)}
        if settings.content_type:
            headers["Content-Type"] = settings.content_type
        if settings.cache_control:
            headers["Cache-Control"] = settings.cache_control
        if asked is not None and asked.headers.get("if-none-match") == headers["ETag"]:
            return Answer(status=304, headers=headers)
        return Answer(status=200, body=body, headers=headers)
