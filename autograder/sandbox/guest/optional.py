"""Says whether this process has torch: a homework whose probes and arrays are NumPy's alone never imports it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from types import ModuleType

_found: list[ModuleType] = []


def tensors() -> ModuleType | None:
    """What the guest side does with torch (tensors.py), None where this process has not imported torch.

    Once found it stays, whatever a submission does to sys.modules. The process that forks the workers looks for it
    before it forks one: a confined worker cannot read our files any more.
    """
    if not _found and hasattr(sys.modules.get("torch"), "Tensor"):  # not while torch is being imported
        with contextlib.suppress(ImportError):
            _found.append(importlib.import_module("autograder.sandbox.guest.tensors"))
    return _found[0] if _found else None
