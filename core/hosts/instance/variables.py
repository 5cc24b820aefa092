"""A site's variables: which names and values are taken, and how each facility spells a name.

checked_name("API_KEY")                     the same, or UsageError
checked_value("API_KEY", value, limit=…)    the same, or UsageError that does not repeat it
parameter_name("/tmux-builder/x", "API_KEY")   SSM: "/tmux-builder/x/API_KEY"
require_few(names)                          or UsageError: a hundred are the most
secret_name("API_KEY")                      Key Vault: "API-KEY", since it takes no underscore
variable_of_secret("API-KEY")               back again
"""

from __future__ import annotations

import re
from collections.abc import Collection

from core.errors import UsageError

LARGEST_VALUE_BYTES = 32 * 1024
LARGEST_PARAMETER_BYTES = 8 * 1024
"""SSM: 4 KiB in the standard tier, 8 KiB in the advanced one."""
STANDARD_PARAMETER_BYTES = 4 * 1024
LARGEST_SECRET_BYTES = 25_000
"""Key Vault."""
MOST_VARIABLES = 100

RESERVED = frozenset(
    (
        "PORT", "HOST", "PATH", "HOME", "DATA_DIR", "TMPDIR", "LANG", "SHELL", "USER", "LOGNAME",
        "PWD", "IFS", "ENV", "BASH_ENV", "VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH",
        "PYTHONSTARTUP", "NODE_OPTIONS",
    )
)  # fmt: skip
_RESERVED_PREFIXES = ("LD_", "TMUX_BUILDER_")
ORIGIN_KEY = "TMUX_BUILDER_ORIGIN_KEY"
"""Lies beside the variables and is none of them: the agent's front asks the CDN for it."""
ORIGIN_HEADER = "X-Tmux-Builder-Origin"
_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def checked_name(name: str) -> str:
    """The name itself.

    Raises:
        UsageError: It is not a name, or the program gets this one from the product.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:80]!r} is not a variable's name.",
            remedy="Use capital letters, digits and underscores, 64 at most, no digit first.",
            code="invalid_variable",
        )
    if name in RESERVED or name.startswith(_RESERVED_PREFIXES):
        raise UsageError(
            f"{name} is set by the product itself.",
            remedy="Choose another name and read that one in the program.",
            code="reserved_variable",
        )
    return name


def checked_value(name: str, value: str, *, limit: int = LARGEST_VALUE_BYTES) -> str:
    """The value itself.

    Raises:
        UsageError: It is too long, or holds a NUL; the value is not repeated.
    """
    if "\0" in value:
        raise UsageError(
            f"The value of {name} holds a NUL character, which no program can be given.",
            remedy="Give the value as text.",
            code="invalid_value",
        )
    if (size := len(value.encode())) > limit:
        raise UsageError(
            f"The value of {name} has {size} bytes; {limit} are the most.",
            remedy="Keep large data in the site's files and only the secret in the variable.",
            code="invalid_value",
        )
    return value


def require_few(names: Collection[str]) -> None:
    """Refuse more variables than an instance fetches at once.

    Raises:
        UsageError: There are more than a hundred.
    """
    if len(names) > MOST_VARIABLES:
        raise UsageError(
            f"A site has {MOST_VARIABLES} variables at most.",
            remedy="Unset one that the program does not read.",
            code="too_many_variables",
        )


def parameter_name(path: str, name: str) -> str:
    """The SSM parameter of a variable below the site's path."""
    return f"{path}/{name}"


def secret_name(name: str) -> str:
    """The Key Vault secret of a variable: names have no hyphen, so nothing is lost."""
    return name.replace("_", "-")


def variable_of_secret(secret: str) -> str:
    """The variable of a Key Vault secret, whose names know no case."""
    return secret.replace("-", "_").upper()
