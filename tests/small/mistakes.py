"""Known mistakes of the small homework."""

from __future__ import annotations

from autograder.audit.variants import Variant

WRONG = [
    Variant("thrice", "Thrice x.", "answer.py", "def twice(x):\n    return 3 * x", ("numbers.twice",), "not_twice"),
    Variant("silent", "Another word.", "answer.py", "def hello():\n    return 'hullo'", ("words.hello",)),
]
RIGHT = [Variant("sum", "A sum.", "answer.py", "def twice(x):\n    return x + x")]
HALF_RIGHT: list[tuple[Variant, float, str]] = []
