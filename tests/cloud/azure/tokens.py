"""Bearer tokens: made by the identity endpoint, checked by everything that takes one."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any

from tests.cloud.azure.serving import Answer, Asked, LoopbackServer, json_answer

TENANT = str(uuid.uuid5(uuid.NAMESPACE_DNS, "tenant.example"))
PRINCIPAL = str(uuid.uuid5(uuid.NAMESPACE_DNS, "operator.example"))
STORAGE_AUDIENCE = "https://storage.azure.com"
LIFETIME_S = 3600


def make_token(audience: str, principal: str = PRINCIPAL) -> str:
    now = int(time.time())
    claims = {
        "aud": audience, "iss": f"https://sts.windows.net/{TENANT}/", "iat": now, "nbf": now - 60,
        "exp": now + LIFETIME_S, "oid": principal, "tid": TENANT, "idtyp": "app",
    }  # fmt: skip
    return f"{_part({'alg': 'none', 'typ': 'JWT'})}.{_part(claims)}."


def principal_of(asked: Asked, audience: str) -> str | None:
    """Whose valid token for this audience the request carries; None where it carries none."""
    kind, _, token = asked.headers.get("authorization", "").partition(" ")
    if kind != "Bearer":
        return None
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    if claims["aud"].rstrip("/") != audience or claims["exp"] < time.time():
        return None
    return str(claims["oid"])


class IdentityServer:
    """What `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` name: a managed identity's token service."""

    def __init__(self) -> None:
        self.secret = uuid.uuid4().hex
        self.served = 0
        self.logged_in = True
        self.principal = PRINCIPAL
        self._server = LoopbackServer(self._answer)
        self.endpoint = f"{self._server.url}/msi/token"

    def environ(self) -> dict[str, str]:
        return {"IDENTITY_ENDPOINT": self.endpoint, "IDENTITY_HEADER": self.secret}

    def close(self) -> None:
        self._server.close()

    def _answer(self, asked: Asked) -> Answer:
        if asked.headers.get("x-identity-header") != self.secret or not self.logged_in:
            return json_answer(401, {"statusCode": 401, "message": "no identity"})
        resource = asked.query["resource"].rstrip("/")
        self.served += 1
        document = {
            "access_token": make_token(resource, self.principal), "token_type": "Bearer",
            "expires_on": str(int(time.time()) + LIFETIME_S), "resource": resource,
        }  # fmt: skip
        return json_answer(200, document)


def _part(document: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
