"""Probes of `negative_elbo_bound`, with stub networks whose answers are known and a sampler that works.

The student's `sample_gaussian` is replaced, so that one wrong function is not punished twice. That makes
this module the only one that knows how to sample: it is loaded in the worker of its own requests alone,
where the student's code is meant to be able to call it, and nowhere else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from autograder.hw11.probes import fault_of, several
from autograder.sandbox import parts as sections
from autograder.sandbox.guest.student import Student
from autograder.sandbox.guest.tensors import put_back
from autograder.sandbox.wire import Breach

NO_DECODE = "negative_elbo_bound returned without calling the decoder, but it was expected to decode a z"
NO_ENCODE = (
    "negative_elbo_bound returned without calling self.enc.encode(x), but the mean and the variance of q(z|x) were "
    "expected to come from there"
)
METHOD = "negative_elbo_bound"
NAMES = "negative ELBO, KL term, reconstruction term"
VAE, UTILS = "gan_vae/models/vae.py", "gan_vae/utils.py"
STEEPEST = 3.5
"""Logits stay within this bound, where every way to write a cross entropy is accurate."""


class StandIn(nn.Module):
    """A network of ours in the place of the student's: the attributes that it lacks it has from theirs.

    `net`, the layers inside, is ours as well, so that who calls them in place of the network gets the same.
    """

    def __init__(self, theirs: Any, inside: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.__dict__["_theirs"] = theirs  # not a submodule: its parameters are no part of ours
        self.__dict__["net"] = Layers(getattr(theirs, "net", None), inside)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["_theirs"], name)


class Layers:
    """A student's layers, of which those that are called are ours."""

    def __init__(self, theirs: Any, inside: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._theirs, self._inside = theirs, inside

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._inside(x)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._theirs, name)

    def __getitem__(self, index: Any) -> Any:
        return self._theirs[index]

    def __len__(self) -> int:
        return len(self._theirs)


class Encoder(StandIn):
    """q(z|x) with given moments: row i of `x` has mean m[i] and variance v[i]."""

    def __init__(self, x: torch.Tensor, m: torch.Tensor, v: torch.Tensor, theirs: Any) -> None:
        super().__init__(theirs, self._raw)
        self.x, self.m, self.v = x, m, v
        self.other = self.called = False

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        put_back(modes=False)
        self.called = True
        if torch.equal(x, self.x):
            return self.m * 1, self.v * 1
        rows = x.detach().reshape(-1, self.x.shape[1])
        same = (rows[:, None, :] == self.x[None, :, :]).all(2)  # (given rows, batch)
        self.other = self.other or not bool(same.any(1).all())
        index = same.float().argmax(1)
        return self.m[index], self.v[index]

    forward = encode

    def _raw(self, x: torch.Tensor) -> torch.Tensor:
        """What utils.gaussian_parameters makes m and v of: the mean, and the inverse softplus of the variance."""
        m, v = self.encode(x)
        return torch.cat([m, torch.log(torch.expm1(v))], dim=1)


class Decoder(StandIn):
    """Bernoulli logits 3.5 tanh(z W + b) of (..., dim) z, which it keeps as it received them."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, theirs: Any) -> None:
        super().__init__(theirs, self.decode)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.received: list[torch.Tensor] = []

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        put_back(modes=False)
        self.received.append(z.detach().reshape(-1, z.shape[-1]).clone())
        return STEEPEST * torch.tanh(z @ self.weight + self.bias)

    forward = decode


def _sample(m: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.distributions.Normal(m, v.sqrt()).rsample()


class Models:
    """The student's models, one for each z_dim, since to fill 784 x 300 weights is most of the time."""

    def __init__(self, vae: Any) -> None:
        self._vae = vae
        self._made: dict[int, tuple[Any, Any, Any]] = {}

    def __call__(self, case: Mapping[str, torch.Tensor]) -> Any:
        """The model with our networks in the place of its own: for one case's x, w, b, and m, v with gradients."""
        dim = case["m"].shape[1]
        if dim not in self._made:
            model = self._vae(z_dim=dim)
            self._made[dim] = model, model.enc, model.dec
        model, encoder, decoder = self._made[dim]
        model.enc = Encoder(case["x"], case["m"].requires_grad_(), case["v"].requires_grad_(), encoder)
        model.dec = Decoder(case["w"], case["b"], decoder)
        return model


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
    """The parts `values`, `noise` and `again`, each with inputs and values of its own."""
    models = Models(class_of(student, VAE, "VAE"))
    own = sections.unpack(given)
    return sections.run(
        fault_of(student),
        values=lambda: values(own["values"], models),
        noise=lambda: noise(own["noise"], models),
        again=lambda: again(own["again"], models),
    )


def tiny(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The same as the part `values`, for inputs that are small enough to be shown."""
    return sections.pack(**values(sections.unpack(given), Models(class_of(student, VAE, "VAE"))))


def _bound(model: Any, x: torch.Tensor) -> list[Any]:
    """What negative_elbo_bound(x) returned; `Breach` where it used neither our encoder nor our decoder."""
    parts = several(model.negative_elbo_bound(x), 3, NAMES, METHOD)
    if not model.enc.called:
        raise Breach(NO_ENCODE)
    if not model.dec.received:
        raise Breach(NO_DECODE)
    return parts


def values(given: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """Calls negative_elbo_bound once for each of the `cases`: x, m, v, w, b.

    Returns for each what was returned (`parts`, three), all z that were decoded ((rows, dim), and
    how many rows each call of the decoder had), and the gradients of the first value to m, v and the
    decoder's bias, where they arrived.
    """
    seen: list[dict[str, Any]] = []
    for case in given["cases"]:
        m, v = case["m"], case["v"]
        model = models(case)
        parts = _bound(model, case["x"])
        found: dict[str, Any] = {"count": len(parts), "other_x": model.enc.other}
        found["is_tensor"] = [isinstance(part, torch.Tensor) for part in parts[:3]]
        found["parts"] = [torch.as_tensor(part) for part in parts[:3]]
        found["z"] = torch.cat(model.dec.received)
        found["rows"] = torch.tensor([len(z) for z in model.dec.received])
        first = parts[0]
        if isinstance(first, torch.Tensor) and first.requires_grad:
            places = {"m": m, "v": v, "b": model.dec.bias}
            places = {name: place for name, place in places.items() if place.requires_grad}  # some freeze it
            slopes = torch.autograd.grad(first.sum(), tuple(places.values()), allow_unused=True)
            found |= {f"to_{n}": s for n, s in zip(places, slopes, strict=True) if s is not None}
        seen.append(found)
    return {"cases": seen}


def noise(given: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """`calls` calls with the same x, m, v: the z that each decoded, (calls, rows, dim).

    The three values of each call, `parts` (calls, entries), show that it is these z that they are made of.
    """
    model = models(given)
    drawn = []
    found: tuple[list[torch.Tensor], ...] = ([], [], [])
    for _ in range(given["calls"]):
        model.dec.received.clear()
        returned = model.negative_elbo_bound(given["x"])
        if not model.dec.received:
            raise Breach(NO_DECODE)
        with contextlib.suppress(Breach):  # what cannot be read costs its points where values are judged
            for kept, part in zip(found, several(returned, 3, NAMES, METHOD), strict=False):
                kept.append(torch.as_tensor(part).detach().flatten())
        drawn.append(torch.cat(model.dec.received))
    if len({len(z) for z in drawn}) > 1:
        raise Breach("the number of z passed to the decoder changes from call to call")
    if any(len({len(each) for each in kept}) > 1 for kept in found):
        raise Breach("the shape of a value changes from call to call")
    return {"z": torch.stack(drawn), "parts": [torch.stack(kept) for kept in found if kept]}


def again(given: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """Two `calls` with the same x, m, v and, since w is 0, the same logits: the three `parts` of each."""
    model = models(given)
    calls = [[torch.as_tensor(part) for part in _bound(model, given["x"])[:3]] for _ in range(2)]
    return {"calls": [{"parts": parts} for parts in calls]}
