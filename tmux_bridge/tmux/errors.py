"""What can go wrong between this process and its tmux server."""

from __future__ import annotations

from core.errors import BuilderError, ExitCode, MissingProgramError


class TmuxCommandError(BuilderError):
    """tmux understood the connection but refused or failed one command."""

    code = "tmux_failed"


class PaneGoneError(TmuxCommandError):
    """The pane does not exist, or the program in it has ended; nothing was typed."""

    code = "pane_gone"


class BufferGoneError(TmuxCommandError):
    """The paste buffer does not exist, so nothing was typed."""

    code = "buffer_gone"


class TmuxGoneError(BuilderError):
    """There is no tmux server, or the connection to it is lost. Nobody knows what was executed."""

    code = "tmux_gone"
    retryable = True


class TmuxSilentError(TmuxGoneError):
    """The server holds its socket but did not answer in time."""

    code = "tmux_silent"
    exit_code = ExitCode.TIMED_OUT


START_AGAIN = "Run the command again: tmux is started and the sessions are resumed by themselves."


def gone(what: str) -> TmuxGoneError:
    """The error for a lost server or connection; `what` is a full sentence."""
    return TmuxGoneError(what, remedy=START_AGAIN)


def silent(what: str, timeout_s: float) -> TmuxSilentError:
    return TmuxSilentError(
        f"tmux did not answer {what} within {timeout_s:g} s.",
        remedy="Look at the load of the computer; if tmux hangs, end it: tmux-builder doctor.",
    )


def missing_tmux(program: str) -> MissingProgramError:
    return MissingProgramError(
        f"{program} is not installed, so no session can run.",
        remedy="apt-get install tmux (macOS: brew install tmux)",
        code="tmux_missing",
    )
