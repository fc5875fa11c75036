"""Runs beside students' code: calls it, and returns what came out. It knows no right answer and no tolerance.

What `inputs` drew arrives here with NumPy's arrays as torch tensors of the same type: float32 stays float32, float64
becomes float64. Numbers and texts stay as they are. What is returned goes the other way: tensors and arrays reach the
judge as NumPy's arrays, without their gradients. With `arrays="numpy"` in the Request the inputs stay NumPy's arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from autograder.sandbox.guest.student import Student

FILE = "noise.py"


def noise(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """`y` (calls, batch, dim): what add_noise(x, sigma) returned in each call; `after`: x as it was afterwards."""
    add_noise = student.function(FILE, "add_noise")
    x = given["x"].clone()
    y = [torch.as_tensor(add_noise(x, given["sigma"])) for _ in range(given["calls"])]
    return {"y": torch.stack(y), "after": x}
