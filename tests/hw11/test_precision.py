"""Half precision is told from float32, and from whatever is right in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from autograder.core import CheckFailed
from autograder.hw11.policy_gradient import loss
from autograder.hw11.precision import is_half, refuse_half
from autograder.sandbox.parts import items


@pytest.mark.parametrize("seed", range(20))
def test_a_draw_in_half_precision_is_told_from_one_in_float32(seed: int) -> None:
    drawn = np.random.default_rng(seed).standard_normal(500).astype(np.float32)
    assert not is_half(drawn)
    assert is_half(drawn.astype(np.float16).astype(np.float32))
    assert is_half((drawn.view(np.uint32) & 0xFFFF0000).view(np.float32))  # bfloat16
    assert not is_half(1e30 * drawn)


def test_float16_is_refused_and_nothing_else() -> None:
    for kind in (np.float32, np.float64):
        refuse_half({"loss": np.array(1, kind)}, "loss", "The loss")
    refuse_half({}, "loss", "The loss")
    with pytest.raises(CheckFailed, match=r"float16. Expected: float32"):
        refuse_half({"loss": np.array(1, np.float16)}, "loss", "The loss")


def slopes(seed: int, weight: Callable[[Any], Any]) -> tuple[loss.LogitSlope, ...]:
    """Gradients where the row with reward R, of N, is weighed by weight(R / N) N."""
    cases = items(loss._values(np.random.default_rng(seed)), "cases")
    found = []
    for case, rows in zip(cases, loss.CASES, strict=True):
        p = softmax(case["logits"].astype(float), axis=1)
        right = loss.LogitSlope(p, p, case["action"], case["reward"].astype(float))
        k = rows * weight(right.reward / rows)
        got = (-right.score * k[:, None] / rows).astype(np.float32).astype(float)
        found.append(loss.LogitSlope(got, p, right.action, right.reward))
    return tuple(found)


def bfloat16(x: np.ndarray) -> np.ndarray:
    return ((x.astype(np.float32).view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32).astype(float)


@pytest.mark.parametrize("seed", range(10))
def test_a_baseline_is_not_taken_for_rounding_however_small(seed: int) -> None:
    ones = (1.0,) * len(loss.CASES)
    for coarse in (lambda x: x.astype(np.float16).astype(float), bfloat16):
        found = slopes(seed, coarse)
        assert loss._multiples(found)[1] > 1
        assert loss._is_rounded(found, ones)
    for baseline in (1.0, 0.1, -0.01, 0.003):
        for case_wise in (lambda x, b=baseline: x - b / len(x), lambda x, b=baseline: x - b * x.mean()):
            assert not loss._is_rounded(slopes(seed, case_wise), ones)
