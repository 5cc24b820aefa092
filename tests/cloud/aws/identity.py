"""STS: who a key belongs to. The login's account can be changed under a client."""

from __future__ import annotations

from werkzeug.wrappers import Response

from tests.cloud.aws.wire import Call, RefusedError

ACCOUNT = "123456789012"


class Sts:
    """Every key belongs to `account_id`, unless the login is taken away."""

    def __init__(self) -> None:
        self.account_id = ACCOUNT
        self.expired = False

    def answer(self, call: Call) -> Response | None:
        if call.operation != "GetCallerIdentity":
            raise RefusedError("AccessDenied", call.operation, 403)
        if self.expired:
            raise RefusedError("ExpiredToken", "the login has expired", 403)
        text = (
            "<GetCallerIdentityResponse><GetCallerIdentityResult>"
            f"<Arn>arn:aws:iam::{self.account_id}:user/operator</Arn><UserId>AIDA</UserId>"
            f"<Account>{self.account_id}</Account></GetCallerIdentityResult>"
            "<ResponseMetadata><RequestId>stand-in</RequestId></ResponseMetadata>"
            "</GetCallerIdentityResponse>"
        )
        return Response(text, 200, content_type="text/xml")

    def after(self, call: Call, response: Response) -> None:
        """Nothing goes to moto."""
