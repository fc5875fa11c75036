"""Fingerprints of code that stay the same when names, comments and layout change: workers take the submission's.

Winnowing (Schleimer, Wilkerson and Aiken, SIGMOD 2003, figure 5): the tokens of a file, names of the author's
own replaced by one, are hashed in windows of `GRAM`; of each `WINDOW` neighbouring hashes the least is kept. Any
run of `GRAM + WINDOW - 1` tokens that two files share leaves a common fingerprint.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice

import numpy as np

from autograder.core import Array

GRAM, WINDOW = 12, 8
MAX_FILES, MAX_KEPT, MAX_TOKENS = 40, 2000, 200_000
BASE = np.uint64(0x9E3779B97F4A7C15)
"""Of the polynomial (modulo 2^64) that makes one hash of a gram's: odd, so that no token's place is lost."""
# Python's own tokenizer takes ten times as long, and ends where a student's code is no Python.
TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
    | (?P<text>[bfru]{0,2}(?:
        \"{3}(?:\\.|[^\\]){0,4000}?\"{3} | '{3}(?:\\.|[^\\]){0,4000}?'{3}
        | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' ))
    | (?P<name>[^\W\d]\w*)
    | \d[\w.]*
    | ->|:=|(?:\*\*|//|<<|>>|[-+*/%&|^@<>=!])=?
    | [^\w\s]
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


def of_texts(texts: Iterable[str]) -> Array:
    """The fingerprints (n,) int64 of one file's code, sorted: of a module's text, or of a notebook's cells."""
    read = islice((token for text in texts for token in tokens(text)), MAX_TOKENS)
    each = np.fromiter(map(_hash, read), np.uint64)
    if len(each) < GRAM:
        return np.empty(0, np.int64)
    powers = np.full(GRAM, BASE).cumprod(dtype=np.uint64)
    count = len(each) - GRAM + 1  # modulo 2^64 a sum has no order: along the file it takes a quarter of the time
    sums = np.add.reduce([power * each[at : at + count] for at, power in enumerate(powers)])
    hashes: Array = sums.view(np.int64)
    if len(hashes) > WINDOW:
        count = len(hashes) - WINDOW + 1
        hashes = np.minimum.reduce([hashes[at : at + count] for at in range(WINDOW)])
    kept, first = np.unique(hashes, return_index=True)
    return kept[first <= np.partition(first, MAX_KEPT - 1)[MAX_KEPT - 1]] if len(kept) > MAX_KEPT else kept


@cache
def _hash(token: str) -> int:
    return int.from_bytes(hashlib.blake2b(token.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def tokens(text: str) -> Iterator[str]:
    """The tokens of some code without comments and layout; lines that only a notebook understands are passed over.

    Keywords, operators, numbers and what stands behind a dot (the library's names) are kept; other names are "n" and
    texts "s".
    """
    python = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith(("%", "!", "?")))
    before = ""
    for found in TOKEN.finditer(python):
        token, kind = found[0], found.lastgroup
        if kind == "comment":
            continue
        if kind == "text":
            yield "s"
        elif kind == "name" and before != "." and not keyword.iskeyword(token):
            yield "n"
        else:
            yield token
        before = token
