"""Question 3: what is right in the judges' eyes, notebooks written in other ways, and what a fault costs."""

from __future__ import annotations

import contextlib
import json
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import factorial
from typing import Any

import numpy as np
import pytest
import torch

from autograder.audit import bank
from autograder.core import Check, CheckFailed, Request, Trial, Value, Values
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.continual_learning import QUESTION, behaviour, classifier, data, fisher, penalty
from autograder.hw11.continual_learning import probes as probe
from autograder.sandbox.guest.student import Student
from autograder.sandbox.host.sandbox import Sandbox
from autograder.sandbox.parts import take
from tests import helpers
from tests.helpers import judged
from tests.solutions import BANK

FILE = "continual_learning.ipynb"
JUDGED = replace(QUESTION, checks=tuple(check for check in QUESTION.checks if not check.manual))
OWN = replace(ASSIGNMENT, questions=(JUDGED,))
POINTS = {check.id.partition(".")[2]: check.points for check in JUDGED.checks}


def drawn(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def test_the_points_are_ten() -> None:
    assert (QUESTION.points, QUESTION.number, QUESTION.optional) == (10, 3, True)


# ------------------------------------------------------------------------------------- the classifier


@pytest.mark.parametrize("seed", range(5))
def test_gradients_in_closed_form_are_torchs_up_to_rounding(seed: int) -> None:
    given: Any = fisher._update(drawn(seed))
    theta, x, t = given["theta"][1], given["tasks.1.x"], given["tasks.1.t"]
    model = probe.Classifier(*probe.apart(torch.from_numpy(theta)).values())
    logits = model(torch.from_numpy(probe.images(torch.from_numpy(x))))
    slopes = torch.autograd.grad(
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(t)), list(model.parameters())
    )
    found = probe.joined(*slopes).numpy()
    want = classifier.slopes(theta.astype(float), x, t).mean(0)
    used = np.abs(found - want) / classifier.error(theta.astype(float), x)
    assert used.max() < 0.2
    assert model.seen == [list(range(len(x)))]


# ------------------------------------------------------------------------------------------- pixels


def permuted(orders: Mapping[str, Sequence[np.ndarray]], seed: int = 0) -> Trial:
    """A trial where image k of the five is permuted by orders[call][k]."""
    given: Any = data._permute(drawn(seed))
    got: dict[str, Value] = {}
    for call, chosen in orders.items():
        for name, start in (("first", 0), ("second", data.FIRST)):
            images = given[name]
            each = [image[chosen[start + k]] for k, image in enumerate(images)]
            got[f"{call}.{name}.returned"] = np.reshape(each, (-1, 1, 28, 28))
            got[f"{call}.{name}.given"] = images.reshape(-1, 1, 28, 28)
    return Trial(given, got)


def orders(seed: int) -> list[np.ndarray]:
    return [drawn(seed).permutation(data.PIXELS)] * 5


def test_one_permutation_by_its_seed_is_right() -> None:
    trial = permuted({"once": orders(1), "again": orders(1), "other": orders(2)})
    assert judged(data.permute, trial).score == 1
    assert np.array_equal(data.permutation(trial, "once"), orders(1)[0])


@pytest.mark.parametrize(
    ("calls", "diagnosis"),
    [
        ({"again": orders(3)}, "permute_unseeded"),
        ({"other": orders(1)}, "permute_seed_ignored"),
        ({"once": orders(1)[:4] + orders(2)[:1]}, "permute_each_image"),
        ({"once": orders(1)[:3] + orders(2)[:2]}, "permute_each_array"),
        ({"other": orders(1)[:4] + orders(2)[:1]}, "permute_each_image"),
        ({"once": [np.arange(784)] * 5}, "permute_none"),
        ({"once": [np.arange(784) // 2 * 2] * 5}, "permute_values"),
    ],
)
def test_other_permutations_are_named(calls: dict[str, list[np.ndarray]], diagnosis: str) -> None:
    trial = permuted({"once": orders(1), "again": orders(1), "other": orders(2)} | calls)
    assert judged(data.permute, trial).diagnosis == diagnosis


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_and_columns_alone_are_no_permutation_of_pixels(axis: int) -> None:
    def moved(seed: int) -> list[np.ndarray]:
        return [np.arange(784).reshape(28, 28).take(drawn(seed).permutation(28), axis).ravel()] * 5

    trial = permuted({"once": moved(1), "again": moved(1), "other": moved(2)})
    assert judged(data.permute, trial).diagnosis == "permute_rows"


# ---------------------------------------------------------------------------------------- rehearsal


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (2, 2), (1, 2, 2)])
def test_the_chance_of_tasks_in_one_piece_is_what_counting_says(sizes: tuple[int, ...]) -> None:
    from itertools import permutations

    tasks = np.repeat(np.arange(len(sizes)), sizes)
    every = [
        np.count_nonzero(np.diff(tasks[list(order)])) == len(sizes) - 1 for order in permutations(range(len(tasks)))
    ]
    assert data.in_one_piece(sizes) == pytest.approx(sum(every) / factorial(len(tasks)))


def test_the_chance_of_tasks_in_one_piece_is_below_alpha() -> None:
    total = data.in_one_piece(data.SIZES) + data.in_one_piece((data.PER_TASK, data.PER_TASK, data.SIZES[-1]))
    assert total < data.BLOCKS


# ------------------------------------------------------------------------------------------- Fisher


def seen(seed: int, got: Callable[[fisher.TaskUpdate], np.ndarray], batch: int = 100) -> fisher.TaskUpdate:
    """A call with many images, and what the dictionary holds after it."""
    given: Any = fisher._update(drawn(seed))
    sizes = np.diff([*range(0, fisher.MANY, batch), fisher.MANY])
    theta = given["theta"][1].astype(float)
    one = fisher.TaskUpdate(
        theta, given["stale"], given["tasks.1.x"], given["tasks.1.t"], np.arange(fisher.MANY), sizes, np.empty(0)
    )
    return replace(one, got=got(one))


@pytest.mark.parametrize("form", range(7))
@pytest.mark.parametrize("factor", [1e-4, 1.0, 270.0])
def test_every_form_is_right_up_to_a_factor(form: int, factor: float) -> None:
    one = seen(form, lambda call: factor * list(fisher.estimates(call, call.t))[form].value)
    found = fisher.explained(one)
    assert found and found.whose == "data"
    assert found.tolerance_used < 1e-3


@pytest.mark.slow
def test_labels_that_the_model_draws_are_right_whatever_it_draws() -> None:
    """Of six images all six labels are the likeliest ones in one grading of five: no luck may be in that."""
    right = BANK["update-drawn-labels"]
    own = bank.only(ASSIGNMENT, {"continual_learning.fisher"})
    with bank.submitted(right, own) as received:
        failed = [salt for salt in range(30) if bank.outcome(received, own, salt=str(salt)).failed]
    assert failed == []


@pytest.mark.parametrize("known", fisher.MISTAKES, ids=lambda known: known.id)
@pytest.mark.parametrize("seed", range(8))
def test_no_known_mistake_is_taken_for_right(known: fisher.FisherMistake, seed: int) -> None:
    one = seen(seed, known.formula)
    assert fisher.explained(one) is None
    assert next(other.id for other in fisher.MISTAKES if other.explains(one)) == known.id


@pytest.mark.parametrize("seed", range(8))
def test_an_error_of_a_hundredth_in_one_entry_is_seen(seed: int) -> None:
    def off(call: fisher.TaskUpdate) -> np.ndarray:
        value = next(fisher.estimates(call, call.t)).value
        value[np.unravel_index(value.argmax(), value.shape)] *= 1.01
        return value

    assert fisher.explained(seen(seed, off)) is None


@pytest.mark.parametrize("seed", range(200))
def test_labels_that_the_model_draws_are_the_datas_with_no_probability_to_speak_of(seed: int) -> None:
    """Among few images, where all labels are tried: they have each image's least likely one."""
    given: Any = fisher._update(drawn(seed))
    p = classifier.shares(given["theta"][0].astype(float), given["tasks.0.x"])
    assert (p.argmin(1) == given["tasks.0.t"]).all()
    assert np.prod(p.min(1)) <= fisher.RARE[1] ** fisher.FEW < 1e-15
    assert p.min() >= fisher.RARE[0]


def few(labels: np.ndarray, form: int, *, seed: int = 0, size: int = 4) -> fisher.TaskUpdate:
    """A call with few images in batches of `size`, of which the dictionary holds this form with these labels."""
    given: Any = fisher._update(drawn(seed))
    sizes = np.diff([*range(0, fisher.FEW, size), fisher.FEW])
    theta = given["theta"][0].astype(float)
    one = fisher.TaskUpdate(
        theta, given["stale"], given["tasks.0.x"], given["tasks.0.t"], np.arange(fisher.FEW), sizes, np.empty(0)
    )
    return replace(one, got=0.3 * list(fisher.estimates(one, labels))[form].value)


@pytest.mark.parametrize("form", range(7))
@pytest.mark.parametrize("seed", range(6))
def test_drawn_labels_are_found_among_all(form: int, seed: int) -> None:
    labels = drawn(seed).integers(0, 3, fisher.FEW)
    one = few(labels, form, seed=seed, size=1 + seed)
    assert any(np.array_equal(other, labels) for other in fisher.drawn(one))
    assert (found := fisher.explained_by_draws(one)) and found.tolerance_used < 0.2


def test_the_datas_labels_are_none_that_the_model_drew() -> None:
    given: Any = fisher._update(drawn(3))
    assert fisher.explained_by_draws(few(given["tasks.0.t"], 4, seed=3)) is None


@pytest.mark.parametrize("seed", range(5))
def test_what_no_labels_can_give_is_not_drawn(seed: int) -> None:
    def squares(call: fisher.TaskUpdate) -> np.ndarray:
        return next(list(fisher.estimates(call, call.t))[form] for form in (4,)).value

    assert fisher.could_be_drawn(seen(seed, squares))
    for wrong in (lambda call: call.theta**2, lambda call: -squares(call)):
        assert not fisher.could_be_drawn(seen(seed, wrong))


def test_many_batches_of_few_images_are_tried_in_less_than_a_second() -> None:
    """All that a worker can send: each image a hundred times, in batches that all differ."""
    one = few(np.zeros(fisher.FEW, int), 0)
    images = drawn(1).integers(0, fisher.FEW, fisher.MOST * fisher.FEW)
    one = replace(one, images=images, sizes=np.full(200, 3), got=drawn(2).random(one.theta.shape))
    started = time.process_time()
    assert fisher.explained_by_draws(one) is None
    assert time.process_time() - started < 1


# ------------------------------------------------------------------------------------------ penalty


def penalties(form: penalty.Form, half: float = 0.5, seed: int = 0) -> Trial:
    """What the judges see of a penalty."""
    given = penalty._penalty(drawn(seed))
    got: dict[str, Value] = {}
    for case, tasks in enumerate(penalty.CASES):
        part: Values = take(given, f"cases.{case}")
        kept = penalty._case(part)
        value, slope = form(kept) if tasks else (0.0, np.zeros_like(kept.theta))
        told: Values = {"value": np.array(half * value), "slope": half * slope, "elsewhere": False}
        got |= {f"cases.{case}.{name}": one for name, one in told.items()}
    return Trial(given, got)


@pytest.mark.parametrize("half", [1.0, 0.5])
def test_lambda_and_half_of_it_are_right(half: float) -> None:
    assert judged(penalty.penalty, penalties(penalty.right, half)).score == 1


@pytest.mark.parametrize("half", [0.25, 2.0, -0.5, 0.5001])
def test_other_factors_are_not(half: float) -> None:
    assert judged(penalty.penalty, penalties(penalty.right, half)).score == 0


@pytest.mark.parametrize("known", penalty.MISTAKES, ids=lambda known: known.sentence)
@pytest.mark.parametrize("seed", range(5))
def test_known_mistakes_of_the_penalty_are_named(known: penalty.PenaltyMistake, seed: int) -> None:
    verdict = judged(penalty.penalty, penalties(known.form, 1.0, seed))
    assert (verdict.score, verdict.diagnosis) == (0, known.id)


@pytest.mark.parametrize("factor", [0.25, 3.0, -0.7])
def test_another_factor_is_told(factor: float) -> None:
    verdict = judged(penalty.penalty, penalties(penalty.right, factor))
    assert (verdict.score, verdict.diagnosis) == (0, "penalty_factor")
    assert f"{factor:g} times" in verdict.message


def changed(trial: Trial, **values: Value) -> Trial:
    return replace(trial, got={**trial.got, **{name.replace("_", "."): value for name, value in values.items()}})


def test_only_the_case_without_tasks_costs_half() -> None:
    trial = changed(penalties(penalty.right), cases_3_value=np.array(2.0))
    verdict = judged(penalty.penalty, trial)
    assert (verdict.score, verdict.diagnosis) == (0.5, "penalty_first")
    trial = changed(trial, cases_0_value=np.array(2.0))
    assert judged(penalty.penalty, trial).diagnosis == "penalty_value"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("added", [0.0, 1e-8, 1e-6])
def test_a_little_that_is_added_to_the_fisher_information_is_harmless(seed: int, added: float) -> None:
    verdict = judged(
        penalty.penalty, penalties(lambda k: penalty.right(replace(k, fisher=k.fisher + added)), 1.0, seed)
    )
    assert verdict.score == 1
    assert verdict.tolerance_used is not None
    assert verdict.tolerance_used < 1e-3


def walked(
    kept: penalty.PenaltyCase,
    lr: float,
    x: np.ndarray,
    t: np.ndarray,
    rest: Callable[[int, list[np.ndarray]], np.ndarray],
) -> dict[str, Value]:
    """What a probe notes of three steps, each down the batch's cross entropy and `rest`(its number, all parameters)."""
    path, slopes = [kept.theta], []
    for step, batch in enumerate(np.split(np.arange(len(x)), 3)):
        slopes.append(classifier.slopes(path[-1], x[batch], t[batch]).mean(0) + rest(step, path))
        path.append(path[-1] - lr * slopes[-1])
    return {
        "before": np.array(path[:-1]), "slopes": np.array(slopes), "sizes": np.full(3, len(x) // 3),
        "images": np.arange(len(x)), "stand_in": False,
    }  # fmt: skip


def epochs(rest: Callable[[penalty.PenaltyCase, int, list[np.ndarray]], np.ndarray], seed: int = 0) -> Trial:
    """An epoch of each kind, its steps with this gradient beside that of the cross entropy."""
    given = penalty._training(drawn(seed))
    got: dict[str, Value] = {}
    for name in ("plain", "earlier", "later"):
        part = {key[len(name) + 1 :]: value for key, value in given.items() if key.startswith(f"{name}.")}
        kept, lr = penalty._case(part), part["lr"]
        assert isinstance(lr, float)
        seen = walked(kept, lr, part["x"], part["t"], lambda step, path, kept=kept: rest(kept, step, path))  # type: ignore
        got |= {f"{name}.{key}": value for key, value in seen.items()}
    return Trial(given, got)


def along(kept: penalty.PenaltyCase, theta: np.ndarray, tasks: slice = slice(0, penalty.EARLIER)) -> np.ndarray:
    return penalty.right(replace(kept.of(tasks), theta=theta))[1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("rest", "score", "diagnosis"),
    [
        (lambda kept, step, path: along(kept, path[-1]), 1, ""),
        (lambda kept, step, path: along(kept, path[0]), 0, "penalty_stale"),
        (lambda kept, step, path: along(kept, path[max(step - 1, 0)]), 0, "penalty_stale"),
        (lambda kept, step, path: sum(along(kept, one) for one in path), 0, "penalty_adds_up"),
        (lambda kept, step, path: along(kept, path[-1]) * (step == 1), 0, "penalty_some_steps"),
        (lambda kept, step, path: 0 * path[-1], 0, "penalty_lost"),
        (lambda kept, step, path: along(kept, path[-1], slice(0, 9)), 0.5, "penalty_later_tasks"),
        (lambda kept, step, path: along(kept, path[-1], slice(0, 4)), 0.5, "penalty_current_task"),
        (lambda kept, step, path: along(kept, path[-1], slice(1, 3)), 0, "penalty_task_missing"),
        (lambda kept, step, path: along(kept, path[-1]) + 1e-3, 0, "plain"),
    ],
)
def test_of_every_step_the_penalty_is_judged(
    rest: Callable[[penalty.PenaltyCase, int, list[np.ndarray]], np.ndarray], score: float, diagnosis: str, seed: int
) -> None:
    verdict = judged(penalty.training, epochs(rest, seed))
    assert (verdict.score, verdict.diagnosis) == (score, diagnosis), verdict.message


def test_parameters_that_are_moved_beside_the_steps_are_no_way_to_any_gradient() -> None:
    """At huge parameters the rounding bound would be huge, too."""
    right = epochs(lambda kept, step, path: along(kept, path[-1]))
    moved = right.got["earlier.before"]
    assert isinstance(moved, np.ndarray)
    for forged in (moved + 1e20, np.concatenate([moved[:1], moved[1:] * 1.001])):
        verdict = judged(penalty.training, replace(right, got={**right.got, "earlier.before": forged}))
        assert (verdict.score, verdict.diagnosis) == (0, "parameters_moved")


@pytest.mark.parametrize("seed", range(5))
def test_the_penaltys_gradient_is_the_values(seed: int) -> None:
    """By central differences, which are exact for squares but for rounding."""
    kept = penalty._case(penalty._kept(drawn(seed), 3))
    _, slope = penalty.right(kept)
    for at in np.ndindex(kept.theta.shape):
        step = np.zeros_like(kept.theta)
        step[at] = 0.5
        up, down = (penalty.right(replace(kept, theta=kept.theta + sign * step))[0] for sign in (1, -1))
        assert up - down == pytest.approx(slope[at], rel=1e-9, abs=1e-9)


# ---------------------------------------------------------------------------------------- behaviour


def predictions(naive: tuple[float, float], ewc: tuple[float, float], rehearsal: tuple[float, float]) -> Trial:
    """Predictions that are right on such shares of tasks 0 and 1 at the end."""

    def right_on(share: float, labels: np.ndarray) -> np.ndarray:
        count = round(share * len(labels))
        return np.where(np.arange(len(labels)) < count, labels, (labels + 1) % behaviour.CLASSES)

    got: dict[str, Any] = {}
    for name, shares in (("naive", naive), ("ewc", ewc), ("rehearsal", rehearsal)):
        last = np.stack([right_on(share, labels) for share, labels in zip(shares, behaviour.LABELS, strict=True)])
        got |= {f"{name}.first": last, f"{name}.last": last}
    return Trial({}, got)


@pytest.mark.parametrize(
    ("naive", "ewc", "rehearsal", "score", "diagnosis"),
    [
        ((0.5, 0.9), (0.7, 0.6), (0.8, 0.8), 1.0, ""),
        ((0.5, 0.9), (0.54, 0.9), (0.8, 0.8), 0.5, "ewc_forgets"),
        ((0.5, 0.9), (0.9, 0.3), (0.8, 0.8), 0.5, "ewc_rigid"),
        ((0.5, 0.9), (0.7, 0.6), (0.5, 0.9), 0.5, "rehearsal_forgets"),
        ((0.5, 0.9), (0.5, 0.9), (0.5, 0.9), 0.0, "ewc_forgets"),
        ((0.2, 0.7), (0.7, 0.6), (0.8, 0.8), 0.0, "not_learnt"),
    ],
)
def test_what_is_kept_decides(
    naive: tuple[float, float], ewc: tuple[float, float], rehearsal: tuple[float, float], score: float, diagnosis: str
) -> None:
    verdict = judged(behaviour.behaviour, predictions(naive, ewc, rehearsal))
    assert (verdict.score, verdict.diagnosis) == (score, diagnosis)


# ------------------------------------------------------------------------------- forged values


def answered(request: Request, seed: int) -> Trial:
    """What the judges see of the reference."""
    given = request.inputs(drawn(seed))
    student = Student(helpers.REFERENCE)
    tensors = {name: torch.from_numpy(one) if isinstance(one, np.ndarray) else one for name, one in given.items()}
    got = getattr(probe, request.probe.partition(":")[2])(tensors, student)
    return Trial(given, {name: one.numpy() if isinstance(one, torch.Tensor) else one for name, one in got.items()})


FORGED = (None, True, -1, "text", np.nan, 0.0, -0.0, 5e-324, 1e308, -(2**63), np.zeros(()), np.zeros(0),
          np.zeros((0, 7)), np.zeros((3, 3)), np.full((2, 2), np.nan), np.full(5, np.inf), np.full(5, 1e29),
          np.full((1, 784), -1.0), np.arange(300.0).reshape(1, 300), np.full(6, 1e-320), np.zeros(1_900_000),
          np.ones(15_000_000, np.uint8), np.zeros(15_000_000, bool), np.zeros((1, 1, 1, 1, 1, 2)),
          np.array([2**62, -(2**62)]), np.array([255], np.uint8))  # fmt: skip
"""The largest are what a frame holds."""


@pytest.mark.slow
@pytest.mark.parametrize("check", JUDGED.checks, ids=lambda check: check.id)
def test_no_forged_value_brings_a_judge_down(check: Check) -> None:
    """What is not a `CheckFailed` would be a fault of ours, which costs a student nothing.

    Nor is much time or memory.
    """
    trial = answered(check.request, 1)
    assert check.judge(trial).score == 1
    cases: list[dict[str, Value]] = []
    for name, value in trial.got.items():
        others: list[Any] = []
        if isinstance(value, np.ndarray) and value.ndim:
            others = [value[:-1], value[None], np.roll(value, 1), -value, value.astype(bool), 1e20 * value, value * 0]
        cases += [{**trial.got, name: forged} for forged in [*FORGED, *others]]
        cases.append({other: one for other, one in trial.got.items() if other != name})
    # Two at once: what one must be for the other to be read.
    sizes = [name for name in trial.got if name.endswith(("sizes", "images", "number"))]
    cases += [{**trial.got, one: first, two: second} for one in sizes for two in sizes if one < two
              for first in FORGED[11:] for second in FORGED[11:]]  # fmt: skip
    for got in cases:
        forged = Trial(trial.given, got)
        started = time.process_time()
        with contextlib.suppress(CheckFailed):
            assert check.judge(forged).score <= 1
        assert time.process_time() - started < 1
    tracemalloc.start()
    try:
        for name in trial.got:
            for huge in (np.zeros(1_900_000), np.ones(15_000_000, np.uint8)):
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                with contextlib.suppress(CheckFailed):
                    check.judge(Trial(trial.given, {**trial.got, name: huge}))
                assert tracemalloc.get_traced_memory()[1] - before < 200e6, name
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------------------- through the sandbox


def notebook(*cells: str) -> dict[str, bytes]:
    made: Any = [
        {"cell_type": "code", "id": f"c{k}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for k, source in enumerate(cells)
    ]
    return {FILE: json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}).encode()}


def solved(*more: str) -> dict[str, bytes]:
    """The reference's notebook, with cells behind its own."""
    cells = json.loads((helpers.REFERENCE / FILE).read_text())["cells"]
    return notebook(*("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"), *more)


def grade(sandbox: Sandbox, files: Mapping[str, bytes], seconds: float = 30.0) -> helpers.Graded:
    return helpers.grade(sandbox, files, assignment=helpers.with_seconds(OWN, seconds, "continual_learning:"))


def points(graded: helpers.Graded) -> dict[str, float]:
    return {name.partition(".")[2]: score for name, score in graded.scores().items()}


@pytest.mark.slow
def test_the_reference_gets_every_point(sandbox: Sandbox) -> None:
    assert points(grade(sandbox, solved())) == POINTS


@pytest.mark.slow
def test_the_template_gets_none(sandbox: Sandbox) -> None:
    files = {FILE: (ASSIGNMENT.template / FILE).read_bytes()}
    graded = grade(sandbox, files)
    assert sum(points(graded).values()) == 0
    assert all("NotImplementedError" in message for message in graded.messages())


def own(source: str) -> str:
    """A solution's function as a cell."""
    return BANK[source].source


IMPORTS = """%matplotlib inline
!pip install some-package
import numpy as np, torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import a_package_that_is_not_here as data"""
SETTING = """x, t, x_test, t_test = data.download()
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
model = data.Net(len(x)).to(device)
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
tasks = [((x, t), (x_test, t_test))]
for seed in (1, 2):
    tasks.append(tuple(zip(permute_mnist([x, x_test], seed), (t, t_test))))"""
TRAIN = """
def train(model, device, x_train, t_train, optimizer, epoch):
    model.train()
    for start in range(0, len(t_train) - 1, 256):
        x, y = torch.from_numpy(x_train[start : start + 256]), torch.from_numpy(t_train[start : start + 256]).long()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", loss.item())

def test(model, device, x_test, t_test):
    model.eval()
    return 100 * (model(torch.from_numpy(x_test)).argmax(1).numpy() == t_test).mean()
"""
DICTIONARIES = """fisher_dict = {}
optpar_dict = {}
ewc_lambda = 0.4"""
UPDATES = """ewc_accs = []
for number, ((x_train, t_train), _) in enumerate(tasks):
    for epoch in range(1, 4):
        train_ewc(model, device, number, x_train, t_train, optimizer, epoch)
    on_task_update(number, x_train, t_train)"""
SHUFFLE = """
def shuffle_in_unison(dataset, seed=None):
    order = np.random.RandomState(seed).permutation(len(dataset[0]))
    return [part[order] for part in dataset]
"""
WRITTEN_OUT = """rehe_accs = []
for number, task in enumerate(tasks):
    (x_train, t_train), _ = task
    for earlier in range(number):
        (past_x, past_t), _ = tasks[earlier]
        x_train = np.concatenate((x_train, past_x))
        t_train = np.concatenate((t_train, past_t))
    x_train, t_train = shuffle_in_unison([x_train, t_train])
    for epoch in range(1, 4):
        train(model, device, x_train, t_train, optimizer, epoch)
    rehe_accs.append(np.mean([test(model, device, *one) for _, one in tasks]))"""
LOSSES = """
def train_ewc(model, device, task_id, x_train, t_train, optimizer, epoch):
    for start in range(0, len(t_train) - 1, 256):
        x, y = torch.from_numpy(x_train[start : start + 256]), torch.from_numpy(t_train[start : start + 256]).long()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x.to(device)), y.to(device))
        for task in range(task_id):
            for name, param in model.named_parameters():
                loss += (fisher_dict[task][name] * (optpar_dict[task][name] - param).pow(2)).sum() * ewc_lambda
        loss.backward()
        optimizer.step()
"""


def inline(losses: str = LOSSES, rehearsal: str = WRITTEN_OUT) -> dict[str, bytes]:
    """A notebook without functions for the penalty and the set of rehearsal, whose data and network are not here."""
    return notebook(
        IMPORTS, own("permute-global-seed"), SETTING, TRAIN, DICTIONARIES, own("update-accumulated"), losses, UPDATES,
        SHUFFLE, rehearsal,
    )  # fmt: skip


def test_what_is_written_out_in_loops_is_graded_all_the_same(sandbox: Sandbox) -> None:
    graded = grade(sandbox, inline())
    assert points(graded) == POINTS, graded.messages()


@pytest.mark.parametrize(
    ("files", "lost", "diagnosis"),
    [
        (inline(LOSSES.replace(".pow(2)", "")), {"penalty": 0, "train_ewc": 0, "behaviour": 0.5}, "penalty_no_square"),
        (inline(LOSSES.replace("range(task_id)", "range(task_id - 1, task_id) if task_id else ()")),
         {"penalty": 0, "train_ewc": 0}, "penalty_last_task"),
        (inline(LOSSES.replace("- param)", "- param.data)")), {"penalty": 0, "train_ewc": 0, "behaviour": 0.5},
         "penalty_lost"),
        (inline(rehearsal=WRITTEN_OUT.replace("range(number)", "range(1, number)")),
         {"rehearsal": 0, "behaviour": 0.5}, "rehearsal_task_lost"),
        (inline(rehearsal=WRITTEN_OUT.replace("shuffle_in_unison([x_train, t_train])",
                                              "shuffle_in_unison([x_train])[0], shuffle_in_unison([t_train])[0]")),
         {"rehearsal": 0, "behaviour": 0.5}, "rehearsal_labels"),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_mistakes_in_what_is_written_out_are_found(
    sandbox: Sandbox, files: dict[str, bytes], lost: dict[str, float], diagnosis: str
) -> None:
    graded = grade(sandbox, files)
    assert points(graded) == POINTS | lost, graded.messages()
    assert diagnosis in {result.verdict.diagnosis for result in graded.results}


@pytest.mark.slow
@pytest.mark.parametrize(
    "bound", ["[0.4, 0.4, 1]", "(0.4,) * 3", "{0: 0.4, 1: 0.4, 2: 1}", "torch.tensor([0.4] * 3)", "np.full(3, 0.4)",
              "data.lambdas()"],
)  # fmt: skip
@pytest.mark.parametrize("index", ["task", "task_id"])
def test_one_lambda_for_each_task_is_as_right_as_one_for_all(sandbox: Sandbox, bound: str, index: str) -> None:
    files = inline(LOSSES.replace("* ewc_lambda", f"* ewc_lambda[{index}]"))
    files = {FILE: files[FILE].replace(b"ewc_lambda = 0.4", f"ewc_lambda = {bound}".encode())}
    graded = grade(sandbox, files)
    assert points(graded) == POINTS, graded.messages()


def test_a_number_is_not_indexed(sandbox: Sandbox) -> None:
    graded = grade(sandbox, inline(LOSSES.replace("* ewc_lambda", "* ewc_lambda[task]")))
    assert points(graded) == POINTS | {"penalty": 0, "train_ewc": 0, "behaviour": 0.5}
    assert "not subscriptable" in " ".join(graded.messages("continual_learning.penalty"))


FAULTS = {
    "a loop": "while True: pass",
    "an exit": "import os; os._exit(0)",
    "sys.exit": "raise SystemExit",
    "a segmentation fault": "import ctypes; ctypes.string_at(0)",
    "an exception": "raise KeyError(0.123456789)",
    "None": "return None",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_penalty_costs_what_needs_it(sandbox: Sandbox, name: str) -> None:
    cell = f"def ewc_penalty(model, fisher_dict, optpar_dict, ewc_lambda):\n    {FAULTS[name]}"
    graded = grade(sandbox, solved(cell), 4.0)
    ended = name in ("a loop", "an exit", "a segmentation fault")  # which end the worker, and all of its request
    assert points(graded) == POINTS | {"penalty": 0, "behaviour": 0 if ended else 0.5}
    assert "123456789" not in graded.text


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_permute_mnist_costs_its_own_check(sandbox: Sandbox, name: str) -> None:
    graded = grade(sandbox, solved(f"def permute_mnist(mnist, seed):\n    {FAULTS[name]}"), 4.0)
    assert points(graded) == POINTS | {"permute": 0}


def test_what_is_not_there_is_said(sandbox: Sandbox) -> None:
    graded = grade(sandbox, notebook("import torch"))
    assert sum(points(graded).values()) == 0
    names = ("permute_mnist", "on_task_update", "on_task_update", "ewc_penalty", "train_ewc", "rehearsal_set", "train")
    for message, name in zip(graded.messages(), names, strict=True):
        assert name in message


def test_other_names_for_the_dictionaries_are_told(sandbox: Sandbox) -> None:
    cell = own("update-accumulated").replace("fisher_dict", "importances").replace("optpar_dict", "parameters")
    graded = grade(sandbox, solved("importances, parameters = {}, {}", cell))
    assert points(graded)["fisher"] == points(graded)["fisher_parameters"] == 0
    assert "there is no fisher_dict[0]['body.0.weight']" in " ".join(graded.messages("continual_learning.fisher"))


def test_everything_costs_about_a_second_at_most(sandbox: Sandbox) -> None:
    """CPU of the workers, as the kernel counts it, which other processes on the machine do not change much."""
    spent = 0.0
    with helpers.received(sandbox, solved(), OWN) as taken:
        for request in {check.request.name: check.request for check in QUESTION.checks}.values():
            spent += sandbox.ask(taken, request, request.inputs(drawn(0)), seed=1, seconds=30).cpu
    assert 0.1 < spent < 1.5  # 0.7 where nothing else runs, on the machine that it was written on
