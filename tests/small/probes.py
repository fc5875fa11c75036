"""Calls the two functions of answer.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autograder.sandbox.guest.student import Student


def twice(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    return {"value": float(student.function("answer.py", "twice")(given["x"]))}


def hello(_given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    return {"text": str(student.function("answer.py", "hello")())}
