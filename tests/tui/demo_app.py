"""Run the app by hand on made-up data: `python -m tests.tui.demo_app [small|many|empty]`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from tests.tui import fake_services
from tui.app import run_app

if TYPE_CHECKING:
    from core.services.services import Services


def main() -> int:
    kind = sys.argv[1] if len(sys.argv) > 1 else "small"
    makers = {
        "small": fake_services.small_office,
        "many": lambda: fake_services.many(5000),
        "empty": fake_services.empty,
    }
    services = makers[kind]()
    return run_app(
        cast("Services", services),
        pane_view=fake_services.FakePane(),
        attach=fake_services.FakeAttach(),
        demo=lambda: None,
        changes=services.changes,
    )


if __name__ == "__main__":
    sys.exit(main())
