"""The small homework with all that an audit can be given, so that the engine's tests need no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autograder.audit.homework import (
    Attack,
    Attacks,
    Draws,
    FalseFails,
    Fuzzing,
    HomeworkAudit,
    Method,
    Reproducing,
    StudyPlan,
    Target,
    Variation,
)
from autograder.audit.solutions import Solution
from autograder.hw11.audit.attacks import ATTACKED, UTILS
from tests import small

RIGHT, WRONG = "def twice(x):\n    return x + x\n", "def twice(x):\n    return 3 * x\n"


def _attack(id: str, kind: str, text: str, **fields: Any) -> Attack:
    return Attack(id, kind, {"answer.py": text}, **{"allowed": {"numbers": "none"}, **fields})


def _borrowed(attack: Attack) -> Attack:
    """An attack of homework 11 in `twice`: what it tries is the same wherever it stands."""
    text = attack.behind[UTILS].replace("def sample_gaussian(m, v):", "def twice(x):")
    return replace(attack, behind={"answer.py": f"import torch\n{text}"}, allowed={"numbers": "none"})


ATTACKS = Attacks(
    question="numbers",
    files=("answer.py",),
    right=_attack("right", "", RIGHT, allowed={"numbers": "full"}),
    wrong={"numbers": _attack("wrong-numbers", "", WRONG, allowed={"numbers": "any"})},
    attacks=(
        *(_borrowed(attack) for attack in ATTACKED.attacks if attack.id in ATTACKED.proof),
        _attack("exit", "harm", "def twice(x):\n    import os\n    os._exit(0)\n", says="stopped before"),
        _attack("found", "forge", WRONG, targets=("local:given",), allowed={"numbers": "wrong"}),
    ),
    proof=ATTACKED.proof,
)


def tried(method: Method, draws: int) -> Mapping[str, Any]:
    """The students' own check refuses what is not sound."""
    return {"refused": "" if method.sound else "AssertionError", "failed": 0 if method.sound else draws, "used": 0.1}


def studied(seeds: int) -> Mapping[str, Any]:
    """Something that never fails."""
    return {"failed": 0, "worst": f"{seeds} %"}


def solution(id: str, source: str, **fields: Any) -> Solution:
    """A solution of answer.py."""
    return Solution(id, f"The way {id}.", "answer.py", source, **fields)


SHIFTED = solution("shifted", "def twice(x):\n    return x * 2\n")
CHEATER = solution("cheater", WRONG, fails=("numbers.twice",))
AUDIT = HomeworkAudit(
    falsefails=FalseFails(usual_rounds=3),
    draws=Draws(
        usual_rounds=3,
        methods=(Method(SHIFTED, "check", True), Method(replace(SHIFTED, id="thirds"), "check", False)),
        tried=tried,
        studies={"one": StudyPlan("something", "1 %", 4, studied)},
        chosen=(("a number", "1", "a reason"),),
    ),
    variations=(Variation("twice", "a sum", ("sum",)), Variation("the upload", "a zip", tests=("tests/a.py::b",))),
    reproducing=Reproducing((CHEATER,), (CHEATER,), times=4),
    attacks=ATTACKS,
    fuzzing=Fuzzing((Target("text", "text", 20, lambda rng: rng.randbytes(5), bytes.hex),), usual_inputs=5),
    audit_document=Path("/nonexistent/audit.md"),
)
ASSIGNMENT = replace(small.ASSIGNMENT, audit=lambda: AUDIT)
