"""What is needed before a site can go to Azure. Only looks: nothing is made to find out.

Every method gives a sentence of what it saw, or raises the error that says what is missing.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any

from core.clock import Clock
from core.cloud.azure import CLIENTS, AzureCloud, AzureSubscription
from core.cloud.azure_errors import azure_errors
from core.cloud.reachability import Reached, reach, require_clock, require_reached
from core.errors import BuilderError, LoginNeededError, MissingProgramError, UsageError

PUBLIC_AUTHORITY = "https://login.microsoftonline.com"
STORAGE = "Microsoft.Storage"
STATIC = (STORAGE, "Microsoft.Cdn")
DYNAMIC = ("Microsoft.Compute", "Microsoft.Network", "Microsoft.KeyVault")
REGISTERED = "Registered"
_NOWHERE = "Attempted credentials"


class AzureReadiness:
    """The checks of one subscription and location; safe to use from several threads."""

    def __init__(self, name: str, cloud: AzureCloud, location: str, clock: Clock) -> None:
        self._subscription = AzureSubscription(name, cloud, clock)
        self._cloud = cloud
        self._location = location
        self._clock = clock
        self._lock = threading.Lock()
        self._reach_lock = threading.Lock()
        self._owner: str | BuilderError | None = None
        self._reached: tuple[Reached, ...] | None = None
        # Where nobody has configured logging, the SDK's warnings would be written over a screen.
        for library in ("azure", "msal"):
            logging.getLogger(library).addHandler(logging.NullHandler())

    def library(self) -> str:
        """That every part of the SDK is there; none is loaded."""
        wanted = ["azure.identity", *(module for module, _name in CLIENTS.values())]
        missing = [name for name in wanted if not _is_there(name)]
        if missing:
            raise MissingProgramError(
                f"Parts of the Azure SDK are missing: {', '.join(missing)}.",
                remedy=f"uv pip install {' '.join(name.replace('.', '-') for name in missing)}",
            )
        return f"azure-identity {version('azure-identity')}"

    def login(self) -> str:
        """That there is a login, and whose; asked once for all checks.

        Raises:
            LoginNeededError: None of the places where one can be has it, or it is refused.
        """
        with self._lock:
            if self._owner is None:
                self._owner = self._found_login()
            if isinstance(self._owner, BuilderError):
                raise self._owner
            return self._owner

    def has_login(self) -> bool:
        return _is_well(self.login)

    def subscription(self) -> str:
        """That the login sees the subscription; its id."""
        return f"{self._subscription.name} is {self._subscription.subscription_id()}"

    def has_subscription(self) -> bool:
        return self.has_login() and _is_well(self.subscription)

    def location(self) -> str:
        """That storage accounts can be made there.

        Raises:
            UsageError: Azure does not offer it.
        """
        offered = {_plain(one) for one in self._locations()}
        if _plain(self._location) in offered:
            return self._location
        near = ", ".join(sorted(offered)[:5]) or "none"
        raise UsageError(
            f"Azure offers this subscription no location {self._location!r} (has: {near} …).",
            remedy="tmux-builder config set azure.location eastus",
        )

    def missing_providers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Resource providers that are not registered: for any site, and for dynamic ones."""
        with ThreadPoolExecutor(len(STATIC + DYNAMIC)) as pool:
            states = dict(
                zip(STATIC + DYNAMIC, pool.map(self._state, STATIC + DYNAMIC), strict=True)
            )
        missing = {name for name, state in states.items() if state != REGISTERED}
        return (
            tuple(name for name in STATIC if name in missing),
            tuple(name for name in DYNAMIC if name in missing),
        )

    def endpoints(self) -> str:
        """That the management plane and the place of tokens answer."""
        return require_reached(self._reach())

    def has_time(self) -> bool:
        return any(one.ahead_s is not None for one in self._reach())

    def clock(self) -> str:
        return require_clock(self._reach())

    def _reach(self) -> tuple[Reached, ...]:
        """One look for both that need it."""
        with self._reach_lock:
            if self._reached is None:
                authority = self._cloud.authority or PUBLIC_AUTHORITY
                urls = {"management": self._cloud.arm, "logins": authority}
                ca = None if self._cloud.ca is None else str(self._cloud.ca)
                self._reached = reach(urls, self._clock, ca=ca)
            return self._reached

    def _found_login(self) -> str | BuilderError:
        try:
            owner, kind = self._subscription.principal()
        except LoginNeededError as error:
            if _NOWHERE not in error.message:
                return error
            # The SDK's own sentence lists every place it looked at, over twenty lines.
            return LoginNeededError("Azure is not logged in.", remedy=error.remedy)
        except BuilderError as error:
            return error
        return f"logged in as {kind or 'object'} {owner}"

    def _locations(self) -> list[str]:
        kinds = self._provider(STORAGE).resource_types or []
        return [
            str(place)
            for kind in kinds
            if str(kind.resource_type).lower() == "storageaccounts"
            for place in kind.locations or []
        ]

    def _state(self, namespace: str) -> str:
        return str(self._provider(namespace).registration_state)

    def _provider(self, namespace: str) -> Any:
        with azure_errors(f"look at the provider {namespace}", self._subscription.name):
            return self._subscription.client("resources").providers.get(namespace)


def _is_well(look: Callable[[], str]) -> bool:
    try:
        return bool(look())
    except BuilderError:
        return False


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _plain(location: str) -> str:
    """`East US` and `eastus` are the same place."""
    return location.replace(" ", "").lower()
