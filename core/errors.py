"""The one error tree: each message says what failed, each remedy says what to do next.

The exit codes are the command line's contract: a class belongs to one code, so a front end
never decides by itself how a failure ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from core.redaction import redacted


class ExitCode(IntEnum):
    """The stable exit codes of every verb."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    LOGIN_NEEDED = 4
    CONFLICT = 5
    ANSWER_IS_NO = 6
    TIMED_OUT = 7
    MISSING = 8
    CONFIRMATION_NEEDED = 9
    CLOUD_REFUSED = 10
    PARTLY_DONE = 11
    LIMIT_REACHED = 12
    INTERRUPTED = 130
    TERMINATED = 143


class BuilderError(Exception):
    """Anything the product refuses or cannot do, in words an operator can act on.

    Args:
        message: One sentence: what failed, on which thing, and why.
        remedy: One sentence or command: what the operator does next.
        code: Machine-readable name; defaults to the class's own.
        data: What was found all the same, such as the failed tests; shown beside the error.
    """

    code = "failed"
    exit_code = ExitCode.FAILED
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        remedy: str,
        code: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> None:
        # Here, because an error is stored, logged and shown in many places, and made in this one.
        self.message = redacted(message)
        self.remedy = redacted(remedy)
        super().__init__(self.message)
        self.data = data
        if code is not None:
            self.code = code


class UsageError(BuilderError):
    """The call itself is wrong; nothing was written."""

    code = "usage"
    exit_code = ExitCode.USAGE


class InvalidEmailError(UsageError):
    """The e-mail address cannot be one."""

    code = "invalid_email"


class InvalidPhoneError(UsageError):
    """The phone number cannot be one."""

    code = "invalid_phone"


class AmbiguousNameError(UsageError):
    """A short name fits more than one thing."""

    code = "ambiguous"


class NotFoundError(BuilderError):
    """No user, session or execution of that name."""

    code = "not_found"
    exit_code = ExitCode.NOT_FOUND


class LoginNeededError(BuilderError):
    """Claude or a cloud is not logged in."""

    code = "login_needed"
    exit_code = ExitCode.LOGIN_NEEDED


class ConflictError(BuilderError):
    """Something else holds what this act needs."""

    code = "busy"
    exit_code = ExitCode.CONFLICT
    retryable = True


class NeedsYouError(ConflictError):
    """Claude waits for an answer, so no text may be typed into its pane."""

    code = "needs_you"


class AnswerIsNoError(BuilderError):
    """The question was asked and answered: no."""

    code = "no"
    exit_code = ExitCode.ANSWER_IS_NO


class NothingToDeployError(AnswerIsNoError):
    """`source/` holds no site."""

    code = "empty_source"


class TimedOutError(BuilderError):
    """The wait is over; the state is kept and the work can be resumed."""

    code = "timed_out"
    exit_code = ExitCode.TIMED_OUT
    retryable = True


class CloudUnreachableError(TimedOutError):
    """A cloud did not answer, or answered with a fault of its own; running it again goes on."""

    code = "cloud_unreachable"


class MissingProgramError(BuilderError):
    """Something the computer should have is not there or too old."""

    code = "missing"
    exit_code = ExitCode.MISSING


class ConfirmationNeededError(BuilderError):
    """A severe act was not confirmed."""

    code = "confirmation_needed"
    exit_code = ExitCode.CONFIRMATION_NEEDED


class CloudRefusedError(BuilderError):
    """A cloud said no: rights, quota or a taken name."""

    code = "cloud_refused"
    exit_code = ExitCode.CLOUD_REFUSED


class PartlyDoneError(BuilderError):
    """Some of it is done; running it again goes on."""

    code = "partly_done"
    exit_code = ExitCode.PARTLY_DONE
    retryable = True


class LimitReachedError(BuilderError):
    """A ceiling of money or rate is reached."""

    code = "limit_reached"
    exit_code = ExitCode.LIMIT_REACHED


class StorageError(BuilderError):
    """The data root cannot be read or written as it must be."""

    code = "storage"
    exit_code = ExitCode.MISSING


class CancelledError(BuilderError):
    """The operator cancelled the work; what was done before stays done."""

    code = "cancelled"
    exit_code = ExitCode.ANSWER_IS_NO


def class_of(
    exit_code: int | None, otherwise: type[BuilderError] = BuilderError
) -> type[BuilderError]:
    """The first class of the tree, from its root down, that ends with this code.

    Args:
        otherwise: The class where no code was recorded, or none of the tree's.
    """
    level: list[type[BuilderError]] = [BuilderError]
    while level:
        for kind in level:
            if kind.exit_code == exit_code:
                return kind
        level = [deeper for kind in level for deeper in kind.__subclasses__()]
    return otherwise
