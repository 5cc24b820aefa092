"""What the browser and its driver get of an environment: nothing secret, not even a proxy's login.

Whoever starts a browser may hold tokens and cloud credentials; a browser runs customers' pages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from playwright._impl import transport
from playwright._impl._driver import get_driver_env

_PASSED_ON = (
    "PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "FONTCONFIG_PATH",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
_DRIVERS_OWN = ("PLAYWRIGHT_", "PW_")
_PROXY_LOGIN = re.compile(r"(?<=://)[^/@\s]*@")


def browser_environment(environ: Mapping[str, str]) -> dict[str, str | float | bool]:
    """The variables that Chromium gets; it ignores the login in a proxy's URL anyway."""
    return dict(_kept(environ))


def contain_driver() -> None:
    """From now on Playwright's driver gets the same, and its own settings.

    The library has no option for it: the driver inherits this process's whole environment.
    """
    setattr(transport, "get_driver_env", _driver_environment)  # noqa: B010 - an import of theirs


def _driver_environment() -> dict[str, str]:
    found = get_driver_env()
    own = {name: value for name, value in found.items() if name.startswith(_DRIVERS_OWN)}
    return {**_kept(found), **own}


def _kept(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: environ[name] for name in _PASSED_ON if environ.get(name)}
    return {name: _PROXY_LOGIN.sub("", value) for name, value in kept.items()}
