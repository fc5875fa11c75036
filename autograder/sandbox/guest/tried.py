"""Whether an `import` stands in a `try` whose `except` has something else for a package that is not there.

It is read from the bytecode of whoever imports: `try: import cupy as xp`, `except ImportError: xp = np`. There the
import has to fail, as it does wherever the package is not installed.
"""

from __future__ import annotations

import contextlib
import dis
import types
from bisect import bisect_left

CATCHES = frozenset(("ImportError", "ModuleNotFoundError", "Exception", "BaseException"))
LEAVES = frozenset(("exit", "quit", "_exit"))
MOST_STEPS = 50
"""Handlers around an import that are looked at."""
BEFORE_A_WITH = 16
"""Instructions before the body of a `with` in which its expression is looked for."""


def names_tried(frame: types.FrameType) -> dict[str, str] | None:
    """None where the frame's import may not fail; else the global names that it binds: {name: what of the module}.

    It may not where nothing around it catches an ImportError, where the handler gives up (it raises or exits), or, in a
    function, where it puts nothing in place of the name.
    """
    try:
        return _names_tried(frame.f_code, frame.f_lasti)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):  # a newer Python's bytecode
        return None


def _names_tried(code: types.CodeType, at: int) -> dict[str, str] | None:
    table = dis._parse_exception_table(code)  # type: ignore[attr-defined]
    if not table:
        return None
    steps = list(dis.get_instructions(code))
    offsets = [step.offset for step in steps]

    def around(offset: int) -> int:
        """Where Python goes on if the instruction raises; -1 for out of here."""
        return next((entry.target for entry in table if entry.start <= offset < entry.end), -1)

    handler = around(at)
    for _ in range(MOST_STEPS):
        if handler < 0:
            return None
        index = bisect_left(offsets, handler)
        if steps[index].opname == "PUSH_EXC_INFO":
            body = _body(steps, offsets, index)
            if body is not None:
                return _bound(steps, bisect_left(offsets, at), body)
            if steps[index + 1].opname == "WITH_EXCEPT_START" and _suppresses(code, steps, offsets, table, handler):
                return _bound(steps, bisect_left(offsets, at), [])
        handler = around(handler)
    return None


def _body(steps: list[dis.Instruction], offsets: list[int], index: int) -> list[dis.Instruction] | None:
    """The instructions of the handler that catches an ImportError, None where none of these does."""
    if steps[index + 1].opname == "POP_TOP":  # a bare `except:`
        return _until_caught(steps, index + 1)
    caught = False
    for _ in range(MOST_STEPS):
        index += 1
        step = steps[index]
        if step.opname in ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_ATTR"):
            caught = caught or str(step.argval).rpartition(".")[2] in CATCHES
        elif step.opname == "CHECK_EXC_MATCH":
            if caught:
                return _until_caught(steps, index + 1)
            index = bisect_left(offsets, steps[index + 1].argval) - 1
        elif step.opname not in ("BUILD_TUPLE", "NOP", "CACHE"):
            return None
    return None


def _until_caught(steps: list[dis.Instruction], start: int) -> list[dis.Instruction]:
    end = next((at for at in range(start, len(steps)) if steps[at].opname == "POP_EXCEPT"), len(steps))
    leaves = steps[end + 1 : end + 3]  # `return` and `continue` stand behind it
    return steps[start:end] + [step for step in leaves if step.opname.startswith("RETURN")]


def _suppresses(
    code: types.CodeType, steps: list[dis.Instruction], offsets: list[int], table: list[object], handler: int
) -> bool:
    """Whether it is the end of a `with contextlib.suppress(ImportError):`."""
    start = min(entry.start for entry in table if entry.target == handler)  # type: ignore[attr-defined]
    index = bisect_left(offsets, start)
    before = {str(step.argval) for step in steps[max(0, index - BEFORE_A_WITH) : index]}
    return "suppress" in before and not CATCHES.isdisjoint(before)


def _bound(steps: list[dis.Instruction], index: int, handler: list[dis.Instruction]) -> dict[str, str] | None:
    """The names that the import binds, unless its handler gives up."""
    if any(step.opname == "RAISE_VARARGS" or str(step.argval) in LEAVES for step in handler):
        return None
    names: dict[str, str] = {}
    wanted, local = "", False
    for step in steps[index + 1 :]:
        if step.opname == "IMPORT_FROM":
            wanted = str(step.argval)
        elif step.opname in ("STORE_NAME", "STORE_GLOBAL"):
            names[str(step.argval)], wanted = wanted, ""
        elif step.opname.startswith("STORE_"):
            local, wanted = True, ""
        elif step.opname not in ("SWAP", "POP_TOP", "EXTENDED_ARG"):
            break
        if step.opname == "POP_TOP" or (len(names) and steps[index + 1].opname.startswith("STORE_")):
            break
    answers = any(step.opname.startswith(("STORE_", "RETURN", "IMPORT_")) for step in handler[1:])
    return names if not local or answers else None


def frame_of(space: object, frame: types.FrameType | None) -> types.FrameType | None:
    """The frame whose globals these are, the nearest first."""
    with contextlib.suppress(AttributeError):
        for _ in range(4):
            if frame is None or frame.f_globals is space:
                return frame
            frame = frame.f_back
    return None
