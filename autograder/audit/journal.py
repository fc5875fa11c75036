"""A file of JSON lines that an audit goes on from after it was stopped: one line for each thing that it graded."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Key = tuple[str, ...]


class Journal:
    """`rows` by key, which says all that must be the same for a line to be used again.

    Of several lines with one key the last counts; a line that was cut off by a kill counts for nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[Key, dict[str, Any]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    found = json.loads(line)
                    self.rows[tuple(found["key"])] = dict(found["row"])

    def add(self, key: Key, row: Mapping[str, Any]) -> None:
        """Appends a line; the row must be JSON's plain values."""
        self.rows[key] = dict(row)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            begin = b"" if file.read(1) in (b"", b"\n") else b"\n"
            file.write(begin + json.dumps({"key": key, "row": row}, ensure_ascii=False).encode() + b"\n")
