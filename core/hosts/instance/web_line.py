"""Whether a release holds a program that an instance can start."""

from __future__ import annotations

from core.errors import NothingToDeployError
from core.ports.host import PublishRequest
from core.publish.procfile import PROCFILE, web_command


def require_web_line(request: PublishRequest) -> None:
    """Refuse before a machine is paid for what cannot be started on it.

    Raises:
        NothingToDeployError: The release has no Procfile with a `web:` line.
    """
    paths = {one.path for one in request.release.files}
    content = request.trees.read(request.release, PROCFILE) if PROCFILE in paths else b""
    if web_command(content) is None:
        raise NothingToDeployError(
            "The release has no Procfile with a web: line.",
            remedy="Add source/Procfile with a line such as 'web: python app.py'.",
        )
