"""One Azure login: a subscription in a cloud, its management clients, and who it is."""

from __future__ import annotations

import base64
import binascii
import importlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from core.clock import Clock
from core.cloud.azure_errors import azure_errors, login_command
from core.errors import LoginNeededError, UsageError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

IDENTITY_LASTS_S = 300.0
"""How long a subscription's id is believed: a login may be changed under a worker."""

STORAGE_SCOPE = "https://storage.azure.com/.default"
"""What a token for blobs is asked for; the same in every Azure cloud."""

POLLING_S = 2
"""Between two looks at an operation that goes on in Azure, where it names no pause itself."""

CLIENTS: Mapping[str, tuple[str, str]] = {
    "authorization": ("azure.mgmt.authorization", "AuthorizationManagementClient"),
    "cdn": ("azure.mgmt.cdn", "CdnManagementClient"),
    "compute": ("azure.mgmt.compute", "ComputeManagementClient"),
    "dns": ("azure.mgmt.dns", "DnsManagementClient"),
    "keyvault": ("azure.mgmt.keyvault", "KeyVaultManagementClient"),
    "network": ("azure.mgmt.network", "NetworkManagementClient"),
    "resources": ("azure.mgmt.resource.resources", "ResourceManagementClient"),
    "storage": ("azure.mgmt.storage", "StorageManagementClient"),
}
"""The management planes that the product uses, by a short name."""

_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 60
_LOGIN_TIMEOUT_S = 30
"""For `az` and its like, which need seconds to start on a busy computer."""
_RETRIES = 3
_SUBSCRIPTIONS_API = "2022-12-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureCloud:
    """Which Azure is meant: Microsoft's public one, a national one, or an own.

    Attributes:
        arm: The management plane's URL, without a slash at the end.
        authority: Where tokens come from, None for the public one.
        blob: A pattern such as `https://{account}.blob.example`; None: what Azure answers counts.
        ca: A file of certificates to trust instead of the system's.
    """

    arm: str
    authority: str | None = None
    blob: str | None = None
    ca: Path | None = None

    @property
    def scope(self) -> str:
        """What a token for the management plane is asked for."""
        return f"{self.arm}/.default"

    def blob_endpoint(self, account: str, answered: str) -> str:
        """Where an account's blobs are; `answered` is what Azure says about it."""
        return answered if self.blob is None else self.blob.replace("{account}", account)


_KNOWN = {
    "public": AzureCloud(arm="https://management.azure.com"),
    "usgov": AzureCloud(
        arm="https://management.usgovcloudapi.net", authority="https://login.microsoftonline.us"
    ),
    "china": AzureCloud(
        arm="https://management.chinacloudapi.cn",
        authority="https://login.partner.microsoftonline.cn",
    ),
}


def azure_cloud(setting: str | Mapping[str, str]) -> AzureCloud:
    """The cloud that the setting `azure.cloud` names.

    Raises:
        UsageError: A cloud of one's own is named without its management plane.
    """
    if isinstance(setting, str):
        return _KNOWN[setting]
    if not setting.get("arm", "").startswith("https://"):
        raise UsageError(
            "The setting azure.cloud names no management plane of its own cloud.",
            remedy="Set azure.cloud.arm to an https URL, or azure.cloud to public.",
        )
    return AzureCloud(
        arm=setting["arm"].rstrip("/"),
        authority=setting.get("authority"),
        blob=setting.get("blob"),
        ca=Path(setting["ca"]) if "ca" in setting else None,
    )


class AzureSubscription:
    """Clients of one subscription; safe to use from several threads.

    The login is what `DefaultAzureCredential` finds: a service principal in the environment, a
    managed identity, or the operator's own `az login`. The SDKs are imported on first use. All
    pauses between their retries and polls are the clock's.

    Args:
        name: A subscription's display name or id. Azure knows no profiles: the name is resolved
            to an id, and the id is what a site is pinned to.
    """

    def __init__(self, name: str, cloud: AzureCloud, clock: Clock) -> None:
        self.name = name
        self.cloud = cloud
        self._clock = clock
        self._lock = threading.RLock()
        self._credential: TokenCredential | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._found: tuple[str, float] | None = None

    def credential(self) -> TokenCredential:
        """The login, for libraries that ask for tokens themselves."""
        with self._lock, azure_errors("open the login", self.name):
            if self._credential is None:
                self._credential = self._open_credential()
            return self._credential

    def subscription_id(self) -> str:
        """The id behind the name, asked for at most once in five minutes.

        Raises:
            LoginNeededError: There is no login, or it does not see the subscription.
            UsageError: Several subscriptions have the name.
        """
        with self._lock:
            now = self._clock.monotonic()
            if self._found is None or now - self._found[1] >= IDENTITY_LASTS_S:
                with azure_errors("find the subscription", self.name):
                    self._found = (self._resolved(), now)
            return self._found[0]

    def client(self, service: str) -> Any:
        """A management client by its short name in `CLIENTS`, with timeouts and retries.

        Raises:
            LoginNeededError: As `subscription_id`.
        """
        wanted = (service, self.subscription_id())
        with self._lock, azure_errors(f"open {service}", self.name):
            if wanted not in self._clients:
                self._clients[wanted] = self._open(*wanted)
            return self._clients[wanted]

    def principal(self) -> tuple[str, str | None]:
        """Object id of the login and what it is: `User`, `ServicePrincipal`, None if unsaid.

        Read from the claims `oid` and `idtyp` of the login's own token, which Azure checks.

        Raises:
            LoginNeededError: There is no login, or its token names nobody.
        """
        claims = self._login_claims("oid")
        kinds = {"app": "ServicePrincipal", "user": "User"}
        return str(claims["oid"]), kinds.get(str(claims.get("idtyp")))

    def tenant_id(self) -> str:
        """The directory of the login, by the claim `tid` of its own token.

        Raises:
            LoginNeededError: There is no login, or its token does not say it.
        """
        return str(self._login_claims("tid")["tid"])

    def transport_options(self) -> dict[str, Any]:
        """Keyword arguments that every Azure SDK client takes: timeouts, retries, certificates."""
        return {
            "transport": self._transport(),
            "retry_total": _RETRIES,
            "user_agent": "tmux-builder",
            "logging_enable": False,
        }

    def _login_claims(self, needed: str) -> Mapping[str, object]:
        with azure_errors("ask who is logged in", self.name):
            claims = _claims(self.credential().get_token(self.cloud.scope).token)
        if not isinstance(claims.get(needed), str):
            raise LoginNeededError(
                "The Azure login's token does not say whose it is.",
                remedy=login_command(self.name),
            )
        return claims

    def _open(self, service: str, subscription_id: str) -> Any:
        module, name = CLIENTS[service]
        opener = getattr(importlib.import_module(module), name)
        return opener(
            self.credential(),
            subscription_id,
            base_url=self.cloud.arm,
            credential_scopes=[self.cloud.scope],
            polling_interval=POLLING_S,
            **self.transport_options(),
        )

    def _resolved(self) -> str:
        found = self._visible()
        if _is_guid(self.name):
            fitting = [one for one, _title in found if one == self.name.lower()]
        else:
            fitting = [one for one, title in found if title.casefold() == self.name.casefold()]
        if len(fitting) > 1:
            raise UsageError(
                f"{len(fitting)} Azure subscriptions are called {self.name!r}.",
                remedy=f"Name one by its id instead: {' or '.join(sorted(fitting))}.",
                code="ambiguous",
            )
        if not fitting:
            raise LoginNeededError(
                f"The Azure login does not see a subscription {self.name!r}.",
                remedy=f"{login_command(self.name)}; az account list shows what it sees.",
                code="subscription_not_found",
            )
        return fitting[0]

    def _visible(self) -> list[tuple[str, str]]:
        """(id, display name) of every enabled subscription that the login sees."""
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - heavy, on use only

        found: list[tuple[str, str]] = []
        link: str | None = f"{self.cloud.arm}/subscriptions?api-version={_SUBSCRIPTIONS_API}"
        with self._plain_client() as client:
            while link is not None:
                response = client.send_request(HttpRequest("GET", link))
                _raise_for(response)
                page = response.json()
                found += [
                    (str(one["subscriptionId"]).lower(), str(one.get("displayName", "")))
                    for one in page["value"]
                    if one.get("state", "Enabled") in ("Enabled", "Warned", "PastDue")
                ]
                link = page.get("nextLink")
        return found

    def _plain_client(self) -> Any:
        """A client without a subscription: its list is what the id comes from."""
        from azure.core.pipeline import policies  # noqa: PLC0415 - heavy, on use only
        from azure.mgmt.core import ARMPipelineClient  # noqa: PLC0415 - likewise
        from azure.mgmt.core.policies import (  # noqa: PLC0415 - likewise
            ARMChallengeAuthenticationPolicy,
        )

        login = ARMChallengeAuthenticationPolicy(self.credential(), self.cloud.scope)
        agent = policies.UserAgentPolicy("tmux-builder")
        steps = [agent, policies.RetryPolicy(retry_total=_RETRIES), login]
        return ARMPipelineClient(self.cloud.arm, policies=steps, transport=self._transport())

    def _open_credential(self) -> TokenCredential:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - heavy, on use only

        options: dict[str, Any] = {"process_timeout": _LOGIN_TIMEOUT_S}
        if self.cloud.authority is not None:
            options["authority"] = self.cloud.authority
        if self.cloud.ca is not None:
            options["connection_verify"] = str(self.cloud.ca)
            options["disable_instance_discovery"] = True
        return DefaultAzureCredential(**options)

    def _transport(self) -> Any:
        from azure.core.pipeline.transport import (  # noqa: PLC0415 - heavy, on use only
            RequestsTransport,
        )

        clock = self._clock

        class ClockedTransport(RequestsTransport):  # type: ignore[misc]  # loaded lazily there
            """Pauses by the product's clock, so that one place decides what a wait is."""

            def sleep(self, duration: float) -> None:
                clock.sleep(duration)

        verify = True if self.cloud.ca is None else str(self.cloud.ca)
        return ClockedTransport(
            connection_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            connection_verify=verify,
        )


def _raise_for(response: Any) -> None:
    """An SDK error with its code for any answer but success."""
    from azure.core import exceptions as known  # noqa: PLC0415 - heavy, on use only
    from azure.mgmt.core.exceptions import ARMErrorFormat  # noqa: PLC0415 - likewise

    if response.status_code == 401:
        raise known.ClientAuthenticationError(response=response)
    if response.status_code >= 400:
        raise known.HttpResponseError(response=response, error_format=ARMErrorFormat)


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _claims(token: str) -> Mapping[str, object]:
    """The claims of a JSON web token, empty where it is none."""
    parts = token.split(".")
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except (IndexError, binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
