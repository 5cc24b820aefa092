"""One AWS login: a named profile in a region, its clients, and who it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from core.clock import Clock
from core.cloud.aws_errors import aws_errors

if TYPE_CHECKING:
    from boto3.session import Session as BotoSession

IDENTITY_LASTS_S = 300.0
"""How long an answer to "who am I" is believed: a profile may be changed under a worker."""

GLOBAL_REGION = "us-east-1"
"""Where CloudFront, its certificates and its tags live."""

_CONNECT_TIMEOUT_S = 5
_READ_TIMEOUT_S = 60
_ATTEMPTS = 4


class AwsAccount:
    """Clients of one profile; safe to use from several threads.

    Endpoints come from `AWS_ENDPOINT_URL*` as botocore reads them. boto3 is imported on first use.

    Args:
        profile: A name in the operator's own AWS configuration. Where the environment carries
            credentials and there is no such profile, that is an error: a customer's site must not
            land in whatever account happens to be in the environment.
    """

    def __init__(self, profile: str, region: str, clock: Clock) -> None:
        self.profile = profile
        self.region = region
        self._clock = clock
        self._lock = threading.Lock()
        self._session: BotoSession | None = None
        self._clients: dict[tuple[str, str], Any] = {}
        self._identity: tuple[str, float] | None = None
        self._elsewhere: dict[str, AwsAccount] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """A botocore client with timeouts and botocore's standard retries.

        Raises:
            LoginNeededError: There is no such profile.
        """
        wanted = (service, region or self.region)
        with self._lock:
            if wanted not in self._clients:
                with aws_errors(f"open {service}", self.profile):
                    self._clients[wanted] = self._open(*wanted)
            return self._clients[wanted]

    def account_id(self) -> str:
        """The twelve digits of the account that this login acts in.

        Raises:
            LoginNeededError: The login is missing or has expired.
        """
        now = self._clock.monotonic()
        known = self._identity
        if known is not None and now - known[1] < IDENTITY_LASTS_S:
            return known[0]
        self._forget_login()
        with aws_errors("ask which account this is", self.profile):
            answer = self.client("sts").get_caller_identity()
        self._identity = (str(answer["Account"]), now)
        return self._identity[0]

    def elsewhere(self, region: str) -> AwsAccount:
        """The same login in another region."""
        if region == self.region:
            return self
        with self._lock:
            if region not in self._elsewhere:
                self._elsewhere[region] = AwsAccount(self.profile, region, self._clock)
            return self._elsewhere[region]

    def session(self) -> BotoSession:
        """The boto3 session, for credentials that another library refreshes by itself."""
        with self._lock, aws_errors("open the login", self.profile):
            return self._boto()

    def partition(self, region: str | None = None) -> str:
        """The part of an ARN that names the AWS this region is in: `aws`, `aws-cn`."""
        with aws_errors("tell the region's partition", self.profile):
            return str(self.session().get_partition_for_region(region or self.region))

    def _forget_login(self) -> None:
        """Read the operator's configuration anew: a login may have been renewed or exchanged."""
        with self._lock:
            self._session, self._identity = None, None
            self._clients.clear()
            self._elsewhere.clear()

    def _open(self, service: str, region: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - heavy, on use only

        config = Config(
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": _attempts()},
            user_agent_appid="tmux-builder",
        )
        opener: Callable[..., Any] = self._boto().client
        return opener(service, region_name=region, config=config)

    def _boto(self) -> BotoSession:
        import boto3  # noqa: PLC0415 - heavy, on use only

        if self._session is None:
            self._session = boto3.Session(profile_name=self.profile, region_name=self.region)
        return self._session


_accounts: dict[tuple[object, ...], AwsAccount] = {}
_accounts_lock = threading.Lock()


def open_account(profile: str, region: str, clock: Clock, environ: Mapping[str, str]) -> AwsAccount:
    """The process's one `AwsAccount` of that login: clients are dear, and identities are cached.

    Args:
        environ: Other AWS_* variables, such as an endpoint, make another account.
    """
    variables = frozenset((name, text) for name, text in environ.items() if name.startswith("AWS_"))
    wanted = (profile, region, clock, variables)
    with _accounts_lock:
        if wanted not in _accounts:
            _accounts[wanted] = AwsAccount(profile, region, clock)
        return _accounts[wanted]


def _attempts() -> int:
    """AWS_MAX_ATTEMPTS as botocore reads it, else our own count."""
    given = os.environ.get("AWS_MAX_ATTEMPTS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else _ATTEMPTS
