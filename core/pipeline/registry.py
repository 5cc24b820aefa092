"""Finds the steps: each is a module of `core.pipeline.steps` named after its step."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType

from core.errors import MissingProgramError
from core.models.execution import STEPS, StepName
from core.pipeline.step import Step

_PACKAGE = "core.pipeline.steps"


def load_step(name: str) -> Step:
    """The step of that name: the `STEP` of its module.

    Raises:
        MissingProgramError: There is no such module, or it holds no step of that name.
    """
    try:
        module: ModuleType = importlib.import_module(f"{_PACKAGE}.{name}")
    except ModuleNotFoundError as error:
        raise _broken(name) from error
    step: Step | None = getattr(module, "STEP", None)
    if step is None or step.name != name:
        raise _broken(name)
    return step


def load_steps(names: Iterable[StepName] = STEPS) -> dict[int, Step]:
    """Every step by its number, in the order of the pipeline."""
    return {one.n: load_step(one.name) for one in names}


def _broken(name: str) -> MissingProgramError:
    return MissingProgramError(
        f"The pipeline step {name} is not part of this installation.",
        remedy="Install tmux-builder again.",
    )
