"""Probe of question 1's log: reads submission_log.json within limits and says what it holds.

The file is a stranger's, and no code of the student's runs here: all that is read is reported as values, defects by
their kind and key. Nothing is compared with anything expected.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograder.sandbox.guest.contents import Contents, Missing
from autograder.sandbox.parts import pack

FILE = "submission_log.json"
MAX_BYTES = 8 * 1024**2
"""XSum's whole test set with two models' summaries takes 5 MB."""
MAX_LEVELS = 50
"""Of nesting anywhere in the file, which has three."""
MAX_DEPTH = 6
"""Of a module's value."""
MAX_ENTRIES = 60
MAX_NUMBERS = 200_000
"""In one value; the frame to the judge holds 16 MB."""
MAX_TOTAL = 1_000_000
MAX_NAME = 100
MAX_TEXTS, MAX_CHARACTERS = 12_000, 5_000
MAX_CELLS = 40_000_000
"""Of all tables of the longest common subsequences together: some 4 s."""
MODULES = ("transformer_layer.", "transformer_stack.")
MODELS = ("scratch", "t5")
ROUGE = ("rouge1", "rouge2", "rougeL")
OWN = ("torch", "transformers", "device", "data", "references", *(f"{m}.{k}" for m in MODELS for k in ("predictions",)))
"""Keys that only our notebook writes."""


def log(_given: Mapping[str, Any], student: Contents) -> dict[str, Any]:
    """What the file holds: `file.*` (its form), `entries` (modules' outputs), `rouge.*`, `print.*` (digests).

    `file.kind` is "" where the file is a JSON object, else what keeps it from being one, and then nothing else is told.
    """
    if FILE in student.absent:
        raise Missing(f"{FILE} is not in the upload")
    with (student.workspace / FILE).open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        return {"file.kind": "large", "file.limit": MAX_BYTES // 1024**2}
    text, encoding = decoded(data)
    found = parsed(text)
    if isinstance(found, dict):
        return {**found, "file.encoding": encoding}
    tree = found.tree
    entries = list(_entries(tree))
    odd = next(_not_finite_elsewhere(tree, entries), ("", ""))
    seen: dict[str, Any] = {
        "file.kind": "",
        "file.encoding": encoding,
        "file.own": any(key in tree for key in OWN) or any(key.startswith(MODULES[1]) for key in tree),
        "file.device": _short(device) if isinstance(device := tree.get("device"), str) else "",
        "file.twice": len(found.twice),
        "file.twice_key": _short(next(iter(found.twice), "")),
        "file.entries": len(entries),
        "file.odd_key": _short(odd[0]),
        "file.odd": odd[1],
    }
    total = 0
    outputs = []
    for name in entries[:MAX_ENTRIES]:
        entry, count = _entry(tree, name, MAX_TOTAL - total)
        total += count
        outputs.append(entry)
    scored = {f"rouge.{key}": value for key, value in rouge(tree).items()}
    claims = [tree.get(f"{model}.rouge") for model in MODELS]
    values = [[name, tree.get(f"{name}.shape"), tree.get(f"{name}.value")] for name in sorted(entries)]
    texts = [tree.get(key) for key in ("references", *(f"{model}.predictions" for model in MODELS))]
    return {
        **seen,
        **pack(entries=outputs),
        **scored,
        "print.log": _digest([tree.get("time"), values, claims]),
        "print.predictions": _digest(texts) if any(texts) else "",
    }


def _short(text: str) -> str:
    """A key as it may be told: the frame's header is small."""
    return text[:MAX_NAME].encode("utf-8", "replace").decode()


def _digest(tree: Any) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


# --------------------------------------------------------------------------------------------- the file


MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # begins with UTF-16's mark
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF32_BE: "utf-32",
}


def decoded(data: bytes) -> tuple[str, str]:
    """The text, and a name where it is not plain UTF-8: "utf-16", "utf-32", or "bytes" with the odd ones replaced.

    Programs on Windows write such files; ROUGE sees the letters a to z and digits only, which all of them share.
    """
    for mark, name in MARKS.items():
        if data.startswith(mark):
            text = data.decode("utf-8-sig" if name == "utf-8" else name, "replace")
            return text, "" if name == "utf-8" else name
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace"), "bytes"


@dataclass
class Parsed:
    """A JSON object, and the keys that it holds more than once."""

    tree: dict[str, Any] = field(default_factory=dict)
    twice: dict[str, None] = field(default_factory=dict)


CUT = re.compile(r"[-+.\deEtrufalsn]{0,24}\s*")
"""What a file that ends in the middle of a value can leave."""


def parsed(text: str) -> Parsed | dict[str, Any]:
    """The object in this text, or what keeps it from being one: `file.kind`, `file.line`, `file.column`."""
    found = Parsed()

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        tree = dict(items)
        if len(tree) != len(items):
            known: set[str] = set()
            for key, _ in items:
                if key in known:
                    found.twice[key] = None
                known.add(key)
        return tree

    try:
        tree = json.loads(text, object_pairs_hook=pairs, parse_int=_integer, parse_constant=Constant)
    except json.JSONDecodeError as error:
        ended = error.msg.startswith("Unterminated string") or CUT.fullmatch(text, error.pos) is not None
        kind = "empty" if not text.strip() else "cut" if ended else "syntax"
        return {"file.kind": kind, "file.line": error.lineno, "file.column": error.colno}
    except (RecursionError, MemoryError):
        return {"file.kind": "deep"}
    if _is_deep(tree):
        return {"file.kind": "deep"}
    if not isinstance(tree, dict):
        return {"file.kind": "top", "file.found": kind_of(tree)}
    found.tree = tree
    return found


def _is_deep(tree: Any) -> bool:
    """Whether it is nested deeper than MAX_LEVELS: what walks through it later may then recurse."""
    level = [tree]
    for _ in range(MAX_LEVELS):
        level = [below for one in level if isinstance(one, list | dict) for below in _below(one)]
    return bool(level)


def _below(one: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one


def _integer(digits: str) -> int | float:
    """Python's own conversion of very many digits is slow; beyond a float's range they are infinite."""
    return int(digits) if len(digits) <= 20 else float(digits)


class Constant(float):
    """NaN or an infinity by its name, which is no JSON. It is read as it is meant, so that its key can be told."""


def kind_of(value: Any) -> str:
    """JSON's word for a value's type."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _not_finite_elsewhere(tree: Mapping[str, Any], entries: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The keys outside of the modules' entries below which no finite number stands, and what does."""
    own = {f"{name}.{part}" for name in entries for part in ("shape", "value")}
    for key, value in tree.items():
        todo = [] if key in own else [value]
        while todo:
            one = todo.pop()
            if isinstance(one, float) and not math.isfinite(one):
                named = "NaN" if math.isnan(one) else "an infinity"
                yield key, named if isinstance(one, Constant) else "a number that is too large for double precision"
                break
            if isinstance(one, list | dict):
                todo += _below(one)


# -------------------------------------------------------------------------------------- modules' outputs


def _entries(tree: Mapping[str, Any]) -> Iterator[str]:
    """The names before .shape and .value, each once, in the file's order."""
    known: set[str] = set()
    for key in tree:
        name, _, part = key.rpartition(".")
        if key.startswith(MODULES) and part in ("shape", "value") and name not in known:
            known.add(name)
            yield name


def _entry(tree: Mapping[str, Any], name: str, left: int) -> tuple[dict[str, Any], int]:
    """One entry: `name`, `shape` and `value` (flat, float64) with its own `nested` shape; or a `defect`, `found`."""
    told: dict[str, Any] = {"name": _short(name)}
    shape, value = tree.get(f"{name}.shape"), tree.get(f"{name}.value")
    if f"{name}.shape" in tree:
        if not isinstance(shape, list):
            return {**told, "defect": "shape_kind", "found": kind_of(shape)}, 0
        if len(shape) > MAX_DEPTH or any(type(size) is not int or not 0 < size < 2**31 for size in shape):
            return {**told, "defect": "shape"}, 0
        told["shape"] = np.array(shape, np.int64)
    if f"{name}.value" not in tree:
        return {**told, "defect": "no_value"}, 0
    numbers, nested, defect = flattened(value, min(MAX_NUMBERS, left))
    if defect:
        return {**told, "defect": defect}, 0
    return {**told, "value": np.array(numbers), "nested": np.array(nested, np.int64)}, len(numbers)


def flattened(value: Any, most: int) -> tuple[list[float], list[int], str]:
    """A nested list's numbers and its shape ([] of a single number); the third is what is wrong with it, or ""."""
    numbers: list[Any] = [value]
    nested: list[int] = []
    while any(isinstance(one, list) for one in numbers):
        if len(nested) == MAX_DEPTH:
            return [], [], "deep"
        if not all(isinstance(one, list) for one in numbers) or len({len(one) for one in numbers}) > 1:
            return [], [], _odd(numbers) or "ragged"
        nested.append(len(numbers[0]))
        if len(numbers) * nested[-1] > most:
            return [], [], "large"
        numbers = [one for many in numbers for one in many]
    defect = _odd(numbers) or ("" if numbers else "ragged")
    return ([] if defect else [float(one) for one in numbers]), nested, defect


def _odd(values: Sequence[Any]) -> str:
    """The defect of the first among these that is neither a list nor a finite number."""
    for one in values:
        if isinstance(one, list):
            continue
        if type(one) not in (int, float, Constant):
            return {str: "text", type(None): "null", bool: "bool"}.get(type(one), "object")
        if not math.isfinite(one):
            return "not_finite"
    return ""


# ------------------------------------------------------------------------------------------------- ROUGE


def rouge(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The texts' F-measures in percent, and the log's claims: "scratch.rouge1" (documents,), "scratch.claim.rouge1".

    "scratch.next" (documents,) is ROUGE-1 of each reference with the prediction for the next document, the first one
    being next to the last; "different.scratch" counts the predictions that differ. `defect.<key>` is what is wrong
    with a list of texts or with a model's claims. `same.*` counts documents.
    """
    seen: dict[str, Any] = {}
    for model in MODELS:
        seen |= {f"{model}.{key}": value for key, value in _claims(tree.get(f"{model}.rouge")).items()}
    references = tree.get("references")
    seen["defect.references"] = defect = _not_texts(references)
    texts: dict[str, list[str]] = {}
    for model in MODELS:
        own = tree.get(f"{model}.predictions")
        wrong = _not_texts(own)
        if not wrong and not defect and len(own) != len(references):  # type: ignore[arg-type]
            wrong = f"length {len(own)}"  # type: ignore[arg-type]
        seen[f"defect.{model}"] = wrong
        if not wrong and not defect:
            texts[model] = own  # type: ignore[assignment]
    if not isinstance(references, list) or defect:
        return seen
    seen["documents"] = len(references)
    if texts:
        try:
            tokens, score, words = _scorer()
        except ImportError:
            return {**seen, "missing": True}
        # Only the counts matter here, and the table's rows and columns are one token each.
        cells = sum(
            len(tokens(r)) * len(tokens(p)) for own in texts.values() for r, p in zip(references, own, strict=True)
        )
        if cells > MAX_CELLS:
            return {**seen, **{f"defect.{model}": "work" for model in texts}}
        for model, own in texts.items():
            rows = [score(reference, prediction) for reference, prediction in zip(references, own, strict=True)]
            seen |= {f"{model}.{name}": 100 * np.array([row[name] for row in rows]) for name in ROUGE}
            seen[f"same.{model}"] = sum(map(str.__eq__, references, own))
            seen[f"different.{model}"] = len(set(own))
            following = zip(references, [*own[1:], *own[:1]], strict=True)
            seen[f"{model}.next"] = 100 * np.array([words(reference, text)["rouge1"] for reference, text in following])
        if len(texts) == len(MODELS):
            seen["same.both"] = sum(map(str.__eq__, *texts.values()))
    return seen


def _claims(found: Any) -> dict[str, Any]:
    """A model's claimed ROUGE: `claim.rouge1` ..., and `wrong.rouge1` ... for what is no finite number."""
    if not isinstance(found, dict):
        return {"claims": "missing" if found is None else kind_of(found)}
    told: dict[str, Any] = {"claims": ""}
    for name in ROUGE:
        claim = found.get(name)
        if not isinstance(claim, int | float) or isinstance(claim, bool):
            told[f"wrong.{name}"] = kind_of(claim) if name in found else "missing"
        elif not math.isfinite(claim) or abs(claim) > 1e6:
            told[f"wrong.{name}"] = "not a finite number"
        else:
            told[f"claim.{name}"] = float(claim)
    return told


def _not_texts(found: Any) -> str:
    """Why this is no list of texts that can be scored, or ""."""
    if found is None:
        return "missing"
    if not isinstance(found, list):
        return f"kind {kind_of(found)}"
    if not found:
        return "empty"
    if len(found) > MAX_TEXTS:
        return f"many {len(found)}"
    for index, text in enumerate(found):
        if not isinstance(text, str):
            return f"item {index} {kind_of(text)}"
        if len(text) > MAX_CHARACTERS:
            return f"long {index}"
    return ""


Score = Callable[[str, str], dict[str, float]]


def warm() -> None:
    """Imports rouge-score where workers are forked from: once, and not in each of them."""
    _scorer()


def _scorer() -> tuple[Callable[[str], list[str]], Score, Score]:
    """The words of a text, the F-measures of a pair, and its ROUGE-1 alone, by rouge-score with its stemmer."""
    with _left_out("scipy", "sklearn", "pandas", "matplotlib"):
        # nltk, whose stemmer it is, would draw these in for parts that are not used here: 1.4 s in place of 0.2 s.
        from rouge_score.rouge_scorer import RougeScorer
        from rouge_score.tokenizers import DefaultTokenizer

    tokens = cache(DefaultTokenizer(use_stemmer=True).tokenize)

    def score_of(*names: str) -> Score:
        scorer = RougeScorer(list(names), tokenizer=SimpleNamespace(tokenize=tokens))
        return lambda reference, prediction: {
            name: row.fmeasure for name, row in scorer.score(reference, prediction).items()
        }

    return tokens, score_of(*ROUGE), score_of(ROUGE[0])


@contextmanager
def _left_out(*names: str) -> Iterator[None]:
    """While it lasts, importing one of these fails as if it were not installed; what was imported before stays."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
