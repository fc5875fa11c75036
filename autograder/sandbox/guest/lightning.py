"""What a LightningModule does without its trainer, for models written as one where Lightning is not installed."""

from __future__ import annotations

import inspect
import sys
from types import SimpleNamespace
from typing import Any

import torch


class Hyperparameters(dict[str, Any]):
    """A dictionary whose items are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    __setattr__ = dict.__setitem__


class LightningModule(torch.nn.Module):
    """A torch module with Lightning's own methods; what is logged goes nowhere."""

    current_epoch = global_step = global_rank = local_rank = 0
    automatic_optimization = True
    trainer = logger = None

    def save_hyperparameters(self, *names: Any, ignore: Any = (), frame: Any = None, logger: bool = True) -> None:
        """Keeps the arguments of the calling `__init__`, or those that are named, as `self.hparams`."""
        del logger
        called = frame or sys._getframe(1)
        arguments = inspect.getargvalues(called)
        own = {name: called.f_locals[name] for name in arguments.args[1:] if name in called.f_locals}
        own |= called.f_locals.get(arguments.keywords or "", {})
        left = (ignore,) if isinstance(ignore, str) else tuple(ignore or ())
        chosen = [name for name in names if isinstance(name, str)] or own
        self.hparams.update((name, own[name]) for name in chosen if name in own and name not in left)
        for one in names:
            if isinstance(one, dict | SimpleNamespace):
                self.hparams.update(one if isinstance(one, dict) else vars(one))

    @property
    def hparams(self) -> Hyperparameters:
        """What save_hyperparameters kept."""
        kept: Hyperparameters = self.__dict__.setdefault("_hparams", Hyperparameters())
        return kept

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return next((one.device for one in self.parameters()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """What its parameters are made of."""
        return next((one.dtype for one in self.parameters()), torch.get_default_dtype())

    def log(self, *_arguments: Any, **_named: Any) -> None:
        """Nothing."""

    log_dict = log

    def print(self, *_arguments: Any, **_named: Any) -> None:
        """Nothing."""

    def manual_backward(self, loss: torch.Tensor, *arguments: Any, **named: Any) -> None:
        """Calls the loss's own."""
        loss.backward(*arguments, **named)  # type: ignore[no-untyped-call]

    def freeze(self) -> None:
        """No parameter has a gradient from now on."""
        self.requires_grad_(False)
        self.eval()

    def unfreeze(self) -> None:
        """Every parameter has one."""
        self.requires_grad_(True)
        self.train()
