"""A submission outside of the sandbox, for the staff's eyes and debugger: nothing is confined and nothing is calmed.

Only for code that somebody has read and would run as their own: see classroom/replay.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autograder.core import Value, Values
from autograder.sandbox.guest import optional
from autograder.sandbox.guest.noise import Noise
from autograder.sandbox.guest.student import Student

FOREVER = 1e6
"""Seconds: whoever steps through code is not to be hurried."""


def student(files: Path, *, absent: Sequence[str] = (), rung: int = 0, seed: int = 0) -> Student:
    """The submission in `files`, with the noise that its code met in the grading."""
    made = Student(files, absent, seconds=FOREVER, rung=rung)
    noise = Noise(seed, made.modules)
    made.loaded = noise.renew
    noise.renew()
    if (tensors := optional.tensors()) is not None:
        tensors.torch.set_num_threads(1)
    return made


def tensors(values: Values) -> dict[str, Any]:
    """What a probe is given: tensors for arrays."""
    from autograder.sandbox.guest import tensors  # which imports torch

    return {name: tensors.tensor(value) for name, value in values.items()}


def plain(values: Mapping[str, Any]) -> dict[str, Value]:
    """What a judge is given: arrays for tensors."""
    tensors = optional.tensors()
    return {
        name: value.detach().cpu().numpy() if tensors and isinstance(value, tensors.torch.Tensor) else value
        for name, value in values.items()
    }
