"""Check documents as the answers of the verbs `check`, `screenshot` and `test`."""

from __future__ import annotations

from pathlib import Path

from core.errors import AnswerIsNoError, MissingProgramError, NothingToDeployError
from core.models.checks import CheckDocument
from core.models.execution import Json
from core.models.session import Session

Answer = dict[str, Json]


def check_answer(document: CheckDocument, session_id: str) -> Answer:
    """What `check` shows.

    Raises:
        AnswerIsNoError: The site is not healthy; its data says what was seen.
    """
    details = document.details
    answer: Answer = {
        "url": details.get("url"),
        "status": details.get("status_code"),
        "type": details.get("content_type"),
        "bytes": details.get("response_size_bytes"),
        "ms": document.duration_ms,
        "tries": document.attempts,
    }
    return _judged(document, answer, "health_failed", f"tmux-builder session logs {session_id}")


def screenshot_answer(document: CheckDocument, root: Path) -> Answer:
    """What `screenshot` shows; paths are relative to the session folder.

    Raises:
        MissingProgramError: There is no Chromium.
        AnswerIsNoError: The page could not be photographed.
    """
    details = document.details
    answer: Answer = {
        "full": _relative(details.get("path"), root),
        "thumb": _relative(details.get("thumbnail_path"), root),
        "phone": _relative(details.get("phone_path"), root),
        "width": details.get("width"),
        "height": details.get("height"),
    }
    return _judged(document, answer, "screenshot_failed", "tmux-builder check")


def test_answer(document: CheckDocument, root: Path) -> Answer:
    """What `test` shows.

    Raises:
        MissingProgramError: There is no Chromium.
        AnswerIsNoError: A test failed; its data names each failure.
    """
    names = ("passed", "failed", "skipped", "failures", "warnings", "tests")
    answer: Answer = {name: document.details.get(name) for name in names}
    answer["report"] = _relative(str(root / "deployment" / "tests" / "e2e.json"), root)
    return _judged(document, answer, "e2e_failed", "Read the failures, fix the site, deploy again.")


def _judged(document: CheckDocument, answer: Answer, code: str, remedy: str) -> Answer:
    if document.skipped is not None:
        raise MissingProgramError(
            f"The {document.test} check was skipped.", remedy=document.skipped, code="skipped",
            data=answer,
        )  # fmt: skip
    if not document.passed:
        raise AnswerIsNoError(
            document.error or f"The {document.test} check failed.",
            remedy=remedy,
            code=code,
            data=answer,
        )
    return answer


def _relative(path: Json, root: Path) -> str | None:
    if not isinstance(path, str):
        return None
    found = Path(path)
    return str(found.relative_to(root)) if found.is_relative_to(root) else str(found)


def nothing_deployed(session: Session) -> NothingToDeployError:
    return NothingToDeployError(
        f"{session.key.session_id} was never deployed, so nothing answers yet.",
        remedy=f"tmux-builder deploy {session.key.session_id}",
        code="not_deployed",
    )
