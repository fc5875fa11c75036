"""Fingerprints of code that stay the same when names, comments and layout change, taken in the worker.

Winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003, figure 5): the tokens of a file, names of the author's
own replaced by one, are hashed in windows of `GRAM`; of each `WINDOW` neighbouring hashes the least is kept. Any
run of `GRAM + WINDOW - 1` tokens that two files share leaves a common fingerprint.
"""

from __future__ import annotations

import hashlib
import io
import keyword
import tokenize
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from autograder.core import GIVEN, Array
from autograder.isolation.student import Student

GRAM, WINDOW = 12, 8
MAX_FILES, MAX_KEPT, MAX_TOKENS = 40, 2000, 200_000
SKIPPED = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER)


def of_files(_given: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """`fileN.name` and `fileN.hashes` (n,) int64, sorted, of each graded Python file or notebook in it."""
    told: dict[str, Any] = {}
    given = sorted(path.relative_to(student.box / GIVEN) for path in (student.box / GIVEN).rglob("*"))
    graded = [path for path in given if path.suffix in (".py", ".ipynb") and (student.box / path).is_file()]
    for index, path in enumerate(graded[:MAX_FILES]):
        if path.as_posix() not in student.absent:
            told[f"file{index}.name"] = path.as_posix()
            told[f"file{index}.hashes"] = of_file(student.box / path)
    return told


def of_file(path: Path) -> Array:
    """The fingerprints (n,) int64 of one file, sorted; none where it cannot be read as Python."""
    if path.suffix == ".ipynb":
        from autograder import notebooks

        try:
            texts = [cell.source for cell in notebooks.read(path.read_bytes())]
        except notebooks.Unreadable:
            texts = []
    else:
        texts = [path.read_text("utf-8", "replace")]
    grams: deque[str] = deque(maxlen=GRAM)
    window: deque[int] = deque(maxlen=WINDOW)
    kept: set[int] = set()
    for count, token in enumerate(token for text in texts for token in tokens(text)):
        if count >= MAX_TOKENS or len(kept) >= MAX_KEPT:
            break
        grams.append(token)
        if len(grams) == GRAM:
            digest = hashlib.blake2b("\0".join(grams).encode("utf-8", "replace"), digest_size=8).digest()
            window.append(int.from_bytes(digest, "little", signed=True))
            if len(window) == WINDOW:
                kept.add(min(window))
    return np.array(sorted(kept or window), np.int64)


def tokens(text: str) -> Iterator[str]:
    """The tokens of some code without comments and layout; lines that only a notebook understands are passed over.

    Keywords, operators, numbers and what stands behind a dot (the library's names) are kept; other names are "n" and
    texts "s". Ends without a word where the code is no Python.
    """
    python = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith(("%", "!", "?")))
    before = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(python).readline):
            kind = token.type
            if kind in SKIPPED:
                continue
            if kind == tokenize.NAME and not keyword.iskeyword(token.string):
                yield token.string if before == "." else "n"
            elif kind == tokenize.STRING:
                yield "s"
            else:
                yield tokenize.tok_name[kind] if kind in (tokenize.INDENT, tokenize.DEDENT) else token.string
            before = token.string
    except (tokenize.TokenError, SyntaxError, RecursionError, ValueError):
        return
