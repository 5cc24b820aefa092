"""NO_COLOR as its standard means it; called before textual is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping


def prepare_colour(environ: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Hide an empty `NO_COLOR` from textual, and set it where our own variable asks for it.

    Returns:
        The environment for child programs, as the operator set it: textual takes the variable
        away from the process, children must still see it.
    """
    environ = os.environ if environ is None else environ
    original = dict(environ)
    if not environ.get("NO_COLOR"):
        environ.pop("NO_COLOR", None)
    if environ.get("TMUX_BUILDER_NO_COLOR"):
        environ["NO_COLOR"] = original["NO_COLOR"] = "1"
    return original


def restore_colour(original: Mapping[str, str]) -> None:
    """Put back what textual removed, so that everything started later sees the same."""
    if "NO_COLOR" in original:
        os.environ["NO_COLOR"] = original["NO_COLOR"]
