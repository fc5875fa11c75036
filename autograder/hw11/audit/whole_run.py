"""A right answer to the request for question 6's whole notebook, which only a kernel could give."""

from __future__ import annotations

import numpy as np

from autograder.audit import values
from autograder.core import Assignment, Check, Value, Values
from autograder.sandbox.parts import pack


def answer(assignment: Assignment, _check: Check) -> Values:
    """What a kernel would answer, with the network that training with the right loss gives."""
    training = values.checks_of(assignment)["policy_gradient.training"]
    trained = values.right(assignment, training, 0).got
    weights = pack(weights=[trained[name] for name in ("w0", "b0", "w1", "b1")])
    claim = np.frombuffer(b"69", np.uint8)
    points = np.asarray(trained["w0"], np.float32)[:0].reshape(0, 8)
    told: dict[str, Value] = {"cells": 3, "ran": 3, "failed": 0, "kind": "", "text": "", "points": points}
    return {**told, **weights, "file.kind": "", "policy_gradient.final_accuracy": claim}
