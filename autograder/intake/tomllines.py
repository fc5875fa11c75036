"""At which line of a TOML file a value stands, which tomllib does not tell."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any


def line_of(text: str, path: Sequence[Any]) -> int:
    """The line at which the statement begins that gives the value at `path`, or as much of the path as there is.

    The lines are read one more at a time: the statement ends where the value first is there, and begins behind the last
    lines that could be read without it.
    """
    lines, before, deepest = text.split("\n"), 0, (0, 1)
    for end in range(1, len(lines) + 1):
        try:
            tree: Any = tomllib.loads("\n".join(lines[:end]))
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
        depth = 0
        for key in path:
            if isinstance(tree, dict) and key in tree:
                tree = tree[key]
                depth += 1
            else:
                break
        if depth > deepest[0]:
            deepest = depth, before + 1
        before = end
    return deepest[1]
