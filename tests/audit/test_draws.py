"""The audit of draws: a slice keeps its promises, a mistake in it is told, and no method's luck goes unnoticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from autograder import version
from autograder.audit import draws
from autograder.audit.draws import DrawTally, Found, Study, TriedMethod
from autograder.audit.homework import Method
from autograder.audit.solutions import Solution
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.audit import draws as room
from autograder.hw11.audit import training
from autograder.hw11.audit.methods import METHODS as METHODS_OF
from tests import small
from tests.solutions import RIGHT, WRONG

pytestmark = pytest.mark.slow

SMALL = "tests.small.audited"
TALLY = DrawTally("v", 2, 1000, {}, 0.1, 1.0)
SOUND = TriedMethod("BFGS", True, "", 100, 0, 0.1)
WEAK = TriedMethod("from one start", False, "AssertionError: another is lower", 100, 100, 0.0)
STUDY = Study("trained", "62 %", 64, 0, "70 %")
GOOD = Found((TALLY,), (SOUND, WEAK), (STUDY,), (("a number", "1", "why"),))


def test_a_grader_that_keeps_its_promises() -> None:
    assert draws.section(GOOD).holds
    assert draws.section(replace(GOOD, methods=(SOUND, replace(WEAK, failed=0)))).holds, "refused, though it is right"


@pytest.mark.parametrize(
    ("found", "broken"),
    [
        (replace(GOOD, right=(replace(TALLY, failed={"a": 1}),)), {0}),
        (replace(GOOD, methods=(replace(SOUND, refused="AssertionError"),)), {1}),
        (replace(GOOD, methods=(replace(SOUND, failed=1),)), {1, 2}),
        (replace(GOOD, methods=(SOUND, replace(WEAK, refused="", failed=1))), {2}),
        (replace(GOOD, studies=(replace(STUDY, failed=1),)), {3}),
    ],
)
def test_each_broken_promise_is_told(found: Found, broken: set[int]) -> None:
    kept = [promise.holds for promise in draws.section(found).promises]
    assert kept == [at not in broken for at in range(len(kept))]


def test_every_exact_check_with_drawn_inputs_has_a_thousand_gradings() -> None:
    """All but those that no right solution of the bank is about."""
    often = dict.fromkeys(draws.exact(ASSIGNMENT), 0)
    for solution in RIGHT:
        for check in draws.concerned(ASSIGNMENT, WRONG, solution):
            often[check] += room.ROUNDS[solution.file]
    assert min(often.values()) >= 1000, often
    assert room.ROUNDS["comparing_distributions.ipynb"] == room.ROUNDS["continual_learning.ipynb"] == 1000


def test_solutions_are_graded_by_the_checks_of_what_they_define() -> None:
    of = {solution.id: draws.concerned(ASSIGNMENT, WRONG, solution) for solution in RIGHT}
    assert of["kl-loop"] == {"distributions.discrete", "distributions.gaussian"}
    assert of["fit-hermite"] == {"distributions.forward", "distributions.reverse"}


def test_a_wrong_solution_in_place_of_a_right_one_would_be_counted() -> None:
    solution = next(solution for solution in WRONG if solution.id == "kl-bits")
    row = draws.graded("autograder.hw11", solution, {"distributions.discrete"}, 2, "")
    assert row["failed"] == {"distributions.discrete": 2}


BEFORE = """
def fit_gaussian(target, direction):
    w, m, s = map(np.array, (target.weights, target.means, target.stds))
    centre = float(w @ m)
    unit = float(np.sqrt(w @ (s**2 + (m - centre) ** 2)))
    if direction == "sideways":
        raise ValueError
"""


def tried(source: str, *, draws: int = 3) -> dict[str, object]:
    solution = Solution("method-own", "own", "comparing_distributions.ipynb", (BEFORE + source).strip("\n"))
    return dict(room.tried(Method(solution, "check_fit_gaussian", True), draws))


def test_a_method_is_put_the_students_own_check_and_every_draw() -> None:
    row = tried("    return Gaussian(centre, unit)\n")
    assert str(row["refused"]).startswith("AssertionError: For Mixture")
    assert row["failed"] == 3
    assert tried("    return None\n")["failed"] == 3
    assert "ZeroDivisionError" in str(tried("    return 1 / 0\n")["refused"])


METHODS = {method.solution.about: method for method in METHODS_OF}


@pytest.mark.parametrize(
    "name",
    [
        "closed form and Newton",
        "BFGS on a grid that goes along",
        "L-BFGS-B on the notebook's integration_grid of the target",
        "Nelder-Mead on a grid that goes along",
        "Powell on the notebook's divergence_on_grid",
        "20 nodes and BFGS",
        "50 nodes and BFGS",
        "24 nodes and BFGS",
        "forward by expectation and maximisation",
    ],
)
def test_sound_methods_pass_both(name: str) -> None:
    row = room.tried(METHODS[name], 4)
    assert (row["refused"], row["failed"]) == ("", 0)
    assert row["used"] < 0.5


@pytest.mark.parametrize("name", ["BFGS from the whole alone", "5 nodes and BFGS", "a grid that stays where it is"])
def test_what_fails_is_refused_before_it_is_handed_in(name: str) -> None:
    row = room.tried(METHODS[name], 4)
    assert row["refused"]
    assert row["failed"] == 4


def test_the_small_homework_keeps_the_promises_and_goes_on_from_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(version, "of", lambda _: "this one")  # whatever is edited meanwhile
    steps: list[tuple[int, int]] = []
    found = draws.measured(SMALL, tmp_path, tell=lambda *step: steps.append(step))
    assert [promise.holds for promise in draws.section(found).promises] == [True] * 4
    assert steps[-1] == (4, 4)
    assert [(one.solution, one.gradings) for one in found.right] == [("sum", 3)]
    assert [(one.method, one.draws, one.failed) for one in found.methods] == [
        ("The way shifted.", 100, 0), ("The way shifted.", 100, 100),
    ]  # fmt: skip
    assert found.studies == (Study("something", "1 %", 4, 0, "4 %"),)
    for name in ("graded", "tried", "studied"):
        monkeypatch.setattr(draws, name, None)
    assert draws.measured(SMALL, tmp_path) == found


def test_of_what_a_homework_lacks_nothing_is_promised(tmp_path: Path) -> None:
    """No methods, no trained marks: one promise is left."""
    (promise,) = draws.section(draws.measured("tests.small", tmp_path, every=40)).promises
    assert promise.what == "no right solution fails an exact check by its draw"
    words = replace(small.ASSIGNMENT, questions=small.ASSIGNMENT.questions[1:])
    assert draws.lacks(words) == "the homework has no exact check whose inputs are drawn."
    assert draws.lacks(small.ASSIGNMENT) == ""


def test_a_network_trained_in_a_moment_misses_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "ITERATIONS", 1)
    monkeypatch.setattr(training.study, "__kwdefaults__", {**training.study.__kwdefaults__, "iterations": 1})  # type: ignore[dict-item]
    row = room.STUDIES["argmax"].measured(2)
    assert row["failed"] == 2
