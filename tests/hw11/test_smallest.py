"""Where a check fails, the message ends with the smallest of some tiny inputs that shows it, at little cost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder.audit import bank
from autograder.audit.inprocess import InProcess
from autograder.audit.solutions import Solution, write
from autograder.core import (
    Array,
    Check,
    CheckFailed,
    Counterexample,
    Observation,
    Question,
    Request,
    Submission,
    Trial,
    Values,
    Verdict,
)
from autograder.grade import LONGEST, Grading
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.policy_gradient import loss
from autograder.hw11.summarization import decoding, layer
from autograder.intake import submission
from autograder.judging.judges import Exact, got_and_expected, shown
from autograder.sandbox.host.sandbox import Sandbox, SandboxConfig
from autograder.sandbox.parts import items, take
from tests.helpers import reachable_folder
from tests.solutions import BANK, RIGHT

SEARCHED = {check.id for question in ASSIGNMENT.questions for check in question.checks if check.counterexample}

FILL = "p.data = torch.arange(1., p.numel()+1).cos().view_as(p)"
TOLD = (
    (
        "bound-kl-swapped",
        "vae.bound.kl",
        "Smallest example: m = [0], v = [4] gave a KL term of 0.3181; expected 0.8069.",
    ),
    (
        "bound-kl-mean-over-dimensions",
        "vae.bound.kl",
        "Smallest example: m = [0, 1], v = [1, 4] gave a KL term of 0.6534; expected 1.307.",
    ),
    (
        "bound-bce-mean",
        "vae.bound.reconstruction",
        "Smallest example: every logit 0 and every pixel 0 gave a reconstruction term of 0.6931; expected 543.4.",
    ),
    (
        "sample-variance-ignored",
        "vae.sample.parameters",
        r"Smallest example: with m = \[\[0\]\] and v = \[\[4\]\] 200 samples had the mean \[\[-?0.\d+\]\] and the "
        r"standard deviation \[\[(1|1.1|0.9\d?)\]\]; expected about \[\[0\]\] and \[\[2\]\].",
    ),
    (
        "gan-both-halved",
        "gan.discriminator",
        "Smallest example: the logits [0] of real images and [0] of generated images gave a d_loss of 0.6931; "
        "expected 1.386.",
    ),
    (
        "gan-both-halved",
        "gan.generator",
        "Smallest example: the logits [0] of real images and [0] of generated images gave a g_loss of 0.3466; "
        "expected 0.6931.",
    ),
    (
        "pg-next-class",
        "policy_gradient.gradient",
        "Smallest example: the logits [[0, 0, 0, 0]], actions [0] and rewards [1] gave the gradient "
        "[0.25, 0.25, 0.25, -0.75]; expected [-0.75, 0.25, 0.25, 0.25].",
    ),
    (
        "pg-reward-column",
        "policy_gradient.gradient",
        "Smallest example: the logits [[0, 0, 0, 0], [0, 0, 0, 0]], actions [0, 1] and rewards [1, 2] gave the "
        "gradient "
        "of row 1 [-0.5625, 0.1875, 0.1875, 0.1875]; expected [-0.375, 0.125, 0.125, 0.125].",
    ),
    (
        "kl-swapped",
        "distributions.discrete",
        "Smallest example: p = [0.5, 0.5] and q = [0.25, 0.75] gave 0.1308; expected 0.1438.",
    ),
    (
        "kl-zeros-skipped",
        "distributions.discrete",
        "Smallest example: p = [0.5, 0.5] and q = [1, 0] gave -0.3466; expected inf.",
    ),
    (
        "kl-swapped",
        "distributions.gaussian",
        "Smallest example: p with mean 0 and standard deviation 1, and q with mean 0 and standard deviation 2 gave "
        "0.8069; "
        "expected 0.3181.",
    ),
    (
        "sum-gelu",
        "summarization.layer",
        f"Smallest example: TransformerLayer(False, 3, 1, 3, 0.0), {FILL}, x = [[[1, 1, 1]]] gave at position 1 "
        "[1.3, -0.0895, -0.37]; expected [1.3, -0.126, -0.28].",
    ),
    (
        "sum-causal-in-cache",
        "summarization.layer_cached",
        f"Smallest example: with use_cache, TransformerLayer(True, 3, 1, 3, 0.0), {FILL}, x = [[[1, 1, 1], "
        "[3, 3, 2]]], encoder_out = [[[2, 2, 1]]] gave at position 2 [1.28, -0.0137, -0.584]; expected "
        "[1.3, -0.0512, -0.473].",
    ),
    (
        "sum-cache-overwritten",
        "summarization.layer_cache",
        "Smallest example: x = [[[1, 1, 1], [3, 3, 2]]], step by step, left after step 2 the cache [[[3, 3, 2]]]; "
        "expected [[[1, 1, 1], [3, 3, 2]]].",
    ),
    (
        "sum-no-positions",
        "summarization.stack",
        f"Smallest example: an encoder's stack of 1 layer, d_model 3, n_heads 1, {FILL}, ids [[3]] gave at "
        "position 1 [1.3, -0.0498, -0.477]; expected [1.28, 0.000253, -0.628].",
    ),
    (
        "sum-first-cache-for-all",
        "summarization.stack_cached",
        f"Smallest example: with use_cache, a decoder's stack of 2 layers, d_model 3, n_heads 1, {FILL}, ids "
        "[[3, 4]], encoder_hidden_states [[[2, 2, 1]]] gave at position 2 [1.28, 0.00475, -0.643]; expected "
        "[1.28, -0.00188, -0.622].",
    ),
    (
        "sum-caches-of-outputs",
        "summarization.stack_cache",
        f"Smallest example: with use_cache, a decoder's stack of 1 layer, d_model 3, n_heads 1, {FILL}, ids "
        "[[3]], encoder_hidden_states [[[2, 2, 1]]] left in cache 1 at position 1 [1.29, -0.0258, -0.547]; expected "
        "[0.475, 0.0661, -2.26].",
    ),
    (
        "sum-greedy-first-row-ends-all",
        "summarization.greedy",
        "Smallest example: where the likeliest tokens are in turn 2, 4, 4 for row 1 and 3, 2 for row 2, "
        "greedy_decode(model, [[3], [4]], 3) gave [[2], [3]]; expected [[2, 0], [3, 2]].",
    ),
    (
        "sum-beam-penalty-ignored",
        "summarization.beam",
        "Smallest example: where p(2)=0.6, p(3)=0.4; after 3: p(2)=1, beam_search(model, [[3]], 2, 2, 1) gave "
        "[[2, 0]]; expected [[3, 2]].",
    ),
    (
        "update-zeroed-once",
        "continual_learning.fisher",
        "Smallest example: images of one pixel each, [1, 2], label 0 and two classes with all parameters 0 gave the "
        "Fisher information of (weight, bias) [[1.25, 0.625], [1.25, 0.625]]; expected a multiple of [[1.25, 0.5], "
        "[1.25, 0.5]].",
    ),
    (
        "penalty-last-task",
        "continual_learning.penalty",
        "Smallest example: parameters [1, 0], old ones [[0, 0], [3, 0]], Fisher information [[1, 1], [2, 1]] and "
        "lambda 1 gave a penalty of 8; expected 9.",
    ),
)  # fmt: skip


def messages(solution: Solution) -> dict[str, str]:
    """What the solution's student is told by the checks that look for small examples and fail."""
    own = bank.only(bank.of(ASSIGNMENT, solution), SEARCHED)
    with bank.submitted(solution, own) as received:
        results = bank.outcome(received, own).results
    assert not any(result.verdict.notes for result in results)
    return {result.check.id: result.verdict.message for result in results if result.verdict.score < 1}


@pytest.mark.parametrize(("solution", "check", "sentence"), TOLD, ids=lambda value: value if len(value) < 40 else "")
def test_the_smallest_example_is_told(solution: str, check: str, sentence: str) -> None:
    told = messages(BANK[solution])[check]
    assert re.search(sentence, told) if "\\" in sentence else told.endswith(f" {sentence}")
    assert len(told) < LONGEST


def test_every_search_is_tried_above() -> None:
    assert {check for _, check, _ in TOLD} == SEARCHED


@pytest.mark.parametrize(
    "question", ["summarization", "distributions", "continual_learning", "vae", "gan", "policy_gradient"]
)
def test_a_right_answer_shows_no_fault_at_tiny_inputs(question: str) -> None:
    """`describe` is asked directly, as if the check had failed, for some right solutions written differently."""
    checks = [c for q in ASSIGNMENT.questions if q.id == question for c in q.checks if c.counterexample]
    files = {file for q in ASSIGNMENT.questions if q.id == question for file in q.files}
    for solution in [v for v in RIGHT if v.file in files][:: 12 if question == "summarization" else 6]:
        own = bank.only(bank.of(ASSIGNMENT, solution), {check.id for check in checks})
        with bank.submitted(solution, own) as received:
            grading = Grading(InProcess(own.probes), received, own)
            for check in (check for q in own.questions for check in q.checks):
                _, failed = grading._observe(check.request, 0)
                assert check.counterexample is not None
                seen, tiny = grading._observe(check.counterexample.request, 0)
                assert tiny is not None, seen.error
                assert failed is not None
                if question == "policy_gradient" and loss.read(failed).baseline != "none":
                    continue  # a right answer, whose gradient is another one all the same
                assert check.counterexample.describe(failed, tiny) == "", solution.id


# --------------------------------------------------------------------------- what grade.py makes of it

BOX = Submission(Path("/nonexistent"), "digest")


class Echo:
    """An asker that answers what it was given, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, submission: Submission, request: Request, given: Values, *, seed: int, seconds: float) -> Observation:
        self.asked.append(request.probe)
        return Observation(dict(given))


def graded(describe, *, score: float = 0.0, seconds: float = 480.0, message: str = "Wrong.") -> tuple[Verdict, Echo]:
    """The verdict of one check that fails with this score, and what was asked."""
    smallest = Counterexample(Request("m:tiny", lambda _rng: {"x": 0}, seconds=3, deterministic=True), describe)
    rule = Exact(lambda _trial: Verdict(score, message, "wrong"))
    check = Check("c", "n", 1, Request("m:main", lambda _rng: {"x": 7}), rule, counterexample=smallest)
    question = Question("q", 1, "Title", ("file.py",), (check,))
    echo = Echo()
    (result,) = Grading(echo, BOX, replace(ASSIGNMENT, questions=(question,)), seconds=seconds).results()
    assert (result.status, result.verdict.score) == ("graded", score)
    return result.verdict, echo


def test_the_sentence_is_put_behind_the_judges() -> None:
    verdict, echo = graded(lambda failed, tiny: f"At {tiny.given['x']} too, as at {failed.given['x']}.")
    assert verdict == Verdict(0.0, "Wrong. At 0 too, as at 7.", "wrong")
    assert echo.asked == ["m:main", "m:tiny"]


def test_nothing_is_looked_for_where_nothing_failed_or_time_is_short() -> None:
    for verdict, echo in (graded(lambda *_: "No.", score=1.0), graded(lambda *_: "No.", seconds=29.0)):
        assert verdict.message == "Wrong."
        assert echo.asked == ["m:main"]


def test_a_message_stays_short_enough_to_be_read() -> None:
    verdict, _ = graded(lambda *_: "x" * 300, message="y" * 299)
    assert verdict.message == "y" * 299


def broken(error: Exception):
    def describe(_failed: Trial, _tiny: Trial) -> str:
        raise error

    return describe


def test_a_search_that_goes_wrong_leaves_the_verdict_alone() -> None:
    assert graded(broken(CheckFailed("Unreadable.")))[0] == Verdict(0.0, "Wrong.", "wrong")
    verdict, _ = graded(broken(ZeroDivisionError()))
    assert verdict.message == "Wrong."
    assert verdict.notes == ("ZeroDivisionError in the counterexample of c",)


def test_numbers_are_shown_as_briefly_as_they_differ() -> None:
    assert shown(np.array([[0.0, -0.0], [2.5, 1 / 3]])) == "[[0, 0], [2.5, 0.3333]]"
    assert got_and_expected(np.float32(2), 0.80687) == "2; expected 0.8069."
    assert got_and_expected(1.23456, 1.23457) == "1.23456; expected 1.23457."
    assert got_and_expected(np.nan, np.inf) == "nan; expected inf."


# ------------------------------------------------------------------------------ through the real sandbox


def test_a_search_costs_less_than_a_second_behind_the_wall() -> None:
    """CPU of the worker, as the kernel counts it, for a wrong submission of each question; typically 0.06 s."""
    wrong = ("kl-swapped", "sample-variance-ignored", "bound-kl-swapped", "gan-both-halved", "pg-next-class")
    others = ("sum-gelu", "sum-beam-penalty-ignored", "penalty-last-task", "update-not-squared")
    with Sandbox(SandboxConfig(ASSIGNMENT.probes)) as sandbox, reachable_folder() as folder:
        for name in (*wrong, *others):
            workspace = folder / name
            workspace.mkdir()
            upload = write(BANK[name], ASSIGNMENT.reference, folder / f"{name}-upload")
            received = submission.receive(upload, ASSIGNMENT, workspace, group=sandbox.uid)
            own = bank.only(bank.of(ASSIGNMENT, BANK[name]), SEARCHED)
            grading = Grading(sandbox, received, own)
            failed = [result for result in grading.results() if result.verdict.score < 1]
            assert failed
            assert all("Smallest example: " in result.verdict.message for result in failed)
            for result in failed:
                assert result.check.counterexample is not None
                assert grading._observe(result.check.counterexample.request, 0)[0].cpu < 1.0


def test_grading_does_not_import_hypothesis() -> None:
    code = "import sys, autograder.grade, autograder.hw11; sys.exit('hypothesis' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=True)


# --------------------------------------------------------------------------------- the tiny inputs themselves


@pytest.mark.parametrize("tiny", decoding.TINY_BEAM)
def test_all_right_beam_searches_agree_on_the_tiny_models(tiny: decoding.Tiny) -> None:
    search = decoding.Search(tiny.width, tiny.most, tiny.penalty)
    sources = [decoding.SourceTable(number, table) for number, table in enumerate(decoding._tables(tiny))]
    assert [decoding.right(source, search) for source in sources] == decoding.wanted(tiny, beams=True)


def test_the_tiny_models_tell_the_known_mistakes_apart() -> None:
    """By what each finds in some tiny search; what rounding or logits decide is not to be seen there."""
    for mistake in decoding.MISTAKES:
        seen = set()
        for tiny in decoding.TINY_BEAM:
            search = decoding.Search(tiny.width, tiny.most, tiny.penalty)
            sources = [decoding.SourceTable(number, table) for number, table in enumerate(decoding._tables(tiny))]
            try:
                found = [mistake.finds(sources, row, search) for row in range(len(sources))]
            except decoding.Unclear:
                continue
            seen.add(found == decoding.wanted(tiny, beams=True))
        # The logits of a tiny model are log-probabilities already.
        assert False in seen or mistake.id == "sum_logits", mistake.id


def test_the_tiny_layers_show_most_known_mistakes() -> None:
    """What `VISIBLE` promises: 25 of 30 change an output of the second case by 0.02 or more."""
    values = items(layer._tiny(np.random.default_rng(0)), "cases")[1]
    weights = {name: np.asarray(value, float) for name, value in take(values, "w").items()}
    case = layer.LayerCase(values, weights, layer.DOUBLE)
    x, memory = (np.asarray(values[name], float) for name in ("x", "memory"))

    def made(changes: Mapping[str, Any]) -> Array:
        found = case.decoded(x, memory, weights, changes)
        assert isinstance(found, np.ndarray)
        return found

    known = [mistake.decoder for mistake in (*layer.IN_CACHE, *layer.FORMS) if mistake.decoder]
    moved = [float(np.abs(made(changes) - made({})).max()) for changes in known]
    assert (sum(one > 2 * layer.VISIBLE for one in moved), len(moved)) == (25, 30)
