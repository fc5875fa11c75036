"""Probes of `negative_elbo_bound`, with stub networks whose answers are known and a sampler that works.

The student's `sample_gaussian` is replaced, so that one wrong function is not punished twice. That makes
this module the only one that knows how to sample: it is loaded in the worker of its own asks alone,
where the student's code is meant to be able to call it, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from autograder import sections
from autograder.hw11.probes import fault_of, tensor
from autograder.isolation.student import Student
from autograder.isolation.wire import Breach

NO_DECODE = "negative_elbo_bound returned without calling the decoder, but one decode of a z was expected"
VAE, UTILS = "gan_vae/models/vae.py", "gan_vae/utils.py"
STEEPEST = 3.5
"""Logits stay within this bound, where every way to write a cross entropy is accurate."""


class Encoder(nn.Module):
    """q(z|x) with given moments: row i of `x` has mean m[i] and variance v[i]."""

    def __init__(self, x: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> None:
        super().__init__()
        self.x, self.m, self.v = x, m, v
        self.other = False

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if torch.equal(x, self.x):
            return self.m * 1, self.v * 1
        rows = x.detach().reshape(-1, self.x.shape[1])
        same = (rows[:, None, :] == self.x[None, :, :]).all(2)  # (given rows, batch)
        self.other = self.other or not bool(same.any(1).all())
        index = same.float().argmax(1)
        return self.m[index], self.v[index]

    forward = encode


class Decoder(nn.Module):
    """Bernoulli logits 3.5 tanh(z W + b) of (..., dim) z, which it keeps as it received them."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.received: list[torch.Tensor] = []

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        self.received.append(z.detach().reshape(-1, z.shape[-1]).clone())
        return STEEPEST * torch.tanh(z @ self.weight + self.bias)

    forward = decode


def _sample(m: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.distributions.Normal(m, v.sqrt()).rsample()


def _model(made: Any, case: Mapping[str, torch.Tensor]) -> Any:
    """The student's model with our networks for one case's x, m, v, w, b."""
    made.enc = Encoder(case["x"], case["m"], case["v"])
    made.dec = Decoder(case["w"], case["b"])
    return made


def class_of(student: Student, file: str, name: str) -> Any:
    """The student's class `name`, with our sampler in place of theirs wherever it was imported."""
    utils = student.module(UTILS)
    theirs = getattr(utils, "sample_gaussian", None)
    if student.failed(UTILS):  # a broken utils.py is judged elsewhere; here its helpers are needed
        for helper, value in vars(student.given(UTILS)).items():
            utils.__dict__.setdefault(helper, value)
    utils.__dict__["sample_gaussian"] = _sample
    found = student.function(file, name)
    module = student.module(file)
    for imported, value in list(vars(module).items()):
        if theirs is not None and value is theirs:
            setattr(module, imported, _sample)
    return found


def bound(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The parts `values` and `noise`, each with inputs and values of its own."""
    vae = class_of(student, VAE, "VAE")
    return sections.run(
        fault_of(student),
        values=lambda: values(sections.take(given, "values"), vae),
        noise=lambda: noise(sections.take(given, "noise"), vae),
    )


def tiny(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The same as the part `values`, for inputs that are small enough to be shown."""
    return values(given, class_of(student, VAE, "VAE"))


def values(given: Mapping[str, Any], vae: Any) -> dict[str, Any]:
    """Calls negative_elbo_bound once per case: x, m, v, w, b with the case's number behind.

    Returns per case what was returned (part0, part1, part2), all z that were decoded ((rows, dim), and
    how many rows each call of the decoder had), and the gradients of the first value to m, v and the
    decoder's bias, where they arrived.
    """
    seen: dict[str, Any] = {}
    made: dict[int, Any] = {}  # one model for each z_dim: filling 784 x 300 weights is most of the time
    for case in range(len(given) // 5):
        tensors = {name: given[f"{name}{case}"] for name in "xmvwb"}
        x, m, v = tensors["x"], tensors["m"].requires_grad_(), tensors["v"].requires_grad_()
        dim = m.shape[1]
        if dim not in made:
            made[dim] = vae(z_dim=dim)
        model = _model(made[dim], tensors)
        parts = _parts(model.negative_elbo_bound(x))
        seen[f"{case}.count"] = len(parts)
        seen[f"{case}.other_x"] = model.enc.other
        for index, part in enumerate(parts[:3]):
            seen[f"{case}.is_tensor{index}"] = isinstance(part, torch.Tensor)
            seen[f"{case}.part{index}"] = torch.as_tensor(part)
        if not model.dec.received:
            raise Breach(NO_DECODE)
        seen[f"{case}.z"] = torch.cat(model.dec.received)
        seen[f"{case}.rows"] = torch.tensor([len(z) for z in model.dec.received])
        first = parts[0]
        if isinstance(first, torch.Tensor) and first.requires_grad:
            places = {"m": m, "v": v, "b": model.dec.bias}
            places = {name: place for name, place in places.items() if place.requires_grad}  # some freeze it
            slopes = torch.autograd.grad(first.sum(), tuple(places.values()), allow_unused=True)
            seen |= {f"{case}.to_{n}": s for n, s in zip(places, slopes, strict=True) if s is not None}
    return seen


def noise(given: Mapping[str, Any], vae: Any) -> dict[str, Any]:
    """`calls` calls with the same x, m, v: the z that each decoded, (calls, rows, dim)."""
    x = given["x"]
    model = _model(vae(z_dim=given["m"].shape[1]), given)
    drawn = []
    for _ in range(given["calls"]):
        model.dec.received.clear()
        with torch.no_grad():
            model.negative_elbo_bound(x)
        if not model.dec.received:
            raise Breach(NO_DECODE)
        drawn.append(torch.cat(model.dec.received))
    if len({len(z) for z in drawn}) > 1:
        raise Breach("the number of z given to the decoder changes from call to call")
    return {"z": torch.stack(drawn)}


def _parts(returned: Any) -> list[Any]:
    if not isinstance(returned, tuple | list):
        tensor(returned, "what negative_elbo_bound returned")  # tells None and other types apart
        raise Breach("negative_elbo_bound returned one tensor, but three values were expected")
    if len(returned) < 3:
        raise Breach(f"negative_elbo_bound returned {len(returned)} values, but three were expected")
    for index, part in enumerate(returned[:3]):
        if not isinstance(part, float | int):
            tensor(part, f"value {index + 1} of what negative_elbo_bound returned")
    return list(returned)
