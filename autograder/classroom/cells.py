"""What may stand in a cell of a table that somebody opens in a spreadsheet."""

from __future__ import annotations

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet run a cell (OWASP, CSV injection), full-width forms included."""


def cell(value: object) -> object:
    """A value as it may stand in a table: numbers as they are, and no text that a spreadsheet would run."""
    if isinstance(value, int | float) or value is None:
        return value
    text = " ".join(str(value).replace("\0", "").split())
    return f"'{text}" if str(value).lstrip(" ").startswith(FORMULA) or text.startswith(FORMULA) else text
