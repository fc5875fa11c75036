"""Which newer Python a piece of source text needs that this one cannot compile: told by its constructs, run by nobody.

A construct counts only if the text compiles here once it is replaced by its older equivalent. So nothing that is simply
misspelt is ever taken for newer Python. What is known: f-strings of PEP 701, type statements and parameters of PEP 695
(3.12), defaults of type parameters (PEP 696, 3.13), template strings (PEP 750) and except without parentheses (PEP 758,
3.14), lazy imports (PEP 810) and unpacking in comprehensions (PEP 798, 3.15).
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

Version = tuple[int, int]
MOST = 1_000_000
"""Characters of a text that are looked at: no student writes more by hand."""
DEEPEST = 20
"""Strings within strings."""
PIECE = re.compile(
    r"(?P<comment>\#[^\n]*)|(?P<joined>\\\r?\n)"
    r"|(?P<string>(?i:[bru]|br|rb|f|fr|rf|t|tr|rt)?(?P<quote>'''|\"\"\"|'|\"))"
    r"|(?P<name>[^\W\d]\w*)|(?P<number>\d[\w.]*)|(?P<space>[ \t\f\r]+)|(?P<end>\n)|(?P<stars>\*+)"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<other>.)",
    re.DOTALL,
)
WORDS = re.compile(r"(?:lambda|if|else|and|or|not|in|is|for|return|yield|await|async|from|import|print|case)\b")


class _Unsure(Exception):
    """The text is no Python that is known here."""


def needs(text: str, *, running: Version = sys.version_info[:2]) -> Version | None:
    """The Python version that `text` needs, if that is newer than `running` and certain; else None.

    `text` is whole statements, without what Jupyter alone understands. Never raises.
    """
    try:
        if len(text) > MOST:
            return None
        older, found = _older(text.replace("\r\n", "\n").replace("\r", "\n"), 0)
        version = max(found, default=(0, 0))
        return version if version > running and _compiles(older, "exec") else None
    except (_Unsure, RecursionError, MemoryError):
        return None


def _compiles(text: str, mode: str) -> bool:
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<text>", mode, flags, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


@dataclass
class _Token:
    """A piece of the text with its place; `older` is what stands for it in the older text."""

    kind: str
    text: str
    older: str = ""
    version: Version = (0, 0)


def _older(text: str, depth: int) -> tuple[str, list[Version]]:
    """The text with every newer construct replaced by an older one, and the versions of those that were."""
    tokens, at = [], 0
    while at < len(text):
        match = PIECE.match(text, at)
        assert match is not None
        at = match.end()
        token = _Token(str(match.lastgroup if match["quote"] is None else "string"), match[0], match[0])
        if token.kind == "string":
            begin = match.start()
            prefix = match[0].removesuffix(match["quote"]).lower()
            at, token.version = _string(text, at, prefix, match["quote"], depth)
            token.text = token.older = text[begin:at]
            if token.version != (0, 0):
                token.older = "b''" if "t" in prefix else "''"  # bytes: neither may stand beside a string
        tokens.append(token)
    _statements(tokens)
    return "".join(token.older for token in tokens), [token.version for token in tokens if token.version != (0, 0)]


# ------------------------------------------------------------------------------------------- strings


def _string(text: str, at: int, prefix: str, quote: str, depth: int) -> tuple[int, Version]:
    """Where the string ends whose text begins at `at`, and the version that it needs, (0, 0) where any will do."""
    fields = "f" in prefix or "t" in prefix
    version: Version = (3, 14) if "t" in prefix else (0, 0)
    if depth > DEEPEST:
        raise _Unsure
    while at < len(text):
        if text.startswith(quote, at):
            return at + len(quote), version
        if text[at] == "\\":
            if fields and "r" not in prefix and text.startswith("N{", at + 1):
                at = text.find("}", at)
                if at < 0:
                    raise _Unsure
            # before a brace it is a character of its own: the brace begins a field
            at += 1 if fields and text[at + 1 : at + 2] in ("{", "}") else 2
        elif text[at] == "\n" and len(quote) == 1:
            raise _Unsure
        elif fields and text[at] in "{}":
            if text[at + 1 : at + 2] == text[at]:
                at += 2
            elif text[at] == "}":
                raise _Unsure
            else:
                at, needed = _field(text, at + 1, prefix, quote, depth + 1)
                version = max(version, needed)
        else:
            at += 1
    raise _Unsure


def _field(text: str, at: int, prefix: str, quote: str, depth: int, *, level: int = 1) -> tuple[int, Version]:
    """Where the replacement field ends whose expression begins at `at`, behind its brace; and what it needs."""
    if depth > DEEPEST:
        raise _Unsure
    begin, closing, version = at, list[str](), (0, 0)
    while True:
        match = PIECE.match(text, at)
        if match is None:
            raise _Unsure
        piece = match[0]
        if match["quote"] is not None:
            inner = piece.removesuffix(match["quote"]).lower()
            at, needed = _string(text, match.end(), inner, match["quote"], depth)
            version = max(version, needed)
        elif (not closing and (piece in "}:" or (piece == "!" and text[at + 1 : at + 2] != "="))) or (
            not closing and piece == "=" and re.match(r"=\s*[}:!]", text[at : at + 200]) and text[at - 1] not in "=!<>"
        ):
            break
        else:
            if match["open"]:
                closing.append({"(": ")", "[": "]", "{": "}"}[piece])
            elif match["close"] and (not closing or closing.pop() != piece):
                raise _Unsure
            at = match.end()
    expression = text[begin:at]
    older, found = _older(f"({expression}\n)", depth)
    if not expression.strip() or not _compiles(older, "eval"):
        raise _Unsure
    # what Python 3.11 allows in an expression: no backslash, no comment, no quotation mark of the string's own, and in
    # a string of one line no further line
    alone = "\\" in expression or "#" in expression or quote in expression
    if alone or (len(quote) == 1 and "\n" in expression):
        version = max(version, (3, 12))
    version = max([version, *found])
    rest = re.compile(r"=?\s*(?:![rsa]\s*)?").match(text, at)
    at = rest.end() if rest else at
    if text.startswith(":", at):
        if level > 1:
            version = max(version, (3, 12))  # deeper than two was no syntax
        at, needed = _format(text, at + 1, prefix, quote, depth, level)
        version = max(version, needed)
    if not text.startswith("}", at):
        raise _Unsure
    return at + 1, version


def _format(text: str, at: int, prefix: str, quote: str, depth: int, level: int) -> tuple[int, Version]:
    """Where the format behind a field's colon ends: at its closing brace."""
    version: Version = (0, 0)
    while at < len(text) and text[at] != "}":
        if text.startswith(quote, at) or (text[at] == "\n" and len(quote) == 1):
            raise _Unsure
        if text[at] == "{":
            if level > 2:
                raise _Unsure
            at, needed = _field(text, at + 1, prefix, quote, depth + 1, level=level + 1)
            version = max(version, needed)
        else:
            at += 1
    return at, version


# ----------------------------------------------------------------------------------------- statements


@dataclass
class _Bracket:
    """An open one: its place, that of the star that begins its first element, whether it is still in the first."""

    place: int
    star: int = -1
    first: bool = True


def _statements(tokens: Sequence[_Token]) -> None:
    """Marks what is newer in statements, and writes what is older into the tokens."""
    brackets: list[_Bracket] = []
    begins, before = True, -1  # whether a statement begins here; the last token that means something
    for place, token in enumerate(tokens):
        if token.kind in ("comment", "joined", "space"):
            continue
        if token.kind == "end":
            begins = begins or not brackets
            continue
        if token.kind == "open":
            brackets.append(_Bracket(place))
        elif token.kind == "close":
            if not brackets:
                raise _Unsure
            brackets.pop()
        elif brackets:
            _element(tokens, place, before, brackets[-1])
        elif begins:
            _statement(tokens, place)
        begins = not brackets and token.text in (";", ":")
        before = place


def _element(tokens: Sequence[_Token], place: int, before: int, inside: _Bracket) -> None:
    """Unpacking in a comprehension: [*row for row in rows], {**one for one in many}."""
    token = tokens[place]
    if token.text == ",":
        inside.first = False
    elif token.kind == "stars" and before == inside.place:
        inside.star = place
    elif token.text in ("for", "async") and inside.star >= 0 and inside.first:
        at = inside.place - 1
        while at >= 0 and tokens[at].kind in ("space", "joined"):
            at -= 1
        if at >= 0 and tokens[at].kind in ("name", "close", "string") and not WORDS.fullmatch(tokens[at].text):
            raise _Unsure  # an argument of a call
        stars = tokens[inside.star]
        if tokens[inside.place].text + stars.text not in ("[*", "{*", "{**", "(*"):
            raise _Unsure
        stars.older, stars.version, inside.star = " ", (3, 15), -1


def _statement(tokens: Sequence[_Token], place: int) -> None:
    """Replaces what is newer in the statement that begins at `place`."""
    line = _line(tokens, place)
    words = [at for at in line if tokens[at].kind not in ("space", "joined", "comment", "end")]
    texts = [tokens[at].text for at in words]
    if texts[:1] == ["async"]:
        words, texts = words[1:], texts[1:]
    following = texts[2] if len(texts) > 2 else ""
    if texts[0:1] == ["type"] and len(texts) > 3 and tokens[words[1]].kind == "name" and following in ("=", "["):
        _mark(tokens, words[0], (3, 12))
        if following == "[":
            _parameters(tokens, words, 2)
    elif texts[0:1] in (["def"], ["class"]) and following == "[":
        _parameters(tokens, words, 2)
    elif texts[0:1] == ["lazy"] and len(texts) > 2 and texts[1] in ("import", "from"):
        _mark(tokens, words[0], (3, 15))
    elif texts[0:1] == ["except"]:
        _handler(tokens, words)


def _line(tokens: Sequence[_Token], place: int) -> list[int]:
    """The places of the logical line's tokens from here on, up to its end or a colon or semicolon behind it."""
    found, depth = [], 0
    for at in range(place, len(tokens)):
        token = tokens[at]
        if depth == 0 and (token.kind == "end" or token.text in (";", ":")):
            break
        depth += (token.kind == "open") - (token.kind == "close")
        found.append(at)
    return found


def _mark(tokens: Sequence[_Token], at: int, version: Version) -> None:
    """Takes away the word at `at`, which begins a statement of that version."""
    tokens[at].older, tokens[at].version = "", version
    while at + 1 < len(tokens) and tokens[at + 1].kind in ("space", "joined"):  # no indentation is left behind
        at += 1
        tokens[at].older = ""


def _parameters(tokens: Sequence[_Token], words: Sequence[int], first: int) -> None:
    """Takes away the type parameters whose bracket is word `first`: [T, S: int = bool, *Ts, **P]."""
    depth, last = 0, -1
    for count, at in enumerate(words[first:], first):
        depth += (tokens[at].kind == "open") - (tokens[at].kind == "close")
        if depth == 0:
            last = count
            break
    if last < 0:
        raise _Unsure
    inner = "".join(token.older for token in tokens[words[first] + 1 : words[last]])
    # the same rules as a function's parameters have, but that a default may follow a starred one: taken one by one
    version: Version = (3, 12)
    parts = _split(inner)
    for part in parts:
        match = re.fullmatch(
            r"\s*(\*{0,2})\s*([^\W\d]\w*)\s*(?::(?P<bound>[^=]*))?(?:=(?!=)(?P<default>.*))?\s*", part, re.DOTALL
        )
        if match is None or (match[1] and match["bound"] is not None):
            raise _Unsure
        if match["default"] is not None:
            version = (3, 13)
        for piece in (match["bound"], match["default"]):
            starred = piece is not None and match[1] == "*" and piece.strip().startswith("*")
            if piece is not None and not (piece.strip() and _compiles(f"({piece}\n{',' if starred else ''})", "eval")):
                raise _Unsure
    if not parts:
        raise _Unsure
    for at in range(words[first], words[last] + 1):
        tokens[at].older, tokens[at].version = "", (0, 0)
    tokens[words[first]].version = version


def _split(text: str) -> list[str]:
    """At the commas outside of brackets and strings; nothing behind a last one."""
    parts, depth, begin = [], 0, 0
    at = 0
    while at < len(text):
        match = PIECE.match(text, at)
        assert match is not None
        at = match.end()
        if match["quote"] is not None:
            prefix = match[0].removesuffix(match["quote"]).lower()
            at, _ = _string(text, at, prefix, match["quote"], 1)
        elif match["open"]:
            depth += 1
        elif match["close"]:
            depth -= 1
        elif match[0] == "," and depth == 0:
            parts.append(text[begin : match.start()])
            begin = at
    return parts + ([text[begin:]] if text[begin:].strip() else [])


def _handler(tokens: Sequence[_Token], words: Sequence[int]) -> None:
    """except A, B: without parentheses. Python 2 wrote `except A, name:` for what is `as name` today: unsure."""
    begin = 2 if len(words) > 1 and tokens[words[1]].text == "*" else 1
    rest = words[begin:]
    if not rest:
        return
    depth, commas = 0, []
    for at in rest:
        depth += (tokens[at].kind == "open") - (tokens[at].kind == "close")
        if depth == 0 and tokens[at].text == ",":
            commas.append(at)
        if depth == 0 and tokens[at].text == "as" and commas:
            raise _Unsure
    if not commas:
        return
    last = [tokens[at].text for at in rest if at > commas[-1]]
    if len(commas) == 1 and ((len(last) == 1 and not last[0][:1].isupper()) or tokens[rest[0]].kind == "open"):
        raise _Unsure
    tokens[rest[0]].older = f"({tokens[rest[0]].older}"
    tokens[rest[-1]].older = f"{tokens[rest[-1]].older})"
    tokens[words[0]].version = (3, 14)
