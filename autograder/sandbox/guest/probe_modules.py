"""The modules of a homework that run beside students' code, imported without the judges that stand beside them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from autograder.core import PUBLIC
from autograder.sandbox.protocol import probe_files

OWN = {"canary": "autograder.sandbox.guest.canary", "notebook_cache": "autograder.sandbox.guest.notebook_cache"}
"""Probes that belong to no homework."""


def name_of(package: str, probe: str) -> str:
    """The full name of the module of a probe "module:function"."""
    name = probe.partition(":")[0]
    return OWN.get(name, f"{package}.{name}")


def public(package: str) -> list[str]:
    """The names of all probe modules below `package` but the private ones, which only their own workers may see."""
    spec = importlib.util.find_spec(package)
    found = []
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        for file in probe_files(folder):
            parts = file.relative_to(folder).with_suffix("").parts
            if PUBLIC in parts:
                found.append(".".join((package, *(part for part in parts if part != "__init__"))))
    return found


def load(name: str) -> ModuleType:
    """The module; its packages' __init__ files are not run."""
    _leave_judges_out(name)
    return importlib.import_module(name)


def _leave_judges_out(name: str) -> None:
    """Puts empty modules in the place of the packages around it, whose __init__ would import the judges.

    What the zygote imports is in every worker's memory, where students' code can read it: expected
    formulas, tolerances and known mistakes must not be there.
    """
    parts = name.split(".")
    for end in range(1, len(parts)):
        parent = ".".join(parts[:end])
        if parent in sys.modules or PUBLIC in parts[:end]:
            continue
        spec = importlib.util.find_spec(parent)
        if spec is None or spec.submodule_search_locations is None:
            return
        empty = ModuleType(parent)
        empty.__path__ = list(spec.submodule_search_locations)
        empty.__spec__ = spec  # what looks for the package once more finds it
        sys.modules[parent] = empty
