"""What a pane with a limited network may reach, and what its programs are told about it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from core.errors import UsageError
from tmux_bridge.network_gate.forwarder import PROXY_PORT
from tmux_bridge.network_gate.gate import Destination

VENDOR = "api.anthropic.com"
REGISTRIES = ("pypi.org", "files.pythonhosted.org", "registry.npmjs.org")
HTTPS = 443

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")


def allowed_hosts(
    environment: Mapping[str, str], operator: Mapping[str, str] | None = None
) -> list[Destination]:
    """The model's host, as Claude's environment names it, and the package registries.

    Args:
        environment: Claude's own, before it is told of the gate.
        operator: Whose NO_PROXY decides what does not go through the operator's proxy.

    Raises:
        UsageError: An address of the model cannot be understood.
    """
    bypassed = _either(operator or {}, "no_proxy")

    def is_direct(host: str, port: int) -> bool:
        return host in _LOOPBACK or _is_bypassed(host, port, bypassed)

    named = [(*place, True) for place in _model_places(environment)]
    known = [(host, HTTPS, False) for host in REGISTRIES]
    if not named:
        known.insert(0, (VENDOR, HTTPS, False))
    return [
        Destination(host, port, is_own, is_direct(host, port))
        for host, port, is_own in (*named, *known)
    ]


def upstream_proxy(operator: Mapping[str, str]) -> str | None:
    """The operator's own way out, where there is one."""
    found = _either(operator, "https_proxy") or _either(operator, "http_proxy")
    if not found:
        return None
    return found if "://" in found else f"http://{found}"


def limited_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Claude's environment with the gate as its only proxy."""
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    told = dict.fromkeys(_PROXY_VARIABLES, proxy)
    own = ",".join(sorted(_LOOPBACK))
    return {**environment, **told, "NO_PROXY": own, "no_proxy": own}


def loopback_ports(allowed: list[Destination]) -> str:
    """The forwarder's ports that stand for addresses of the computer's own loopback."""
    found = [one for one in allowed if one.host in _LOOPBACK]
    return ",".join(f"{one.port}={_bracketed(one.host)}:{one.port}" for one in found) or "-"


def _model_places(environment: Mapping[str, str]) -> list[tuple[str, int]]:
    """Host and port of every address by which this environment reaches a model."""
    urls = [environment.get("ANTHROPIC_BASE_URL")]
    if environment.get("CLAUDE_CODE_USE_BEDROCK"):
        region = environment.get("AWS_REGION", "us-east-1")
        usual = f"https://bedrock-runtime.{region}.amazonaws.com"
        urls.append(environment.get("ANTHROPIC_BEDROCK_BASE_URL", usual))
    if environment.get("CLAUDE_CODE_USE_VERTEX"):
        region = environment.get("CLOUD_ML_REGION", "global")
        usual = "" if region == "global" else f"{region}-"
        usual = f"https://{usual}aiplatform.googleapis.com"
        urls.append(environment.get("ANTHROPIC_VERTEX_BASE_URL", usual))
    return [_place(url) for url in urls if url]


def _place(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    try:
        port = parts.port or {"https": HTTPS, "http": 80}[parts.scheme]
    except (ValueError, KeyError) as error:
        raise UsageError(
            f"The model's address {url[:120]!r} is no http or https URL.",
            remedy="Mend ANTHROPIC_BASE_URL, then start the session again.",
        ) from error
    return (parts.hostname or "").rstrip("."), port


def _is_bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Whether a NO_PROXY of names, suffixes, `host:port` and `*` names this host."""
    for word in no_proxy.split(","):
        name = word.strip().lower().lstrip(".")
        if name and (name in {"*", host, f"{host}:{port}"} or host.endswith(f".{name}")):
            return True
    return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _either(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""
