"""Probes of question 2: the divergence of tables and of Gaussians, and the Gaussian that is nearest to a mixture."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from autograder.core import Array
from autograder.hw11.probes import fault_of
from autograder.sandbox import parts as sections
from autograder.sandbox.guest.student import Student
from autograder.sandbox.wire import Breach

NOTEBOOK, DIVERGENCE, FIT = "comparing_distributions.ipynb", "kl_divergence", "fit_gaussian"
MOST_NUMBERS = 1000
"""In what is returned in the place of one number."""

# ---------------------------------------------------------------------- the notebook's given classes


@dataclass(frozen=True)
class Gaussian:
    """Stands in where the notebook lost its own."""

    mean: float
    std: float

    def log_density(self, x: Any) -> Any:
        return -0.5 * ((np.asarray(x) - self.mean) / self.std) ** 2 - np.log(self.std) - 0.5 * np.log(2 * np.pi)

    def density(self, x: Any) -> Any:
        return np.exp(self.log_density(x))


@dataclass(frozen=True)
class StandInMixture:
    """Stands in where the notebook lost its own."""

    weights: tuple[float, ...]
    means: tuple[float, ...]
    stds: tuple[float, ...]

    def log_density(self, x: Any) -> Any:
        parts = zip(self.weights, self.means, self.stds, strict=True)
        return np.logaddexp.reduce([np.log(w) + Gaussian(m, s).log_density(x) for w, m, s in parts])

    def density(self, x: Any) -> Any:
        return np.exp(self.log_density(x))


OURS = MappingProxyType({"Gaussian": Gaussian, "Mixture": StandInMixture})


def loaded(student: Student, name: str) -> tuple[Callable[..., Any], dict[str, Callable[..., Any]]]:
    """The student's function, and the classes Gaussian and Mixture as it knows them: isinstance must be right."""
    own = student.function(NOTEBOOK, name)
    space = getattr(inspect.unwrap(own), "__globals__", {})
    known = {cls: space.get(cls) for cls in OURS}
    if not all(map(callable, known.values())):  # the function names them nowhere: any that the notebook has will do
        others = student.definitions(NOTEBOOK, *OURS).__dict__
        for cls, ours in OURS.items():
            if not callable(known[cls]):
                known[cls] = others[cls] if callable(others.get(cls)) else ours
                space.setdefault(cls, known[cls])
    return own, {cls: found for cls, found in known.items() if callable(found)}


def number(value: Any, what: str) -> Array:
    """What a number was expected for, as an array of float64 of whatever shape. Raises `Breach` for anything else."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy() if not value.is_sparse else value
    if isinstance(value, bool | np.bool_ | str | bytes) or value is None:
        kind = "None (is a return missing?)" if value is None else f"a {type(value).__name__}"
        raise Breach(f"{what} is {kind}, but a number was expected")
    try:
        found = np.asarray(value)
        plain = found.astype(np.float64) if found.dtype.kind in "iufO" else None
    except (TypeError, ValueError):
        plain = None
    if plain is None:
        raise Breach(f"{what} is a {type(value).__name__}, but a number was expected")
    if plain.size > MOST_NUMBERS:
        raise Breach(f"{what} is an array of shape {list(plain.shape)}, but a number was expected")
    return plain


# -------------------------------------------------------------------------------------- divergences


def kl(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """The parts `positive`, `zeros`, `infinite`, `lists` and `gaussian`: of each of its `cases` the `value` returned.

    Tables p (k,), q of `cases` are handed over as numpy arrays, in `lists` as lists, `pairs` (n, 4) as Gaussians.
    """
    own, classes = loaded(student, DIVERGENCE)
    inputs = sections.unpack(given)
    what = f"the return value of {DIVERGENCE}"

    def tables(part: str, change: Callable[[Array], Any]) -> dict[str, Any]:
        pairs = [[change(case[name].numpy().copy()) for name in "pq"] for case in inputs[part]["cases"]]
        return {"cases": [{"value": number(own(*pair), what)} for pair in pairs]}

    def gaussians() -> dict[str, Any]:
        make = classes["Gaussian"]
        rows = inputs["gaussian"]["pairs"].tolist()
        return {"cases": [{"value": number(own(make(*row[:2]), make(*row[2:])), what)} for row in rows]}

    return sections.run(
        fault_of(student),
        positive=lambda: tables("positive", lambda table: table),
        zeros=lambda: tables("zeros", lambda table: table),
        infinite=lambda: tables("infinite", lambda table: table),
        lists=lambda: tables("lists", lambda table: table.tolist()),
        gaussian=gaussians,
    )


# --------------------------------------------------------------------------------------------- fits


def forward(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Of the `cases`, each a part, `mean` and `std` of its fit; of the part `unknown` what a wrong word raised."""
    own, classes = loaded(student, FIT)

    def unknown() -> dict[str, Any]:
        target = classes["Mixture"]((0.5, 0.5), (-1.0, 1.0), (1.0, 1.0))
        try:
            own(target, "sideways")
        except NotImplementedError:
            raise
        except Exception as error:
            return {"raised": "ValueError" if isinstance(error, ValueError) else type(error).__name__[:60]}
        return {"raised": ""}

    return sections.run(fault_of(student), cases=_fits(given, own, classes, "forward"), unknown=unknown)


def reverse(given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Of the `cases`, each a part, `mean` and `std` of its fit."""
    own, classes = loaded(student, FIT)
    return sections.run(fault_of(student), cases=_fits(given, own, classes, "reverse"))


def _fits(
    given: Mapping[str, Any], own: Callable[..., Any], classes: Mapping[str, Callable[..., Any]], direction: str
) -> list[sections.Action]:
    """For each of the `cases`, a mixture of weights (k,), means and stds, what fits a Gaussian to it.

    `pair` is there, and True, where a pair of numbers stands for the Gaussian.
    """

    def fit(case: Mapping[str, Any]) -> dict[str, Any]:
        parts = (tuple(case[name].tolist()) for name in ("weights", "means", "stds"))
        return _parameters(own(classes["Mixture"](*parts), direction))

    # A part that raised is reported as its fault, and the next is tried.
    return [partial(fit, case) for case in sections.unpack(given)["cases"]]


def _parameters(fitted: Any) -> dict[str, Any]:
    """Mean and standard deviation of a Gaussian, or of a pair of numbers, which is accepted and marked as `pair`."""
    pair = isinstance(fitted, tuple | list) and len(fitted) == 2
    if pair:
        mean, std = fitted
    elif hasattr(fitted, "mean") and hasattr(fitted, "std") and not isinstance(fitted, np.ndarray | torch.Tensor):
        mean, std = fitted.mean, fitted.std
    else:
        kind = "None (is a return missing?)" if fitted is None else f"a {type(fitted).__name__}"
        raise Breach(f"the return value of {FIT} is {kind}, but a Gaussian was expected")
    found = {name: number(value, f"the Gaussian's {name}") for name, value in (("mean", mean), ("std", std))}
    numbers = {name: value.reshape(()) if value.size == 1 else value for name, value in found.items()}
    return numbers | {"pair": True} if pair else numbers
