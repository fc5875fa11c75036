"""Probes of question 4 that need nothing but `sample_gaussian`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from autograder.hw11.probes import fault_of, tensor
from autograder.sandbox import parts as sections
from autograder.sandbox.guest.student import Student

UTILS = "gan_vae/utils.py"


Sample = Callable[[torch.Tensor, torch.Tensor], Any]


def sample(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The parts `shapes`, `noise` and `gradient`, each with inputs and values of its own."""
    function = student.function(UTILS, "sample_gaussian")
    own = sections.unpack(given)
    return sections.run(
        fault_of(student),
        shapes=lambda: shapes(own["shapes"], function),
        noise=lambda: noise(own["noise"], function),
        gradient=lambda: gradient(own["gradient"], function),
    )


def shapes(given: Mapping[str, Any], sample: Sample) -> dict[str, Any]:
    """Calls once per case: `m` and `v` of `cases`. Returns for each z, and m and v as they are afterwards.

    The last case is given transposed, so that its memory is not contiguous.
    """
    cases = given["cases"]
    seen: list[dict[str, Any]] = []
    for case in cases:
        m, v = case["m"].clone(), case["v"].clone()
        if case is cases[-1]:
            m, v = m.t().contiguous().t(), v.t().contiguous().t()
        z = tensor(sample(m, v), "the return value of sample_gaussian")
        seen.append({"z": z, "m": m, "v": v})
    return {"cases": seen}


def noise(given: Mapping[str, Any], sample: Sample) -> dict[str, Any]:
    """`calls` samples at m = 0, v = 1 and `calls` at the given m, v (batch, dim): (calls, batch, dim).

    `few` are as many of only a few entries, (calls, 3, 5): code may know large shapes from small ones.
    """
    m, v = given["m"], given["v"]

    def draw(m: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        rows = []
        for _ in range(given["calls"]):
            z = tensor(sample(m.clone(), v.clone()), "the return value of sample_gaussian")
            rows.append(z.detach().clone())
        return torch.stack(rows)

    few = draw(torch.zeros(3, 5), torch.ones(3, 5))
    return {"standard": draw(torch.zeros_like(m), torch.ones_like(v)), "varied": draw(m, v), "few": few}


def tiny(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """`calls` samples of the m, v (batch, dim) of each of the `cases`: their `z` (calls, batch, dim)."""
    function = student.function(UTILS, "sample_gaussian")
    own = sections.unpack(given)
    drawn = [
        torch.stack([function(case["m"].clone(), case["v"].clone()).detach() for _ in range(own["calls"])])
        for case in own["cases"]
    ]
    return sections.pack(cases=[{"z": z} for z in drawn])


def gradient(given: Mapping[str, Any], sample: Sample) -> dict[str, Any]:
    """Gradients of sum(w z) to m and v, all (batch, dim). Absent keys mean that no gradient arrived."""
    m, v, w = given["m"].requires_grad_(), given["v"].requires_grad_(), given["w"]
    # Copies, so that an answer that writes into its inputs is not an autograd error here as well.
    z = tensor(sample(m * 1, v * 1), "the return value of sample_gaussian")
    z = z.reshape(w.shape) if z.numel() == w.numel() else z
    seen: dict[str, Any] = {"z": z}
    if z.requires_grad and z.shape == w.shape:
        to_m, to_v = torch.autograd.grad((w * z).sum(), (m, v), allow_unused=True)
        seen |= {name: g for name, g in (("to_m", to_m), ("to_v", to_v)) if g is not None}
    return seen
