"""Asks and judges submission_log.json: the modules' outputs in it, its ROUGE figures, and which model is better.

No code of the student's runs: a worker reads the file within limits (`log/probes.py`) and says what it holds.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from autograder.core import Array, CheckFailed, Request, Specs, Trial, Values, Verdict
from autograder.hw11.answers.declared import claims
from autograder.hw11.summarization import transformer
from autograder.judging.judges import apart, array, tolerance_ratio, whole
from autograder.judging.stats import UNIT
from autograder.sandbox.parts import items, take
from autograder.sandbox.returns import count as times
from autograder.sandbox.returns import declared, flag, numbers, text
from autograder.text import clean

FILE = "submission_log.json"
MODELS = MappingProxyType({"scratch": "the from-scratch model", "t5": "T5"})
ROUGE = ("rouge1", "rouge2", "rougeL")
ENTRIES = 60
"""Modules' outputs that the probe hands on."""
SHOWN = 3
"""Sentences about defects in one message."""
FEW = 20
"""Documents below which the staff is told how few there are, and an interval of their mean says little."""


def _nothing(_rng: Generator) -> Values:
    return {}


DOCUMENTS, NUMBERS = 12_000, 200_000
"""Of all texts and of one module's output: more the probe does not read."""


def _returns(_given: Values) -> Specs:
    words, key, sizes = text(60), text(100), numbers(None, most=6, dtypes="i")
    specs = {
        **dict.fromkeys(("file.kind", "file.encoding", "file.found", "print.log", "print.predictions"), words),
        **dict.fromkeys(("file.device", "file.twice_key", "file.odd_key", "file.odd"), key),
        **dict.fromkeys(("file.line", "file.column", "file.limit", "file.twice", "file.entries"), times(10**7)),
        "file.own": flag(),
        "rouge.missing": flag(),
        "rouge.documents": times(DOCUMENTS),
        "rouge.same.both": times(DOCUMENTS),
        **{f"rouge.{name}": spec for name, spec in claims().items()},
    }
    entry = {"name": key, "defect": words, "found": words, "shape": sizes, "nested": sizes}
    entry["value"] = numbers(None, most=NUMBERS, dtypes="f")
    specs |= declared(entries=ENTRIES * [entry])
    for model in MODELS:
        specs |= {f"rouge.{model}.{name}": numbers(None, most=DOCUMENTS, dtypes="f") for name in (*ROUGE, "next")}
        specs |= {f"rouge.{name}.{model}": times(DOCUMENTS) for name in ("same", "different")}
    return specs


LOG = Request(
    "log.probes:log", _nothing, seconds=60.0, deterministic=True, file=FILE, returns=_returns, reads=True, needs=(FILE,)
)

# ---------------------------------------------------------------------- what the notebook's tests give

D_MODEL, HEADS, D_FFN, LAYERS, VOCABULARY, POSITIONS = 8, 2, 16, 2, 11, 12
BOUNDS = MappingProxyType({"layer": (0.0001, 0.04), "stack": (0.0004, 0.13)})
"""How far a right output may be from ours, which is of float64: on a CPU, and elsewhere.

On a CPU all is float32. A GPU may be told to use TensorFloat-32, which rounds both factors of every product in a
matrix product to 11 bits, u = 2^-11, so that each entry of a product a b errs by at most (2u + u^2) |a| |b| more. To
first order an output errs by at most the sum of all these errors times the sizes of its derivatives by them. At worst
that is, on a CPU and with TensorFloat-32, 0.00002 and 0.0088 in the encoder's layer, 0.00004 and 0.0162 in the
decoder's, 0.00016 and 0.063 in the stack of two: tests/hw11/test_log.py works it out by automatic differentiation.
Twice that covers the terms of higher order; random roundings use a fifth of it at most. Of mistakes the smallest, lost
masks and the wrong number of heads, change an output by 0.005 and more, others by 0.07 to 4: the first kind shows in
logs from a CPU only."""
DECIMALS = 0.00051
"""What rounding to three decimals changes, and float32's own; the notebook rounds to six."""


def filled(shape: tuple[int, ...], name: str) -> Array:
    """The parameter of this name as the notebook's tests set it: 0.3 sin(phase + 1.7 i), norms' weights 1 more."""
    phase = zlib.crc32(name.encode()) % 1000
    values: Array = 0.3 * np.sin(phase + 1.7 * np.arange(math.prod(shape))).reshape(shape)
    return 1.0 + values if name.endswith("_ln.weight") else values


def weights(decoder: bool, prefix: str = "") -> dict[str, Array]:
    """A layer's parameters by their names within the layer; `prefix` is what stands before them in a stack."""
    shapes: dict[str, tuple[int, ...]] = {}
    for block in ("self_attn", "cross_attn") if decoder else ("self_attn",):
        for part in "qkvo":
            shapes[f"{block}.{part}_proj.weight"] = (D_MODEL, D_MODEL)
            shapes[f"{block}.{part}_proj.bias"] = (D_MODEL,)
        shapes |= {f"{block}_ln.{part}": (D_MODEL,) for part in ("weight", "bias")}
    shapes |= {"fc1.weight": (D_FFN, D_MODEL), "fc1.bias": (D_FFN,), "fc2.weight": (D_MODEL, D_FFN)}
    shapes |= dict.fromkeys(("fc2.bias", "ffn_ln.weight", "ffn_ln.bias"), (D_MODEL,))
    return {name: filled(shape, prefix + name) for name, shape in shapes.items()}


X: Array = np.sin(0.7 * np.arange(80)).reshape(2, 5, 8)
MEMORY: Array = np.cos(0.9 * np.arange(64)).reshape(2, 4, 8)
PADDING: Array = np.array([[0, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
MEMORY_PADDING: Array = np.array([[0, 0, 0, 1], [0, 0, 0, 0]])
IDS: Array = np.array([[1, 3, 5, 7, 9], [1, 4, 6, 8, 10]])


@dataclass(frozen=True, eq=False)
class Output:
    """What a test of the notebook gives: the values, how far right ones may be off, which of them count."""

    value: Array
    bound: float
    counts: Array


@cache
def outputs(coarse: bool) -> Mapping[str, Output]:
    """By the name of the entry in the log. `coarse` stands for arithmetic that may be TensorFloat-32's."""
    layer, stack = (BOUNDS[name][coarse] for name in ("layer", "stack"))
    encoded = transformer.layer(X, weights(False), HEADS, padding=PADDING)
    memory = {"causal": True, "memory": MEMORY, "memory_padding": MEMORY_PADDING}
    decoded = transformer.layer(X, weights(True), HEADS, **memory)  # type: ignore[arg-type]
    shared = {
        "emb_word.weight": (VOCABULARY, D_MODEL),
        "emb_pos.weight": (POSITIONS, D_MODEL),
        "emb_ln.weight": (D_MODEL,),
        "emb_ln.bias": (D_MODEL,),
    }
    embedded = transformer.embed(IDS, {name: filled(shape, name) for name, shape in shared.items()}, UNIT).value
    layers = [weights(True, f"layers.{index}.") for index in range(LAYERS)]
    stacked = transformer.stack(embedded, layers, HEADS, **memory)  # type: ignore[arg-type]
    assert isinstance(encoded, np.ndarray) and isinstance(decoded, np.ndarray) and isinstance(stacked, np.ndarray)
    everywhere = np.ones((2, 5), bool)
    return {
        "transformer_layer.encoder.output": Output(encoded, layer, PADDING == 0),
        "transformer_layer.decoder.output": Output(decoded, layer, everywhere),
        "transformer_layer.cached.output": Output(decoded[:, -1:], layer, everywhere[:, -1:]),
        "transformer_layer.cached.cache": Output(X, 0.0, everywhere),  # the layer's inputs as they are
        "transformer_stack.decoder.output": Output(stacked, stack, everywhere),
        "transformer_stack.cached.output": Output(stacked[:, -1:], stack, everywhere[:, -1:]),
    }


# ------------------------------------------------------------------------------------------- the file


ENCODINGS = {
    "bytes": " Some bytes of it are not UTF-8, so those letters were replaced.",
    "utf-16": " It is in UTF-16 and was read that way.",
    "utf-32": " It is in UTF-32 and was read that way.",
}
WRITTEN = "Expected: the file that the last cell of the notebook writes, a single JSON object."


def _text(values: Values, name: str) -> str:
    """A text from the probe, which may quote the file: one line, fit to be shown."""
    value = values.get(name, "")
    return clean(value, limit=100, line=True) if isinstance(value, str) else ""


def opened(trial: Trial) -> Values:
    """What the probe says of the file's form. Raises `CheckFailed` where the file is no JSON object."""
    form = take(trial.got, "file")
    kind = form.get("kind")
    if kind == "":
        return form
    begin = f"{FILE} could not be read: "
    at = ""
    if kind in ("cut", "syntax"):
        at = f"line {whole(form, 'line', least=1, most=2**40)}, column {whole(form, 'column', least=1, most=2**40)}"
    told = {
        "large": f"it is larger than the limit of {form.get('limit')} MB.",
        "empty": "it is empty.",
        "cut": f"it ends in the middle of a value, after {at}. Was the download complete?",
        "syntax": f"it is not valid JSON at {at}.",
        "deep": "its lists or objects are nested too deeply.",
        "top": f"it holds {_text(form, 'found')}, but an object (a dict) was expected.",
    }
    sentence = told.get(kind if isinstance(kind, str) else "", "its content could not be read back.")
    raise CheckFailed(f"{begin}{sentence} {WRITTEN}", diagnosis="sum_log_unreadable")


def _notes(trial: Trial, name: str) -> tuple[str, ...]:
    digest = trial.got.get(f"print.{name}")
    return (f"{name}:{digest}",) if isinstance(digest, str) and digest.isalnum() else ()


# ------------------------------------------------------------------------------- the modules' outputs


def modules(trial: Trial) -> Verdict:
    """The share of the modules' outputs that are right; every other defect of the file's form counts as one more.

    The outputs of our notebook's tests are compared with what the judge computes. Others, the public notebook's, come
    from random weights: of these only what holds for all weights is judged.
    """
    form = opened(trial)
    number = whole(form, "entries", least=0, most=10**6)
    entries = [one for one in items(trial.got, "entries", min(number, ENTRIES)) if one]
    ours = form.get("own") is True
    wanted = outputs(form.get("device") != "cpu") if ours else {}
    named = {name: one for one in entries if isinstance(name := one.get("name"), str)}
    used, right, wrong = 0.0, 0, []
    for name in {**dict.fromkeys(wanted), **named}:
        try:
            entry = named.get(name)
            if entry is None:
                raise CheckFailed(
                    "is missing. The notebook leaves out the output of a test in which your code raised an exception."
                )
            used = max(used, _compared(entry, wanted[name]) if name in wanted else _plausible(name, entry))
            right += name in wanted or not ours
        except CheckFailed as fault:
            wrong.append((f"{clean(name, limit=80, line=True)} {fault}", fault.diagnosis))
    wrong += [(sentence, "sum_log_form") for sentence in _twice(form)]
    note = ENCODINGS.get(str(form.get("encoding")), "") + _beside(form)
    notes = _notes(trial, "log")
    if not named:
        return Verdict(
            0.0,
            f'{FILE} holds no module outputs. Expected: keys like "transformer_layer.encoder.output.shape" and '
            f'"transformer_layer.encoder.output.value".{note}',
            "sum_log_form",
            notes=notes,
        )
    if wrong:
        more = f" There are {len(wrong) - SHOWN} more faults of this kind." if len(wrong) > SHOWN else ""
        told = " ".join(sentence for sentence, _ in wrong[:SHOWN])
        counted = f"{right} of {right + len(wrong)} are right. " if right else ""
        message = f"Of the module outputs in {FILE}, {counted}{told}{more}{note}"
        if not counted:
            message = f"{told}{more}{note}"
        return Verdict(right / (right + len(wrong)), message, wrong[0][1] or "sum_log_form", notes=notes)
    if ours:
        message = f"All {right} outputs of the notebook's module tests are right.{note}"
    else:
        message = (
            f"All {right} entries hold finite numbers in the shapes that they name. The rows of whole outputs have "
            "mean 0 and variance 1, as after a LayerNorm. Nothing else can be compared, because the weights were "
            f"random.{note}"
        )
    return Verdict(1.0, message, tolerance_used=used, notes=notes)


DEFECTS = {
    "shape_kind": "has {found} for its shape. Expected: a list of whole numbers.",
    "shape": "has a shape that is not a list of at most 6 positive whole numbers.",
    "no_value": "has a shape but no value.",
    "text": "holds a text in its value. Expected: numbers, without quotation marks.",
    "null": "holds null in its value. Expected: numbers.",
    "bool": "holds true or false in its value. Expected: numbers.",
    "object": "holds an object in its value. Expected: numbers, or lists of them.",
    "not_finite": "holds NaN or an infinity, which JSON does not have. Expected: finite numbers.",
    "ragged": "has a value whose lists have different lengths or are empty.",
    "deep": "has a value with more than 6 levels of lists.",
    "large": "has a value with too many numbers.",
}


def _value(entry: Values) -> tuple[Array, list[int], list[int] | None]:
    """An entry's numbers, flat, the shape of the nested list, and the shape that the entry names, if it does."""
    defect = entry.get("defect")
    if defect:
        sentence = DEFECTS.get(str(defect), "could not be read.")
        raise CheckFailed(sentence.format(found=_text(entry, "found")), diagnosis="sum_log_form")
    value, nested, shape = (entry.get(name) for name in ("value", "nested", "shape"))
    if (
        not isinstance(value, np.ndarray)
        or not isinstance(nested, np.ndarray)
        or math.prod(nested.tolist()) != value.size
        or not np.isfinite(value).all()
    ):
        raise CheckFailed("holds a value that cannot be read. Expected: the output that the notebook wrote.")
    if np.abs(value).max(initial=0.0) > 1e30:
        raise CheckFailed("holds values beyond 1e30.", diagnosis="sum_log_form")
    return value, nested.tolist(), shape.tolist() if isinstance(shape, np.ndarray) else None


def _compared(entry: Values, want: Output) -> float:
    """The share of the tolerance that an output of our notebook's tests uses.

    Raises `CheckFailed` where it is too far.
    """
    value, nested, shape = _value(entry)
    right = list(want.value.shape)
    if shape is not None and shape != right:
        raise CheckFailed(f"has the shape {shape}. Expected: {right}.", diagnosis="sum_log_shape")
    if nested != right and nested != [want.value.size]:
        raise CheckFailed(f"holds a value of shape {nested}. Expected: {right}.", diagnosis="sum_log_shape")
    got = value.reshape(want.value.shape)[want.counts]
    used = tolerance_ratio(got, want.value[want.counts], want.bound + DECIMALS)
    if used > 1:
        worst = float(np.abs(got - want.value[want.counts]).max())
        raise CheckFailed(
            f"differs from the output of a right solution by up to {worst:.2g}. Expected: at most "
            f"{want.bound + DECIMALS:.2g}, which allows for rounding.",
            diagnosis="sum_log_value",
        )
    return used


MEAN, VARIANCE = 0.006, 0.021
"""A LayerNorm of weight 1 and bias 0 gives rows of mean 0 and variance s / (s + 1e-5), where s is its input's.

Values rounded to two decimals move a mean by at most 0.005, and a variance by at most 2 * 0.005 * mean(|y|) + 0.005^2
< 0.0101, as mean(|y|) <= 1. With s >= 0.001 the variance is above 0.99. The rest is float32's."""


def _plausible(name: str, entry: Values) -> float:
    """What holds for an entry of whatever weights: numbers of the shape that it names, rows of a LayerNorm."""
    value, nested, shape = _value(entry)
    output = name.rpartition(".")[2] in ("output", "outputs", "out")
    if output and shape is not None and len(shape) != 3:
        raise CheckFailed(f"has the shape {shape}. Expected: (batch, length, d_model).", diagnosis="sum_log_shape")
    if shape is None or nested == []:
        return 0.0  # a figure that sums the output up
    size = math.prod(shape)
    if nested == shape or (len(nested) == 1 and value.size == size):
        if output and shape[-1] > 1:
            rows = value.reshape(-1, shape[-1])
            used = max(tolerance_ratio(rows.mean(1), 0.0, MEAN), tolerance_ratio(rows.var(1), 1.0, VARIANCE))
            if used > 1:
                raise CheckFailed(
                    "has rows whose mean is not 0 or whose variance is not 1. Expected: mean 0 and variance 1, "
                    "because the layer ends in a LayerNorm.",
                    diagnosis="sum_log_value",
                )
            return used
    elif len(nested) > 1 or value.size > size:
        raise CheckFailed(f"names the shape {shape}, but its value has the shape {nested}.", diagnosis="sum_log_shape")
    return 0.0


def _twice(form: Values) -> Iterator[str]:
    """A key that is there more than once: of what belongs to no module, what leaves open what is meant."""
    if whole(form, "twice", least=0, most=10**9):
        yield f'The key "{_text(form, "twice_key")}" appears more than once.'


def _beside(form: Values) -> str:
    """A remark on a number under a key that nobody asks for: it costs nothing."""
    if not _text(form, "odd_key"):
        return ""
    return f' "{_text(form, "odd_key")}" holds {_text(form, "odd")}. No check reads it, so it costs nothing.'


# --------------------------------------------------------------------------------------------- ROUGE


CLAIMED = 0.05 + 0.01
"""Points (of 100) between a claim and what comes out: a figure printed with one decimal is off by up to 0.05. The
rest is for a word that another version's stemmer would cut elsewhere: in one of 200 summaries of 20 words against
references of as many it moves the mean by 100 * 2 / 40 / 200 = 0.025 at most, and such a word has not been seen."""
KEYS = (
    'The notebook writes the lists "references", "scratch.predictions" and "t5.predictions", and the scores '
    '"scratch.rouge" and "t5.rouge" (rouge1, rouge2 and rougeL, in percent).'
)


@dataclass(frozen=True, eq=False)
class LogReading:
    """What the log's texts give: F-measures by model and by figure (documents,), and what is wrong with the lists."""

    scores: Mapping[str, Mapping[str, Array]]
    following: Mapping[str, Array]  # ROUGE-1 of the next document's prediction, by model
    different: Mapping[str, int]  # predictions, by model
    defects: tuple[str, ...]
    documents: int
    notes: tuple[str, ...]


@lru_cache(maxsize=8)
def reading(trial: Trial) -> LogReading:
    """Read once for both judges."""
    opened(trial)
    seen = take(trial.got, "rouge")
    if seen.get("missing") is True:
        raise RuntimeError("rouge-score is not installed")  # our fault
    lists = {"references": "references", **{model: f"{model}.predictions" for model in MODELS}}
    defects = [_list_defect(key, _text(seen, f"defect.{name}")) for name, key in lists.items()]
    found = {model for model in MODELS if f"{model}.rouge1" in seen}
    documents = whole(seen, "documents", least=1, most=10**6) if found else 0
    scores = {
        model: {name: array(seen, f"{model}.{name}", shape=(documents,), what=f"{model} {name}") for name in ROUGE}
        for model in sorted(found)
    }
    following = {m: array(seen, f"{m}.next", shape=(documents,), what=f"{m} next") for m in sorted(found)}
    different = {model: whole(seen, f"different.{model}", least=1, most=documents) for model in sorted(found)}
    notes = _hints(trial, seen, documents, different)
    return LogReading(scores, following, different, tuple(filter(None, defects)), documents, notes)


def _list_defect(key: str, defect: str) -> str:
    kind, _, rest = defect.partition(" ")
    index, _, what = rest.partition(" ")
    return {
        "": "",
        "missing": f'"{key}" is missing.',
        "kind": f'"{key}" is {rest}. Expected: a list of texts.',
        "empty": f'"{key}" is an empty list.',
        "many": f'"{key}" holds {rest} texts, which is above the limit.',
        "item": f'"{key}" holds {what} at index {index}. Expected: texts.',
        "long": f'"{key}" holds a text of more than 5000 characters at index {rest}.',
        "length": f'"{key}" holds {rest} texts. Expected: as many as "references".',
        "work": f'"{key}" holds texts that are too long to be scored. Expected: summaries.',
    }.get(kind, f'"{key}" could not be read.')


def _hints(trial: Trial, seen: Values, documents: int, different: Mapping[str, int]) -> tuple[str, ...]:
    """For the staff: what looks odd in a list of predictions, and never costs a point."""
    notes = []
    for model, count in different.items():
        same = whole(seen, f"same.{model}", least=0, most=documents)
        if 2 * same > documents:
            notes.append(f"{model}.predictions equal the references in {same} of {documents} documents")
        if count == 1 < documents:
            notes.append(f"{model}.predictions are all the same text")
    if len(different) == len(MODELS) and 2 * (same := whole(seen, "same.both", least=0, most=documents)) > documents:
        notes.append(f"the predictions of both models are equal in {same} of {documents} documents")
    if different and documents < FEW:
        notes.append(f"only {documents} documents")
    return (*_notes(trial, "predictions"), *notes)


def _without(seen: LogReading, what: str) -> str:
    """The sentence where a model's texts are missing or unusable."""
    if len(seen.defects) == len(MODELS) + 1 and all("missing" in defect for defect in seen.defects):
        return f"{what}: {FILE} holds no summaries. {KEYS}"
    return f"{what}. {' '.join(seen.defects)} {KEYS}"


BOARD = "T5: ROUGE-L of the summaries in the log"


def rouge(trial: Trial) -> Verdict:
    """The share of the six claimed figures that come out of the log's own texts."""
    seen = reading(trial)
    if not seen.scores:
        return Verdict(0.0, _without(seen, "ROUGE could not be recomputed"), "sum_log_texts", notes=seen.notes)
    told = take(trial.got, "rouge")
    means = {model: {name: float(rows.mean()) for name, rows in own.items()} for model, own in seen.scores.items()}
    claims = {
        model: {name: claim for name in ROUGE if isinstance(claim := told.get(f"{model}.claim.{name}"), float)}
        for model in MODELS
    }
    right, used, faults = 0, 0.0, []
    for model in MODELS:
        if model not in means:
            continue
        where = f'"{model}.rouge"'
        if odd := _text(told, f"{model}.claims"):
            told_kind = "is missing" if odd == "missing" else f"is {odd}"
            faults.append(f"{where} {told_kind}. Expected: an object with rouge1, rouge2 and rougeL.")
            continue
        for name in ROUGE:
            if name not in claims[model]:
                faults.append(f"{name} in {where} is {_text(told, f'{model}.wrong.{name}')}. Expected: a number.")
                continue
            claim, mean = claims[model][name], means[model][name]
            if tolerance_ratio(claim, mean, CLAIMED) <= 1:
                right, used = right + 1, max(used, tolerance_ratio(claim, mean, CLAIMED))
            else:
                said, found = apart(claim, mean)
                faults.append(
                    f"{where} says {said} for {name}, but the {seen.documents} predictions and references in the log "
                    f"give {found}."
                )
    missing = f" {' '.join(seen.defects)}" if seen.defects else ""
    if right == len(MODELS) * len(ROUGE):
        return Verdict(
            1.0,
            f"All six ROUGE scores were reproduced from the {seen.documents} documents in the log.{missing}",
            tolerance_used=used,
            notes=seen.notes,
            figures={BOARD: means["t5"]["rougeL"]},
        )
    known, diagnosis = _recognised(claims, means)
    if diagnosis == "sum_log_fractions":  # the same figures in another unit
        words = f"All six ROUGE scores were reproduced from the {seen.documents} documents in the log.{known}{missing}"
        return Verdict(1.0, words, notes=seen.notes, figures={BOARD: means["t5"]["rougeL"]})
    more = f" There are {len(faults) - SHOWN} more faults of this kind." if len(faults) > SHOWN else ""
    told_faults = "".join(f" {fault}" for fault in faults[:SHOWN])
    message = f"{right} of {len(MODELS) * len(ROUGE)} ROUGE scores are right.{told_faults}{more}"
    return Verdict(right / (len(MODELS) * len(ROUGE)), f"{message}{missing}{known}", diagnosis, notes=seen.notes)


def _recognised(claims: Mapping[str, Mapping[str, float]], means: Mapping[str, Mapping[str, float]]) -> tuple[str, str]:
    """The mistake that the claims as a whole show: a sentence and a diagnosis."""

    def agree(factor: float, swap: bool) -> bool:
        names = dict(zip(MODELS, reversed(MODELS) if swap else MODELS, strict=True))
        pairs = [(claims[m].get(n), means.get(names[m], {}).get(n)) for m in MODELS for n in ROUGE]
        bound = CLAIMED if factor == 1 else 0.6  # fractions with two decimals
        return all(a is not None and b is not None and tolerance_ratio(factor * a, b, bound) <= 1 for a, b in pairs)

    if agree(100.0, swap=False):
        return " The scores are fractions of 1 and were read as percent.", "sum_log_fractions"
    if agree(1.0, swap=True) or agree(100.0, swap=True):
        return (
            " The scores of each model match the predictions of the other one, as if they were swapped.",
            "sum_log_swapped",
        )
    return "", "sum_log_claims"


# ------------------------------------------------------------------------------------- which is better


def better(trial: Trial) -> Verdict:
    """Half the point each for T5's mean ROUGE-1 and ROUGE-L, recomputed, above the from-scratch model's.

    One text for all documents scores as much as a poor model, so T5's summaries must also depend on their documents
    (`_independent`). No more is asked, so that no right log fails by the luck of its documents: how sure the
    difference is, is reported as an interval of the paired differences. Nor has the from-scratch model to beat
    anything: in the time that it is given it may learn little.
    """
    seen = reading(trial)
    if len(seen.scores) < len(MODELS):
        return Verdict(0.0, _without(seen, "The models could not be compared"), "sum_log_texts")
    if reason := _independent(seen):
        return reason
    sentences, right, alike = [], 0, 0
    for name, shown in (("rouge1", "ROUGE-1"), ("rougeL", "ROUGE-L")):
        own, other = seen.scores["t5"][name], seen.scores["scratch"][name]
        difference = own - other  # (documents,)
        mean = float(difference.mean())
        right += mean > 0
        alike += not difference.any()
        sentences.append(f"{shown}: T5 {own.mean():.1f}, from scratch {other.mean():.1f}{_interval(difference)}.")
    told = f"For {seen.documents} documents T5 wrote {seen.different['t5']} different summaries. {' '.join(sentences)}"
    if right == 2:
        return Verdict(1.0, told)
    if alike == 2:
        why, diagnosis = (
            ("Both lists of predictions have the same scores in every document. Is one list a copy of the other?"),
            "equal",
        )
    else:
        why, diagnosis = "Are the lists swapped, or did the fine-tuning of T5 stop too early?", "swapped"
    return Verdict(
        right / 2,
        f"{told} Expected: the fine-tuned T5 scores higher than the model trained from scratch. {why}",
        f"sum_log_{diagnosis}",
    )


def _half(difference: Array) -> float:
    """Half of the 95 % interval of the mean; 0 where a single document tells nothing of it."""
    return 1.96 * float(difference.std(ddof=1)) / math.sqrt(len(difference)) if len(difference) > 1 else 0.0


def _interval(difference: Array) -> str:
    mean, half = float(difference.mean()), _half(difference)
    return f" (difference {mean:+.1f}, 95 % interval {mean - half:+.1f} to {mean + half:+.1f})" if half else ""


def _independent(seen: LogReading) -> Verdict | None:
    """The verdict on a T5 whose summaries have nothing to do with their documents; None where they have.

    ROUGE-1 of each reference is compared with the summary of its own document and with that of the next one. What is
    the same for all documents scores the same with both, and whatever does not look at its document the same on
    average. From FEW documents on the interval of the paired difference must lie above 0: of those that do not look
    about one in forty passes, while a T5 that had learned little, with a ROUGE-1 of 21 on 200 docstrings, was ten
    standard errors above 0, and would have had to be unlucky by eight of them to fail.
    """
    if seen.different["t5"] == 1 < seen.documents:
        return Verdict(
            0.0,
            f"T5 wrote the same text for all {seen.documents} documents. Was it trained to the end, with the "
            "documents as its input_ids? Expected: summaries that depend on their documents.",
            "sum_log_constant",
        )
    own, following = seen.scores["t5"]["rouge1"], seen.following["t5"]
    difference = own - following  # (documents,)
    if seen.documents < FEW or float(difference.mean()) > _half(difference):
        return None
    return Verdict(
        0.0,
        f"T5's summaries match their own references no better than other references. ROUGE-1 is {own.mean():.1f} "
        f"for a summary and its own reference, and {following.mean():.1f} for a summary and the reference of the "
        f"document before{_interval(difference)}. Are the predictions in the order of the references? Expected: a "
        "clearly higher score for its own reference.",
        "sum_log_unread",
    )
