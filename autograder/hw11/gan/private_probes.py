"""Probes of question 5: `loss_nonsaturating` with a stub generator and discriminator whose answers are known.

They get the sampler of the VAE's private probes, for whoever draws z by their own `sample_gaussian`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from autograder.hw11.probes import fault_of, several
from autograder.hw11.vae.private_probes import STEEPEST, StandIn, class_of
from autograder.sandbox import parts as sections
from autograder.sandbox.guest.student import Student
from autograder.sandbox.guest.tensors import put_back
from autograder.sandbox.wire import Breach

GAN = "gan_vae/models/gan.py"
PIXELS = 784
SHAPE = (-1, 1, 28, 28)
METHOD = "loss_nonsaturating"
NAMES = "d_loss, g_loss"
CPU = torch.device("cpu")


class Generator(StandIn):
    """Images tanh(z W) + b of (..., dim) z; it keeps z as it received them, and the images (rows, 784)."""

    def __init__(self, theirs: Any, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__(theirs, self.forward)
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.z_dim = len(weight)
        self.received: list[torch.Tensor] = []
        self.made: list[torch.Tensor] = []

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        put_back(modes=False)
        self.received.append(z.detach().reshape(-1, z.shape[-1]).clone())
        images = torch.tanh(z @ self.weight) + self.bias
        self.made.append(images.detach().reshape(-1, PIXELS).clone())
        return images.reshape(SHAPE)


class Discriminator(StandIn):
    """Logits 3.5 tanh(x w + c), (batch,), for images of whatever shape, which it keeps as (rows, 784).

    Its layers' output is (batch, 1).
    """

    def __init__(self, theirs: Any, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__(theirs, lambda x: self.forward(x)[:, None])
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.received: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.received.append(x.detach().reshape(-1, PIXELS).clone())
        return STEEPEST * torch.tanh(x.reshape(-1, PIXELS) @ self.weight + self.bias)


class ChosenPixels(StandIn):
    """A generator of images whose first pixel is one of `values` (k,), by turns, whatever z is."""

    def __init__(self, theirs: Any, z_dim: int, values: torch.Tensor) -> None:
        super().__init__(theirs, self.forward)
        self.z_dim, self.values = z_dim, values
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        rows = z.reshape(-1, z.shape[-1]).shape[0]
        first = self.values[torch.arange(rows) % len(self.values)] + self.bias
        return torch.cat([first[:, None], torch.zeros(rows, PIXELS - 1)], 1).reshape(SHAPE)


class FirstPixel(StandIn):
    """A discriminator whose logit is the first pixel times a weight of 1."""

    def __init__(self, theirs: Any) -> None:
        super().__init__(theirs, lambda x: self.forward(x)[:, None])
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x.reshape(-1, PIXELS)[:, 0]


def loss(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The parts `values`, `extreme` and `noise`, each with inputs and values of its own."""
    models = model_of(student)
    own = sections.unpack(given)
    return sections.run(
        fault_of(student),
        values=lambda: values(own["values"], models),
        extreme=lambda: extreme(own["extreme"], models),
        noise=lambda: noise(own["noise"], models),
    )


def tiny(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The two `losses` for each of the `cases`, which are logits: `real` (batch,) and `fake` (batch,)."""
    models = model_of(student)
    seen = []
    for case in sections.unpack(given)["cases"]:
        parts, _ = losses(case["real"], case["fake"], models)
        seen.append({"losses": _told(parts)})
    return sections.pack(cases=seen)


class Models:
    """The student's GANs, one for each z_dim, since to fill the real networks' weights is most of the time."""

    def __init__(self, gan: Any) -> None:
        self._gan = gan
        self._made: dict[int, tuple[Any, Any, Any]] = {}

    def __call__(self, z_dim: int) -> tuple[Any, Any, Any]:
        """The model, and the generator and the discriminator that it was made with."""
        if z_dim not in self._made:
            made = self._gan(z_dim=z_dim)
            self._made[z_dim] = made, made.g, made.d
        return self._made[z_dim]


def model_of(student: Student) -> Models:
    return Models(class_of(student, GAN, "GAN"))


def _filled(models: Models, a: torch.Tensor, b: torch.Tensor, w: torch.Tensor, c: torch.Tensor) -> Any:
    """The student's model with a generator of weights a (dim, 784), b and a discriminator of weights w, c."""
    made, generator, discriminator = models(len(a))
    made.g, made.d = Generator(generator, a, b), Discriminator(discriminator, w, c)
    return made


def _losses(gan: Any, x: torch.Tensor) -> list[Any]:
    return several(gan.loss_nonsaturating(x.reshape(SHAPE), device=CPU), 2, NAMES, METHOD)


def values(given: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """Calls once for each of the `cases`: x (batch, 784), a (dim, 784), b (784,), w (784,), c ().

    Returns for each both `losses`, with their gradients to the discriminator's w and the generator's b where they
    arrived, all z that the generator got ((rows, dim), and how many rows each of its calls had), and as `other`
    (batches, batch, 784) what the discriminator saw of further images.
    """
    seen: list[dict[str, Any]] = []
    for case in given["cases"]:
        x, a, b, w, c = (case[name] for name in "xabwc")
        gan = _filled(models, a, b, w, c)
        generator, discriminator = gan.g, gan.d
        parts = _losses(gan, x)
        of_losses = _told(parts)
        if not generator.received:
            raise Breach(
                f"{METHOD} returned without calling the generator, but it was expected to generate one batch of images"
            )
        if len({z.shape[1] for z in generator.received}) > 1:
            raise Breach("the generator received z of different sizes")
        found = {"count": len(parts), "z": torch.cat(generator.received)}
        found["rows"] = torch.tensor([len(z) for z in generator.received])
        slopes = _slopes(parts, w=discriminator.weight, b=generator.bias)
        found["losses"] = [{**told, **slope} for told, slope in zip(of_losses, slopes, strict=True)]
        others = _others(discriminator.received, [x, *generator.made])
        if others:
            found["other"] = torch.stack(others)
        seen.append(found)
    return {"cases": seen}


def _told(parts: list[Any]) -> list[dict[str, Any]]:
    """The two losses, and whether each is a tensor."""
    return [{"loss": torch.as_tensor(part), "is_tensor": isinstance(part, torch.Tensor)} for part in parts[:2]]


MOST_OTHERS = 4
"""Batches of other images that are told in a case."""


def _others(seen: list[torch.Tensor], known: list[torch.Tensor]) -> list[torch.Tensor]:
    """The batches that the discriminator saw and that are neither the real images nor a batch of generated ones."""
    batch = len(known[0])
    parts = [one for images in known for one in _batches(images, batch)]
    own = [one for images in seen for one in _batches(images.float(), batch) if len(one) == batch]
    return [one for one in own if not any(torch.equal(one, other) for other in parts)][:MOST_OTHERS]


def _batches(images: torch.Tensor, batch: int) -> list[torch.Tensor]:
    return [images[begin : begin + batch] for begin in range(0, len(images), batch)]


def extreme(given: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """The two `losses` for fakes of logits +-`size` and reals of the given logits (batch,), and their gradients.

    Those are to the discriminator's weight (to_w) and the generator's bias (to_b).
    """
    parts, places = losses(given["real"], torch.tensor([given["size"], -given["size"]]), models)
    slopes = _slopes(parts, **places)
    return {"losses": [{**told, **slope} for told, slope in zip(_told(parts), slopes, strict=True)]}


def losses(real: torch.Tensor, fake: torch.Tensor, models: Models) -> tuple[list[Any], dict[str, torch.Tensor]]:
    """What is returned where the logits of real images and of fakes are these, and the two networks' parameters."""
    x = torch.zeros(len(real), PIXELS)
    x[:, 0] = real
    made, theirs, judging = models(3)
    made.g, made.d = generator, discriminator = ChosenPixels(theirs, 3, fake), FirstPixel(judging)
    return _losses(made, x), {"w": discriminator.weight, "b": generator.bias}


def noise(given: Mapping[str, Any], models: Models) -> dict[str, Any]:
    """`calls` calls with the same batch: the z of each call of the generator, (calls, rows, dim) and its rows.

    The two `losses` of each call, (calls, entries), show that it is these z that they are made of.
    """
    x = given["x"]
    gan = _filled(models, *(given[name] for name in "abwc"))
    generator = gan.g
    drawn, rows = [], set()
    found: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for _ in range(given["calls"]):
        generator.received.clear()
        returned = gan.loss_nonsaturating(x.reshape(SHAPE), device=CPU)
        with contextlib.suppress(Breach):  # what cannot be read costs its points where values are judged
            for kept, part in zip(found, several(returned, 2, NAMES, METHOD), strict=False):
                kept.append(torch.as_tensor(part).detach().flatten())
        if not generator.received:
            raise Breach(
                f"{METHOD} returned without calling the generator, but it was expected to generate one batch of images"
            )
        drawn.append(torch.cat(generator.received))
        rows.add(tuple(len(z) for z in generator.received))
    if len(rows) > 1:
        raise Breach("the number of z passed to the generator changes from call to call")
    if any(len({len(each) for each in kept}) > 1 for kept in found):
        raise Breach("the shape of a loss changes from call to call")
    losses = [{"loss": torch.stack(kept)} for kept in found if kept]
    return {"z": torch.stack(drawn), "rows": torch.tensor(rows.pop()), "losses": losses}


def _slopes(parts: list[Any], **places: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    """Of each loss the gradient to each place, as to_w, to_b; absent where none arrives."""
    found: list[dict[str, torch.Tensor]] = [{}, {}]
    for own, part in zip(found, parts, strict=False):
        for name, place in places.items():
            if isinstance(part, torch.Tensor) and part.requires_grad and place.requires_grad:
                (slope,) = torch.autograd.grad(part.sum(), (place,), allow_unused=True, retain_graph=True)
                if slope is not None:
                    own[f"to_{name}"] = slope
    return found
