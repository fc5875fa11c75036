"""The machine as students know it: a GPU that is not here, debuggers that have nobody to talk to."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _OnTheCpu(TorchFunctionMode):
    """There is no GPU here: what asks for one gets the CPU, as on a student's laptop without one."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = {key: _cpu(value) for key, value in (kwargs or {}).items()}
        if getattr(func, "__name__", "") == "cuda" and args:
            return args[0]
        return func(*map(_cpu, args), **kwargs)


def _cpu(value: Any) -> Any:
    if isinstance(value, torch.device) or (isinstance(value, str) and value.startswith("cuda")):
        return torch.device("cpu") if torch.device(value).type == "cuda" else value
    return value


_pretending: list[_OnTheCpu] = []


def pretend_cuda() -> None:
    if not _pretending:
        _pretending.append(_OnTheCpu())
        _pretending[0].__enter__()  # type: ignore[no-untyped-call]


def calm() -> None:
    """Debuggers left in the code have nobody to talk to: they go on at once."""
    import pdb

    def go_on(*_arguments: Any, **_named: Any) -> None:
        return None

    sys.breakpointhook = go_on
    pdb.set_trace = go_on
    with contextlib.suppress(AttributeError):
        pdb.Pdb.set_trace = go_on  # type: ignore[method-assign]
