"""Lines of students' code, tried one by one inside a worker or a kernel: which of them failed, and how."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """Code as it stands at the top of a file, and what must hold of the names that it leaves."""

    code: str
    holds: str = "True"


TRIED = """
def _tried(lines):
    import sys as _sys
    failed = []
    for _number, (_code, _holds) in enumerate(lines):
        _space = {"__builtins__": __builtins__, "__name__": "__main__"}
        try:
            exec(compile(_code, f"line {_number}", "exec"), _space)
            _truth = eval(_holds, _space)
            if not _truth:
                failed.append(f"{_number}: not {_holds}")
        except BaseException as _error:
            failed.append(f"{_number}: {type(_error).__name__}: {str(_error)[:150]}")
    return failed
"""


def module(lines: Sequence[Line]) -> str:
    """Text for a module whose `sample_gaussian` is right if all lines hold, and tells of the others if not."""
    pairs = json.dumps([(line.code, line.holds) for line in lines])
    return (
        f"{TRIED}\n_failed = _tried({pairs})\n"
        "_right = sample_gaussian\n"
        "def sample_gaussian(m, v):\n"
        "    if _failed:\n"
        "        import os\n"
        "        os.write(1, ('FAILED ' + ' | '.join(_failed)).encode())\n"
        "        raise RuntimeError('lines failed')\n"
        "    return _right(m, v)\n"
    )


def failed(log: str) -> list[str]:
    """What the worker's log says of lines that failed."""
    return [one for found in re.findall(r"FAILED (.*)", log) for one in found.split(" | ")]
