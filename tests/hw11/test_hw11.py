"""The homework as a whole: points, numbers, names that students rely on, and what the README shows of it."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from autograder.audit.inprocess import InProcess
from autograder.core import Observation, Request, Submission, Values
from autograder.grade import Grading
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.answers import declared
from autograder.hw11.answers import probes as answers
from autograder.sandbox import returns
from tests.solutions import HALF_RIGHT, WRONG

ROOT = Path(__file__).resolve().parents[2]
TAGS = {
    1: "summarization",
    2: "distributions",
    3: "continual_learning",
    4: "vae",
    5: "gan",
    6: "policy_gradient",
    7: "process",
}
NAMED = {
    "variance_as_std",
    "variance_as_log_variance",
    "no_noise",
    "shared_noise",
    "detached_sample",
    "kl_swapped",
    "kl_sign",
    "rec_sign",
    "sum_not_mean",
    "mean_over_pixels",
    "sigmoid_twice",
    "decodes_mean",
    "decodes_prior",
    "wrong_signed_part",
    "kl_monte_carlo",
    "seeded_inside",
    "uniform_noise",
    "in_place",
    "wrong_order",
    "minimax_generator",
    "d_halved",
    "labels_swapped",
    "detached_generator",
    "unstable",
    "pg_sign",
    "probabilities",
    "broadcast_nxn",
    "reward_ignored",
    "all_actions",
    "greedy_action",
    "true_labels",
    "averaged_twice",
    "sum_activation",
    "sum_cache_leaks",
    "sum_cache_lost",
    "sum_cache_of_outputs",
    "sum_cache_shared",
    "sum_causal_in_cache",
    "sum_cross_from_cache",
    "sum_detached",
    "sum_first_finished",
    "sum_greedy",
    "sum_in_place",
    "sum_layers",
    "sum_norm_lost",
    "sum_not_causal",
    "sum_not_reordered",
    "sum_padding_ignored",
    "sum_padding_inverted",
    "sum_penalty_ignored",
    "sum_penalty_inverted",
    "sum_positions_off_by_one",
    "sum_positions_restart",
    "sum_pre_norm",
    "sum_recomputed",
    "sum_residual_lost",
}


def test_points_numbers_and_tags_are_the_handouts() -> None:
    points = {question.number: question.points for question in ASSIGNMENT.questions}
    assert points == {1: 35, 2: 10, 3: 10, 4: 30, 5: 15, 6: 20, 7: 5}
    assert [question.number for question in ASSIGNMENT.questions if question.optional] == [3, 5]
    assert all(question.id == TAGS[question.number] for question in ASSIGNMENT.questions)
    ids = [check.id for question in ASSIGNMENT.questions for check in question.checks]
    assert len(set(ids)) == len(ids)
    assert all((check.points > 0) != check.manual for question in ASSIGNMENT.questions for check in question.checks)


def test_the_wrong_solutions_have_names() -> None:
    diagnosed = {solution.diagnosis for solution in (*WRONG, *HALF_RIGHT)}
    assert diagnosed >= NAMED


def test_the_public_tests_carry_their_checks_numbers_and_weights() -> None:
    """Those of gan_vae/; a notebook checks itself, in a cell of its own."""
    checks = {
        f"{question.number}.{place}": check.points
        for question in ASSIGNMENT.questions
        for place, check in enumerate(question.checks, 1)
        if all(file.startswith("gan_vae/") for file in question.files) and not check.request.file
    }
    tree = ast.parse((ASSIGNMENT.template / "gan_vae" / "test_public.py").read_text())
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    carried = {}
    for test in tests:
        marks = {
            node.func.id: ast.literal_eval(node.args[0])
            for node in test.decorator_list
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("number", "weight")
        }
        carried[marks["number"]] = marks["weight"]
    assert carried == checks


def test_the_readme_shows_what_the_example_gives(tmp_path: Path) -> None:
    """Line by line, but for the numbers that are drawn (and the seconds, and the folder)."""
    shown = (ROOT / "README.md").read_text().split("```console\n")[1].split("```")[0].split("$ ./run_tests")[0]
    command = [str(ROOT / "run_autograder"), str(ROOT / "tests" / "example"), "--out", str(tmp_path / "results.json")]
    run = subprocess.run(command, env={**os.environ, "COLUMNS": "100"}, capture_output=True, text=True, check=True)

    def plain(text: str) -> list[str]:
        return [re.sub(r"\d{3,}|(?<=\[\[)-?\d+\.\d+", "N", line.rstrip()) for line in text.splitlines() if line.strip()]

    printed = plain(run.stdout)
    for line in plain(shown)[1:]:
        if line.strip() != "..." and " points in " not in line and not line.startswith("isolation"):
            assert line in printed
    assert "46.67 of 100, and 10 of 25 optional points" in run.stdout
    assert "46.67 of 100, and 10 of 25 optional points" in shown


def test_all_false_fails_together_are_below_one_in_a_billion() -> None:
    assert 0 < ASSIGNMENT.alpha < 1e-9


def test_what_the_reference_answers_was_declared() -> None:
    """Every request declares all of its answer: what is not declared reaches no judge."""
    seen: dict[str, Any] = {}

    class Asked:
        inner = InProcess(ASSIGNMENT.probes)

        def ask(self, submission: Any, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
            found = (
                Observation({})
                if request.collector
                else self.inner.ask(submission, request, given, seed=seed, seconds=1)
            )
            assert found.values is not None, (request.name, found.error)
            assert request.returns is not None, request.name
            admitted = returns.admitted(request, given, found)
            assert admitted.values is not None, (request.name, admitted.error)
            assert set(admitted.values) == set(found.values), request.name
            assert not any(name.endswith("fault.kind") for name in found.values), request.name
            seen[request.name] = found
            return found

    reference = Submission(ASSIGNMENT.reference, "reference", ours=True)
    grading = Grading(Asked(), reference, ASSIGNMENT)
    checks = [check for question in ASSIGNMENT.questions for check in question.checks]
    for request in [
        *(check.request for check in checks),
        *(check.counterexample.request for check in checks if check.counterexample),
    ]:
        grading._observe(request, 0)
    assert len(seen) > 20


def test_the_fields_of_answers_are_those_of_the_probe() -> None:
    assert declared.FIELDS == answers.FIELDS
    assert (declared.CHARACTERS, declared.MOST_FIELDS) == (answers.MAX_CHARACTERS, answers.MAX_FIELDS)
    assert (declared.MOST_NUMBERS, declared.MOST_TEXTS) == (answers.MAX_NUMBERS, answers.MAX_TEXTS)
