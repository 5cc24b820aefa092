"""What is needed before a site can go to AWS. Only looks: nothing is made to find out.

Every method gives a sentence of what it saw, or raises the error that says what is missing.
"""

from __future__ import annotations

import threading

from core.clock import Clock
from core.cloud.aws import GLOBAL_REGION, AwsAccount
from core.cloud.aws_errors import aws_errors
from core.cloud.reachability import Reached, reach, require_clock, require_reached
from core.errors import BuilderError, LoginNeededError, MissingProgramError, UsageError

SERVICES = ("s3", "cloudfront", "ssm", "ec2")
PARTITION = "aws"
"""CloudFront with the product's settings is in this partition only."""


class AwsReadiness:
    """The checks of one profile and region; safe to use from several threads."""

    def __init__(self, profile: str, region: str, clock: Clock) -> None:
        self._account = AwsAccount(profile, region, clock)
        self._clock = clock
        self._lock = threading.Lock()
        self._login_lock = threading.Lock()
        self._reached: tuple[Reached, ...] | None = None

    def library(self) -> str:
        """The version of the library that talks to AWS."""
        try:
            import boto3  # noqa: PLC0415 - heavy, on use only
        except ImportError as error:
            raise MissingProgramError(
                f"boto3 cannot be loaded: {error}.", remedy="uv pip install boto3"
            ) from error
        return f"boto3 {boto3.__version__}"

    def has_profile(self) -> bool:
        return self._account.profile in self._profiles()

    def has_login(self) -> bool:
        try:
            return bool(self.has_profile() and self.login())
        except BuilderError:
            return False

    def profile(self) -> str:
        """That the operator's own AWS configuration has the profile."""
        name, known = self._account.profile, self._profiles()
        if name in known:
            return name
        have = ", ".join(known) or "none"
        raise LoginNeededError(
            f"AWS profile {name!r} not found (have: {have}).",
            remedy=f"aws configure sso --profile {name}",
        )

    def region(self) -> str:
        """That the region can hold sites.

        Raises:
            UsageError: It is none, or one without CloudFront.
        """
        import boto3  # noqa: F401, PLC0415 - first and whole: two threads begin here
        from botocore.exceptions import UnknownRegionError  # noqa: PLC0415 - heavy, on use only
        from botocore.loaders import create_loader  # noqa: PLC0415 - likewise
        from botocore.regions import EndpointResolver  # noqa: PLC0415 - likewise

        name = self._account.region
        known = EndpointResolver(create_loader().load_data("endpoints"))
        try:
            partition = known.get_partition_for_region(name)
        except UnknownRegionError as error:
            raise UsageError(
                f"AWS has no region {name!r}.",
                remedy="tmux-builder config set aws.region us-east-1",
            ) from error
        if partition != PARTITION:
            raise UsageError(
                f"The region {name} is in the partition {partition}, which sites cannot use.",
                remedy="tmux-builder config set aws.region us-east-1",
            )
        return name

    def login(self) -> str:
        """That AWS accepts the login, and which account it is in; asked once for all checks."""
        with self._login_lock:
            return f"account {self._account.account_id()}"

    def rights(self) -> str:
        """That the login may do what only reads; rights to write show in the first deploy.

        Raises:
            CloudRefusedError: One of these is not allowed.
        """
        profile = self._account.profile
        with aws_errors("list origin access controls", profile):
            cloudfront = self._account.client("cloudfront", GLOBAL_REGION)
            cloudfront.list_origin_access_controls(MaxItems="1")
        with aws_errors("find resources by their tags", profile):
            tagging = self._account.client("resourcegroupstaggingapi")
            wanted = [{"Key": "Project", "Values": ["tmux-builder"]}]
            tagging.get_resources(TagFilters=wanted, ResourcesPerPage=1)
        return "may read; nothing is made to find out about the rest"

    def endpoints(self) -> str:
        """That the services answer; through `AWS_ENDPOINT_URL*` and the proxy as botocore does."""
        return require_reached(self._reach())

    def has_time(self) -> bool:
        return self.has_profile() and any(one.ahead_s is not None for one in self._reach())

    def clock(self) -> str:
        return require_clock(self._reach())

    def _reach(self) -> tuple[Reached, ...]:
        """One look for both that need it."""
        with self._lock:
            if self._reached is None:
                urls = {name: self._account.client(name).meta.endpoint_url for name in SERVICES}
                self._reached = reach(urls, self._clock, ca=self._ca())
            return self._reached

    def _ca(self) -> str | None:
        import boto3  # noqa: F401, PLC0415 - first and whole: two threads begin here
        from botocore.session import Session  # noqa: PLC0415 - heavy, on use only

        with aws_errors("read the configuration", self._account.profile):
            found = Session(profile=self._account.profile).get_config_variable("ca_bundle")
        return None if found is None else str(found)

    def _profiles(self) -> list[str]:
        import boto3  # noqa: F401, PLC0415 - first and whole: two threads begin here
        from botocore.session import Session  # noqa: PLC0415 - heavy, on use only

        with aws_errors("read the configuration", self._account.profile):
            return [str(name) for name in Session().available_profiles]
