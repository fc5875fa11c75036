"""Question 6's answers: the test accuracy after training, against the network that the notebook's whole run trains."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from autograder.core import Check, Trial, Verdict
from autograder.hw11.answers.fields import REQUEST, Passed, number, opened
from autograder.hw11.policy_gradient.loss import CLASSES
from autograder.hw11.policy_gradient.training import INPUTS, NOTEBOOK, REACHED, accuracy
from autograder.judging.judges import Exact, array, passed
from autograder.sandbox.parts import item

FAR = 8.0
"""Percent between the answer and our run of the same notebook, on its own test points.

The notebook's seed fixes data and weights, but not the order in which another machine adds up. Weights that differ by
1e-7 of themselves at first ended between 74.7 and 77.1 % over 14 runs with the notebook's seed (sd 0.7), and over 5
each with two others within 1.7 and 3.2 % (sd 0.8 and 1.2). The difference of two runs has an sd of 1.7 at most: this is
4.7 times that, and 8 times with the notebook's seed."""
MANY = 4096
"""Test points and hidden units beyond which there is no comparing: their products must fit into memory."""
LEAST, MOST = 62.0, 92.0
"""What right solutions reach on 1,000 test points, whatever their seeds: by policy_gradient/training.py none of 1,408
networks is right on less than 69 % of all points, and the best kind on 82.5 % (sd 1.7). 1,000 points say that with an
sd of 1.5 and 1.2: 62 is nearly five of these below the least, and 92 four and a half of both together (2.1) above the
mean. Supervised learning's 89 % is within: the number alone cannot tell it."""
DRAWN = 76.0
"""What networks reach that learn from drawn actions, 82.5 % with an sd of 2.1 (1.7 of the networks, 1.2 of the points),
less three sd: the notebook trains one of these beside the other, and either is an answer."""


def final(trial: Trial) -> Verdict:
    """Full points near our run of the notebook, or where another right network may be; half where only that may be."""
    given = number(opened(trial), "policy_gradient.final_accuracy", "the test accuracy in percent, such as 50")
    fraction = given.value <= 1 and not given.percent
    claim = float(given.value) * (100 if fraction else 1)
    told = f"The final test accuracy is {claim:.4g} %"
    usual = LEAST <= claim <= MOST
    seen = _own(trial)
    if seen is None:
        if usual:
            return passed(f"{told}, which is in the range of right solutions. The run of your notebook left no "
                          f"network and no "
                "test points for a comparison.")  # fmt: skip
        return Verdict(0.0, f"{told}. The run of your notebook left no network for a comparison. Expected: between "
                            f"{LEAST:.0f} and "
            f"{MOST:.0f} %, the range of right solutions.", "accuracy_range")  # fmt: skip
    if abs(claim - seen) <= FAR:
        return passed(f"{told}, and the grader's run of your notebook reached {seen:.1f} %.")
    right = seen >= 100 * REACHED
    if right and DRAWN <= claim <= MOST:
        return passed(f"{told}, which networks reach that learn from drawn actions. In the grader's run of your "
                      f"notebook, "
            f"`model` reached {seen:.1f} %.")  # fmt: skip
    return Verdict(
        0.5 if right and usual else 0.0,
        f"{told}, but in the grader's run of your notebook `model` was right on {seen:.1f} % of the test points. "
        f"Expected: the last value of your own run. It differs by at most {FAR:.0f} points between machines.",
        "accuracy_other",
    )


def _own(trial: Trial) -> float | None:
    """In how many percent of the notebook's test points its network is right; None where the run left no such pair."""
    names = ("points", *(item("weights", place) for place in range(4)))
    points, hidden = (np.shape(trial.got.get(name, ()))[:1] or (0,) for name in names[:2])
    shapes = ((*points, INPUTS), (*hidden, INPUTS), hidden, (CLASSES, *hidden), (CLASSES,))
    found = tuple(np.shape(trial.got.get(name, ())) for name in names)
    if found != shapes or not all(0 < many <= MANY for many in (*points, *hidden)):
        return None
    x, *weights = (array(trial.got, name, what="The network of your notebook") for name in names)
    return 100 * accuracy(tuple(weights), x)


COMPARED = MappingProxyType({"comparison": "Policy gradient and supervised learning"})

FINAL = Check("policy_gradient.answer", "answers: final accuracy", 1, NOTEBOOK, Exact(final))
WRITTEN = Check(
    "policy_gradient.written", "answers: comparison with supervised learning", 0, REQUEST,
    Passed("policy_gradient", COMPARED), manual=True,
)  # fmt: skip
CHECKS = (FINAL, WRITTEN)
