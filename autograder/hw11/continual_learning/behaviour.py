"""Asks and judges what comes of it all: two tasks learnt in turn, naively, with EWC and with rehearsal.

The problem is one and the same for everybody, and all three begin with the same weights, so that the differences are
paired. The worker returns predictions; only the judge knows the labels.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from autograder.core import Array, CheckFailed, Request, Specs, Trial, Values, Verdict
from autograder.judging.judges import array, passed
from autograder.sandbox.parts import pack, section
from autograder.sandbox.returns import numbers, parts

CLASSES, INPUTS, ACTIVE = 5, 60, 15
TRAIN, TEST = 256, 1500


def problem(rng: Generator) -> tuple[Values, tuple[Array, Array]]:
    """What the worker gets of two tasks, and the labels of their test images.

    A class is a pattern of 15 pixels of 60 that are 1 where others are 0, under noise of standard deviation 1. Task 1
    has the same images with permuted pixels.
    """
    means = np.stack([np.isin(np.arange(INPUTS), rng.choice(INPUTS, ACTIVE, replace=False)) for _ in range(CLASSES)])
    tasks: list[dict[str, Array]] = []
    labels = []
    for order in (np.arange(INPUTS), rng.permutation(INPUTS)):
        task: dict[str, Array] = {}
        for name, n in (("x", TRAIN), ("test", TEST)):
            t = rng.integers(0, CLASSES, n)
            task[name] = (means[t] + rng.standard_normal((n, INPUTS)))[:, order].astype(np.float32)
            if name == "x":
                task["t"] = t
            else:
                labels.append(t)
        tasks.append(task)
    return pack(theta=np.zeros((CLASSES, INPUTS + 1), np.float32), tasks=tasks), (labels[0], labels[1])


GIVEN, LABELS = problem(np.random.Generator(np.random.Philox(3)))


def _fixed(_rng: Generator) -> Values:
    """Strength: lambda times the largest Fisher times the step size, 0.3, which no step overshoots."""
    return {**GIVEN, "lr": 0.5, "epochs": 30, "strength": 0.3}


def _returns(_given: Values) -> Specs:
    named = numbers(2, TEST, dtypes="iu", what="the list of predictions")
    return parts(**{method: {"first": named, "last": named} for method in ("naive", "ewc", "rehearsal")})


REQUEST = Request(
    "continual_learning.probes:behaviour",
    _fixed,
    seconds=30.0,
    deterministic=True,
    returns=_returns,
    needs=("continual_learning.ipynb",),
)


def right_share(trial: Trial, method: str) -> tuple[float, float, float]:
    """The accuracy on task 0 after task 0, on task 0 after task 1, and on task 1 after task 1."""
    part = section(trial, method)
    first, last = (array(part.got, name, shape=(2, TEST), what="The list of predictions") for name in ("first", "last"))
    right = [float((one == labels).mean()) for one, labels in ((first[0], LABELS[0]), *zip(last, LABELS, strict=True))]
    return right[0], right[1], right[2]


LEARNT = 0.8
"""Of task 1, by naive training."""
GAIN = 0.05
"""By how much EWC and rehearsal must be better than naive training on task 0, once task 1 is learnt."""
KEPT = 0.4
"""Of task 1, by EWC and rehearsal: holding everything as it was is no way to learn; guessing is right on 0.2.

Nothing is drawn, so a solution that shuffles nothing has no luck in it. On this problem naive training is right on 0.54
of task 0 and 0.93 of task 1 at the end; the gain of EWC is 0.20 to 0.40 for the right forms of the Fisher and of the
penalty, with 0.57 to 0.86 of task 1, and that of rehearsal 0.27, with 0.84. On 300 other problems of the kind the least
gain was 0.08 and the least of task 1 0.45 (by naive training 0.86), while naive training with its batches in another
order gained 0.012 at most: what amounts to it does not pass. Hoeffding: networks that are right on 0.25 more of all
images are so on less than 0.05 more of the 1500 with probability < 1e-13.
"""

NAMES = {"ewc": "EWC", "rehearsal": "Rehearsal"}


def behaviour(trial: Trial) -> Verdict:
    """Half for EWC, half for rehearsal."""
    _, old, new = right_share(trial, "naive")
    if new < LEARNT:
        raise CheckFailed(
            f"After training with `train` alone, the model is right on {100 * new:.0f} % of the task that it just "
            f"learned. Expected: at least {100 * LEARNT:.0f} %. The reference reaches 93 %.",
            diagnosis="not_learnt",
        )
    told, faults = [], []
    for method, name in NAMES.items():
        try:
            told.append(f"{name} keeps {100 * _kept(trial, method, old):.0f} %")
        except CheckFailed as fault:
            faults.append(fault)
    if not faults:
        return passed(
            f"After the next task, naive training keeps {100 * old:.0f} % of an earlier task. {', and '.join(told)}."
        )
    return Verdict(0.5 * len(told), " ".join(map(str, faults)), faults[0].diagnosis)


def _kept(trial: Trial, method: str, naive: float) -> float:
    """The accuracy on task 0 at the end. Raises `CheckFailed` where it is hardly better than naive training's."""
    _, old, new = right_share(trial, method)
    name = NAMES[method]
    if old < naive + GAIN:
        raise CheckFailed(
            f"{name} is right on {100 * old:.0f} % of task 0 after task 1, and naive training is right on "
            f"{100 * naive:.0f} %. Expected: at least {100 * GAIN:.0f} points more than naive training, from the "
            "same weights.",
            diagnosis=f"{method}_forgets",
        )
    if new < KEPT:
        raise CheckFailed(
            f"{name} is right on {100 * new:.0f} % of task 1 after task 1. Expected: at least {100 * KEPT:.0f} %, "
            "because the model must still learn the new task.",
            diagnosis=f"{method}_rigid",
        )
    return old
