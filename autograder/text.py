"""Text of strangers, made fit to be shown: no control characters, no escape codes, no long numbers."""

from __future__ import annotations

import re
import unicodedata

_LONG_NUMBER = re.compile(
    r"[-+]?\d*\.\d{3,}(?:e[-+]?\d+)?|\d{12,}|0x[\da-f]{5,}|(?=\d*[a-f])(?=[a-f]*\d)[\da-f]{8,}", re.IGNORECASE
)
_PLAIN = re.compile(r"[\n\t\x20-\x7e]*")
_BRACKETS = str.maketrans("<>", "‹›")


def many(count: int, noun: str) -> str:
    """`1 file`, `2 files`, `2 processes`."""
    return f"{count} {noun}" + ("" if count == 1 else "es" if noun.endswith("s") else "s")


def shown(points: float) -> str:
    """Points as people read them: with at most two decimals."""
    return f"{points:.2f}".rstrip("0").rstrip(".")


def clean(text: str, *, limit: int = 16 * 1024, line: bool = False, numbers: bool = False) -> str:
    """`text` without control, format and private characters, cut to at most `limit` at the end of a word.

    With `line=True` it becomes one line for a student's feedback: numbers with more than two decimals,
    which could be hidden inputs, are masked, also in hexadecimal, but where `numbers` says that nothing hidden was
    there to be told; angle brackets, which begin HTML, are replaced by others that look alike.
    """
    kept = text[: limit * 2]
    if _PLAIN.fullmatch(kept) is None:  # most text is plain, and to look at each character takes long
        kept = "".join(
            character
            for character in kept
            if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")
        )
    if line:
        kept = " ".join(kept.split()).translate(_BRACKETS)
        kept = kept if numbers else _LONG_NUMBER.sub("#", kept)
    return kept if len(kept) <= limit else _cut(kept, limit)


def _cut(text: str, limit: int) -> str:
    """Ends at a word, unless that would leave less than half: then the word is as good as endless."""
    kept = text[: limit - 1]
    at = len(kept) if text[limit - 1].isspace() else max(kept.rfind(" "), kept.rfind("\n"))
    return (kept[:at].rstrip() if at > limit // 2 else kept) + "…"
