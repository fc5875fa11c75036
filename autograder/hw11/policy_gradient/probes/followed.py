"""Follows, from inside the kernel of a whole run, the network that the black box's rewards train, whatever its name."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from autograder.sandbox.parts import pack

ORACLE, CLASSES = "reward_oracle", 4


@dataclass
class Network:
    """A network that was seen: how many gradients were asked for after a reward, and without one.

    `weights` are those at the end of the last cell that trained it, or that bound `model` to it.
    """

    module: nn.Module
    rewarded: int = 0
    told: int = 0
    named: bool = False
    weights: list[torch.Tensor] = field(default_factory=list)

    def note(self) -> None:
        self.weights = [weight.detach().clone() for weight in self.module.parameters()]

    @property
    def changed(self) -> int:
        """How often a weight was changed in place."""
        return max((weight._version for weight in self.module.parameters()), default=0)


class Trained:
    """Notes the networks of a run, and keeps the one that counts.

    A network is asked for its outputs, the black box for a reward, and a gradient is taken: who was asked between two
    gradients tells a loop that learns from rewards from one that is told the labels, in whatever function or cell they
    are. Supervised learning often comes first or last in a notebook, under the same name `model`.
    """

    UPDATES = 20
    """In-place changes of a weight that an optimiser makes and an initialisation does not."""

    POINTS = 4096
    """Test points that are told at most."""

    def __init__(self) -> None:
        self.networks: list[Network] = []
        self.last: nn.Module | None = None
        self.rewarded = False
        self.touched: list[Network] = []
        self._watch()

    # ---------------------------------------------------------------------------------- while cells run

    def _watch(self) -> None:
        real: Any = sys.modules["torch"]
        nn.modules.module.register_module_forward_hook(self._answered)
        for owner, name in ((real.Tensor, "backward"), (real.autograd, "backward"), (real.autograd, "grad")):
            setattr(owner, name, self._noted(getattr(owner, name)))

    def _answered(self, module: nn.Module, _arguments: Any, output: Any) -> None:
        """The network is the outermost module around the layer that gives an output for each class."""
        if self.last is not None and module is not self.last and any(one is self.last for one in module.modules()):
            self.last = module
        elif (
            isinstance(output, torch.Tensor)
            and output.shape[1:] == (CLASSES,)
            and (output.requires_grad or self.last is None)
            and next(module.parameters(), None) is not None
        ):
            self.last = module
            self._meet(sys.modules["__main__"].__dict__)

    def _meet(self, space: Mapping[str, Any]) -> None:
        """Has the black box tell when it is asked, before it is."""
        oracle = space.get(ORACLE)
        if callable(oracle) and not hasattr(oracle, "tells"):

            @functools.wraps(oracle)
            def asked(*arguments: Any, **named: Any) -> Any:
                self.rewarded = True
                return oracle(*arguments, **named)

            asked.tells = True  # type: ignore[attr-defined]
            sys.modules["__main__"].__dict__[ORACLE] = asked

    def _noted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def taken(*arguments: Any, **named: Any) -> Any:
            last, self.last = self.last, None
            if last is not None:
                network = self._network(last)
                network.rewarded += self.rewarded
                network.told += not self.rewarded
                self.touched.append(network)
            self.rewarded = False
            return function(*arguments, **named)

        return taken

    def _network(self, module: nn.Module) -> Network:
        for network in self.networks:
            if network.module is module:
                return network
        self.networks.append(Network(module))
        return self.networks[-1]

    # ---------------------------------------------------------------------------------- after each cell

    def after_cell(self, space: Mapping[str, Any]) -> None:
        self._meet(space)
        if self.rewarded and self.last is not None:  # asked, but nothing was learnt from the answer
            self._network(self.last)
        model = space.get("model")
        if isinstance(model, nn.Module):
            network = self._network(model)
            network.named = True
            network.note()
        for network in {id(one): one for one in self.touched}.values():
            network.note()
        self.touched, self.last, self.rewarded = [], None, False

    def values(self, space: Mapping[str, Any]) -> dict[str, Any]:
        """The weights of the network that counts, and test points (n, 8) where they have their name."""
        self.after_cell(space)
        chosen = self._chosen(callable(space.get(ORACLE)))
        if chosen is None:
            return {}
        x = space.get("x_valid")
        points = {"points": x.detach()[: self.POINTS].float()} if isinstance(x, torch.Tensor) and x.ndim == 2 else {}
        return pack(weights=list(chosen.weights[:8]), **points)

    def _chosen(self, rewarding: bool) -> Network | None:
        """The first trained one of those that rewards have trained, `model` before others; else what may be untrained.

        Without a black box under its name nothing tells how a network was trained, and all of the name `model` count.
        """
        several = [one for one in self.networks if one.rewarded and one.rewarded >= one.told] if rewarding else []
        if not several:
            several = [one for one in self.networks if one.named and not (rewarding and one.told)]
        several.sort(key=lambda one: not one.named)  # which keeps the order of those that are alike
        trained = [one for one in several if one.changed > self.UPDATES or one.rewarded > self.UPDATES]
        return next(iter(trained or several[-1:]), None)
