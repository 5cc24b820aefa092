"""`serve`: makes sure that a deployed local site answers, and stays until Ctrl+C."""

from __future__ import annotations

import ipaddress
import threading

import click

from tui.cli.call import Call
from tui.cli.outcome import Outcome, emit
from tui.cli.parsing import argument, option, verb
from tui.cli.suggestions import SessionName

SERVE_TIMEOUT_S = 60.0


@verb(
    "serve",
    argument("session", type=SessionName(), metavar="[S]", required=False),
    option("--port", type=click.IntRange(0, 65535), default=0, text="0 is the site's own.",
           metavar="N"),
    option("--bind", default="127.0.0.1", text="Only this computer's own address."),
    option("--open", "open_browser", is_flag=True, text="Show it in the browser."),
)  # fmt: skip
def serve(call: Call, *, session: str | None, port: int, bind: str, open_browser: bool) -> Outcome:
    """The local host serves the site anyway; this verb says where, and waits."""
    if session == "api":
        raise click.UsageError("The HTTP API is not part of this release.")
    if not _is_loopback(bind):
        raise click.UsageError("The local host answers on this computer only: --bind 127.0.0.1.")
    call.say("serve: asking the local host")
    key = call.session(session).key
    url, own_port = call.services.deploys.serve(key, call.timeout_s(SERVE_TIMEOUT_S))
    if port not in {0, own_port}:
        raise click.UsageError(f"The site keeps its own port {own_port}; leave --port out.")
    ready = Outcome(
        data={"url": url, "port": own_port}, human=lambda _terminal: [url], result=url,
        records=lambda: [[url, own_port]],
    )  # fmt: skip
    emit(call, ready)
    if open_browser:
        import webbrowser  # noqa: PLC0415 - only when asked

        webbrowser.open(url)
    return _stay(call)


def _stay(call: Call) -> Outcome:
    """Until a person or a signal ends it; the site stays up."""
    call.say("Ctrl+C leaves; the site stays up")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        call.say("left; the site stays up")
    return Outcome(exit=130, is_printed=True)


def _is_loopback(address: str) -> bool:
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


COMMANDS = {"serve": serve}
