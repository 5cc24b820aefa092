"""`report`: a bundle for a fault report, without what could name a customer."""

from __future__ import annotations

from tui.cli.call import Call
from tui.cli.outcome import Outcome
from tui.cli.parsing import verb


@verb("report")
def report(call: Call) -> Outcome:
    from tui.cli.bundle import write_bundle  # noqa: PLC0415 - not for help

    call.say("report: collecting; e-mails, phones and names are masked")
    path = str(write_bundle(call))
    return Outcome(data={"path": path}, human=lambda _terminal: [path], result=path)


COMMANDS = {"report": report}
