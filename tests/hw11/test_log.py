"""The summarization log: a right one gets its points however it was written, every defect one sentence of its own."""

from __future__ import annotations

import json
import math
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from autograder.core import Check, CheckFailed, Question, Trial, Verdict
from autograder.hw11 import ASSIGNMENT
from autograder.hw11.log import probes as probe
from autograder.hw11.summarization import log
from autograder.intake import submission
from autograder.judging.judges import Exact
from autograder.sandbox import wire
from autograder.sandbox.guest.student import Missing, Student
from autograder.sandbox.host.sandbox import Sandbox
from tests import helpers

FILE = "submission_log.json"
JUDGES: dict[str, Callable[[Trial], Verdict]] = {"modules": log.modules, "rouge": log.rouge, "better": log.better}
HOMEWORK = replace(
    ASSIGNMENT,
    questions=(
        Question(
            "summarization",
            1,
            "Summarization",
            ("summarization.ipynb", FILE),
            tuple(Check(f"summarization.log_{name}", name, 1, log.LOG, Exact(rule)) for name, rule in JUDGES.items()),
        ),
    ),
)
WORDS = [
    "return", "compute", "array", "value", "matrix", "sparse", "graph", "vertex", "window", "filter", "signal",
    "estimate", "sample", "random", "density", "label", "given", "input", "output", "shape", "axis", "index",
    "element", "order", "number", "function", "gradient", "weights", "models", "relational", "conditional"
]  # fmt: skip


# ------------------------------------------------------------------------------------- the right log


@cache
def right_modules() -> dict[str, Any]:
    """The modules' entries as torch's own layers give them in float32."""
    torch.manual_seed(0)
    x, memory = (torch.from_numpy(each).float() for each in (log.X, log.MEMORY))
    padding, memory_padding = (torch.from_numpy(each).bool() for each in (log.PADDING, log.MEMORY_PADDING))
    sizes: dict[str, Any] = {"dropout": 0.0, "batch_first": True}
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    encoder = torch.nn.TransformerEncoderLayer(8, 2, 16, **sizes).eval()
    decoder = torch.nn.TransformerDecoderLayer(8, 2, 16, **sizes).eval()
    load(encoder, log.weights(False), {"self_attn": "self_attn"}, ("self_attn_ln", "ffn_ln"))
    named = {"self_attn": "self_attn", "multihead_attn": "cross_attn"}
    load(decoder, log.weights(True), named, ("self_attn_ln", "cross_attn_ln", "ffn_ln"))
    with torch.no_grad():
        seen = {"transformer_layer.encoder.output": encoder(x, src_key_padding_mask=padding)}
        decoded = decoder(x, memory, tgt_mask=later, memory_key_padding_mask=memory_padding)
        state = F.layer_norm(
            embedding("emb_word.weight", (11, 8))[torch.from_numpy(log.IDS)] + embedding("emb_pos.weight", (12, 8))[:5],
            (8,),
            embedding("emb_ln.weight", (8,)),
            embedding("emb_ln.bias", (8,)),
        )
        for index in range(2):
            weights = log.weights(True, f"layers.{index}.")
            load(decoder, weights, named, ("self_attn_ln", "cross_attn_ln", "ffn_ln"))
            state = decoder(state, memory, tgt_mask=later, memory_key_padding_mask=memory_padding)
    seen |= {
        "transformer_layer.decoder.output": decoded,
        "transformer_layer.cached.output": decoded[:, -1:],
        "transformer_layer.cached.cache": x,
        "transformer_stack.decoder.output": state,
        "transformer_stack.cached.output": state[:, -1:],
    }
    entries: dict[str, Any] = {}
    for name, value in seen.items():
        entries[f"{name}.shape"] = list(value.shape)
        entries[f"{name}.value"] = np.round(value.double().numpy(), 6).tolist()
    return entries


def embedding(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(log.filled(shape, name)).float()


def load(layer: Any, weights: Mapping[str, Any], attention: Mapping[str, str], norms: tuple[str, ...]) -> None:
    """Gives one of torch's layers the weights that ours have."""
    at = {name: torch.from_numpy(value).float() for name, value in weights.items()}
    with torch.no_grad():
        for theirs, ours in attention.items():
            block = getattr(layer, theirs)
            for kind in ("weight", "bias"):
                joined = torch.cat([at[f"{ours}.{part}_proj.{kind}"] for part in "qkv"])
                getattr(block, f"in_proj_{kind}").copy_(joined)
                getattr(block.out_proj, kind).copy_(at[f"{ours}.o_proj.{kind}"])
        for number, ours in enumerate(norms, 1):
            for kind in ("weight", "bias"):
                getattr(getattr(layer, f"norm{number}"), kind).copy_(at[f"{ours}.{kind}"])
        for theirs, ours in (("linear1", "fc1"), ("linear2", "fc2")):
            for kind in ("weight", "bias"):
                getattr(getattr(layer, theirs), kind).copy_(at[f"{ours}.{kind}"])


@cache
def texts(documents: int = 60) -> dict[str, list[str]]:
    """References, and predictions that keep three in ten of their words, or six."""
    rng = np.random.Generator(np.random.Philox(11))
    references = [" ".join(rng.choice(WORDS, rng.integers(6, 20))) for _ in range(documents)]

    def kept(share: float) -> list[str]:
        return [
            " ".join(word if rng.random() < share else rng.choice(WORDS) for word in text.split()).capitalize() + "."
            for text in references
        ]

    return {"references": references, "scratch.predictions": kept(0.3), "t5.predictions": kept(0.6)}


def claims(references: list[str], predictions: list[str], decimals: int = 4) -> dict[str, float]:
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    rows = [scorer.score(reference, own) for reference, own in zip(references, predictions, strict=True)]
    return {
        name: round(100 * float(np.mean([row[name].fmeasure for row in rows])), decimals)
        for name in ("rouge1", "rouge2", "rougeL")
    }


@cache
def _right() -> str:
    lists = texts()
    return json.dumps(
        {
            "time": "2026-11-20T10:11:12+00:00",
            **right_modules(),
            "torch": "2.13.0",
            "transformers": "5.23.0",
            "device": "cpu",
            "data": "docstrings",
            **lists,
            **{f"{m}.rouge": claims(lists["references"], lists[f"{m}.predictions"]) for m in ("scratch", "t5")},
        }
    )


def right() -> dict[str, Any]:
    """A fresh copy of the right log."""
    return json.loads(_right())


def public(**changes: Any) -> dict[str, Any]:
    """A log as the public notebook writes it: a few tests with random weights."""
    rng = np.random.Generator(np.random.Philox(5))
    rows = rng.standard_normal((3, 4, 16))
    rows = (rows - rows.mean(-1, keepdims=True)) / rows.std(-1, keepdims=True)
    return {
        "time": 1763600000.5,
        "transformer_layer.encoder.output.shape": [3, 4, 16],
        "transformer_layer.encoder.output.value": np.round(rows, 4).tolist(),
        "transformer_layer.decoder_cached.cache.shape": [3, 4, 16],
        "transformer_layer.decoder_cached.cache.value": (5 * rows).tolist(),
        "transformer_layer.decoder_cached.output.shape": [3, 1, 16],
        "transformer_layer.decoder_cached.output.value": 1.25,
        **changes,
    }


# ------------------------------------------------------------------------------------------- asking


def trial_of(data: bytes | Mapping[str, Any], tmp_path: Path) -> Trial:
    """What the judges see of a file with this content, after the way over the wire."""
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    (tmp_path / FILE).write_bytes(content)
    seen = probe.log({}, Student(tmp_path))
    frame = wire.encode(wire.Frame("test", values=seen))
    header, body = wire.lengths(frame[: wire.PREFIX.size])
    cut = wire.PREFIX.size + header
    return Trial({}, wire.decode(frame[wire.PREFIX.size : cut], frame[cut : cut + body]).values)


def verdicts(data: bytes | Mapping[str, Any], tmp_path: Path) -> dict[str, Verdict]:
    """Every judge's verdict; a `CheckFailed` counts as 0, as it does in a grading."""
    trial = trial_of(data, tmp_path)
    found = {}
    for name, judge in JUDGES.items():
        try:
            found[name] = judge(trial)
        except CheckFailed as fault:
            found[name] = Verdict(0.0, str(fault), fault.diagnosis)
    for verdict in found.values():
        assert verdict.message.isprintable()
        assert len(verdict.message) < 2000
        assert "<" not in verdict.message
    return found


def scores(found: Mapping[str, Verdict]) -> tuple[float, ...]:
    return tuple(round(verdict.score, 4) for verdict in found.values())


# -------------------------------------------------------------------------------------- right logs


def test_a_right_log_has_all_points(tmp_path: Path) -> None:
    found = verdicts(right(), tmp_path)
    assert scores(found) == (1, 1, 1), found
    assert found["modules"].tolerance_used is not None and found["modules"].tolerance_used < 0.01
    assert "60 documents" in found["rouge"].message
    assert "95 % interval" in found["better"].message
    assert not any("only" in note or "alike" in note for verdict in found.values() for note in verdict.notes)


def test_our_outputs_are_those_of_torchs_layers() -> None:
    """In float32 torch's own layers differ by rounding alone, where no position is padding."""
    for name, want in log.outputs(False).items():
        got = np.array(right_modules()[f"{name}.value"])
        assert got.shape == want.value.shape
        assert np.abs(got - want.value)[want.counts].max() < 1e-5, name


def test_our_outputs_are_those_of_the_reference_notebook() -> None:
    """By its own functions, whose weights and inputs follow the same formula."""
    tests = ("layer_encoder", "layer_decoder", "layer_cached", "stack_decoder", "stack_cached")
    module = Student(helpers.REFERENCE).definitions("summarization.ipynb", *tests)
    with torch.no_grad():
        seen = {name: value for test in tests for name, value in getattr(module, test)().items()}
    wanted = log.outputs(False)
    assert set(seen) == set(wanted)
    for name, value in seen.items():
        difference = np.abs(value.double().numpy() - wanted[name].value)[wanted[name].counts].max()
        assert difference <= wanted[name].bound / 5 + 1e-6, name


@pytest.mark.parametrize("decimals", [0, 1, 2, 3, 4])
def test_another_rounding(decimals: int, tmp_path: Path) -> None:
    """Modules with three decimals and more, figures with one and more; with none, figures are off by too much."""
    given = right()
    for key, value in given.items():
        if key.endswith(".value") and decimals >= 3:
            given[key] = np.round(value, decimals).tolist()
        if key.endswith(".rouge"):
            given[key] = {name: round(claim, decimals) for name, claim in value.items()}
    found = verdicts(given, tmp_path)
    assert found["modules"].score == found["better"].score == 1, found
    assert (found["rouge"].score == 1) == (decimals >= 1), found["rouge"].message


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
def test_any_encoding_that_can_be_read(encoding: str, tmp_path: Path) -> None:
    """Without its byte order mark UTF-16 is no JSON; Windows' own bytes beyond ASCII do no harm."""
    given = right()
    given["references"][0] += " naïve café"
    text = json.dumps(given, ensure_ascii=False)
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    found = verdicts(mark + text.encode(encoding), tmp_path)
    assert found["modules"].score == found["better"].score == 1, found["modules"].message
    told = {"utf-16": "UTF-16", "utf-32": "UTF-32", "cp1252": "not UTF-8", "latin-1": "not UTF-8"}
    if encoding in told:
        assert told[encoding] in found["modules"].message


def test_a_flat_value_and_other_keys_do_no_harm(tmp_path: Path) -> None:
    given = right()
    for key in [key for key in given if key.endswith(".value")]:
        given[key] = np.ravel(given[key]).tolist()
    given |= {"my.notes": {"a": [1, None, "x"]}, "loss": [3.5, 2.5], "time": 17.5}
    assert scores(verdicts(given, tmp_path)) == (1, 1, 1)


def test_padding_is_not_compared(tmp_path: Path) -> None:
    given = right()
    row = given["transformer_layer.encoder.output.value"][0]
    row[4] = [1e6] * 8
    assert verdicts(given, tmp_path)["modules"].score == 1
    row[3] = [1e6] * 8
    assert verdicts(given, tmp_path)["modules"].score < 1


# ------------------------------------------------------------------------------------ the tolerance


TF32, FLOAT32 = 2.0**-11, 2.0**-24


class Rounded:
    """The modules in float64, with a leaf wherever float32 rounds: its derivative is what an error there does.

    With `coarse` matrix products are TensorFloat-32's, which rounds both factors to the unit 2^-11. With `noise` that
    is done to them at random.
    """

    def __init__(self, *, coarse: bool, noise: torch.Generator | None = None) -> None:
        self.unit = 2 * TF32 + TF32**2 if coarse else 0.0
        self.noise = noise
        self.leaves: list[tuple[torch.Tensor, torch.Tensor]] = []

    def leaf(self, value: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        """The value plus a leaf whose error is at most `size`."""
        leaf = torch.zeros_like(value, requires_grad=True)
        self.leaves.append((leaf, size.detach()))
        return value + leaf

    def product(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """n products and sums, a bias, and both factors once rounded to float32: n + 3 roundings."""
        unit = self.unit + (a.shape[-1] + 3) * FLOAT32
        return self.leaf(self.moved(a) @ self.moved(b), unit * (a.abs() @ b.abs()))

    def moved(self, a: torch.Tensor) -> torch.Tensor:
        if self.noise is None:
            return a
        return a * (1 + TF32 * torch.randn(a.shape, generator=self.noise, dtype=a.dtype).sign())

    def norm(self, x: torch.Tensor, weight: Any, bias: Any) -> torch.Tensor:
        """The residual sum and the mean's d + 1 operations, relative to the row; then the root's and the scaling's."""
        x = self.leaf(x, 12 * FLOAT32 * x.abs().amax(-1, keepdim=True).expand(x.shape))
        y = F.layer_norm(x, (8,), torch.as_tensor(weight), torch.as_tensor(bias))
        return self.leaf(y, 16 * FLOAT32 * (y.abs() + 1))

    def softmax(self, scores: torch.Tensor) -> torch.Tensor:
        """Of 5 scores at most, whose differences are below 16: 16 u in the exponent, and 10 u behind it."""
        finite = scores.masked_fill(scores.isinf(), 0).detach()
        assert finite.abs().max() < 8
        shares = scores.softmax(-1)
        return self.leaf(shares, 2 * 26 * FLOAT32 * shares)

    def linear(self, x: torch.Tensor, weights: Mapping[str, torch.Tensor], name: str) -> torch.Tensor:
        return self.product(x, weights[f"{name}.weight"].T) + weights[f"{name}.bias"]

    def attention(self, weights: Any, name: str, of: torch.Tensor, to: torch.Tensor, hidden: torch.Tensor) -> Any:
        q, k, v = (
            self.linear(x, weights, f"{name}.{part}_proj").unflatten(-1, (2, 4)).transpose(1, 2)
            for part, x in (("q", of), ("k", to), ("v", to))
        )
        scores = self.product(q, k.transpose(-1, -2)) / 2  # the root of 4
        shares = self.softmax(scores.masked_fill(hidden, -torch.inf))
        return self.linear(self.product(shares, v).transpose(1, 2).flatten(2), weights, f"{name}.o_proj")

    def layer(self, x: torch.Tensor, given: Mapping[str, Any], *, decoder: bool) -> torch.Tensor:
        weights = {name: torch.from_numpy(value) for name, value in given.items()}

        def norm(y: torch.Tensor, name: str) -> torch.Tensor:
            return self.norm(y, weights[f"{name}_ln.weight"], weights[f"{name}_ln.bias"])

        padding = torch.from_numpy(log.PADDING)[:, None, None].bool()
        hidden = torch.ones(5, 5, dtype=torch.bool).triu(1) if decoder else padding
        x = norm(x + self.attention(weights, "self_attn", x, x, hidden), "self_attn")
        if decoder:
            memory, away = torch.from_numpy(log.MEMORY), torch.from_numpy(log.MEMORY_PADDING)[:, None, None].bool()
            x = norm(x + self.attention(weights, "cross_attn", x, memory, away), "cross_attn")
        return norm(x + self.linear(F.relu(self.linear(x, weights, "fc1")), weights, "fc2"), "ffn")

    def output(self, name: str) -> torch.Tensor:
        if name != "stack":
            return self.layer(torch.from_numpy(log.X), log.weights(name == "decoder"), decoder=name == "decoder")
        word, position = log.filled((11, 8), "emb_word.weight"), log.filled((12, 8), "emb_pos.weight")
        ln = (log.filled((8,), f"emb_ln.{kind}") for kind in ("weight", "bias"))
        state = self.norm(torch.from_numpy(word[log.IDS] + position[:5]), *ln)
        for index in range(2):
            state = self.layer(state, log.weights(True, f"layers.{index}."), decoder=True)
        return state


ENTRIES = {
    "encoder": "transformer_layer.encoder",
    "decoder": "transformer_layer.decoder",
    "stack": "transformer_stack.decoder",
}


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("name", ENTRIES)
def test_the_tolerance_is_at_least_twice_what_rounding_can_do_at_worst(name: str, coarse: bool) -> None:
    rounded = Rounded(coarse=coarse)
    output = rounded.output(name)
    want = log.outputs(coarse)[f"{ENTRIES[name]}.output"]
    assert np.abs(output.detach().numpy() - want.value)[want.counts].max() < 1e-9
    worst = []
    for entry in output.flatten():
        leaves = [leaf for leaf, _ in rounded.leaves]
        slopes = torch.autograd.grad(entry, leaves, retain_graph=True, allow_unused=True)
        sizes = [size for _, size in rounded.leaves]
        worst.append(sum(float((d.abs() * e).sum()) for d, e in zip(slopes, sizes, strict=True) if d is not None))
    first_order = np.reshape(worst, want.value.shape)[want.counts].max()
    assert 2 * first_order <= want.bound
    if coarse:
        chance = torch.Generator().manual_seed(0)
        for _ in range(100):
            moved = Rounded(coarse=True, noise=chance).output(name).detach().numpy()
            assert np.abs(moved - want.value)[want.counts].max() < want.bound / 5


@pytest.mark.parametrize(("device", "score"), [("cpu", 1 / 6), ("cuda", 1), ("NVIDIA H100", 1), ("mps", 1), (None, 1)])
def test_coarse_products_are_right_on_a_gpu(device: str | None, score: float, tmp_path: Path) -> None:
    given = {**right(), "device": device}
    chance = torch.Generator().manual_seed(1)
    for name, entry in ENTRIES.items():
        moved = Rounded(coarse=True, noise=chance).output(name).detach().numpy()
        given[f"{entry}.output.value"] = moved.tolist()
        last = entry.replace("decoder", "cached")
        if last != entry:
            given[f"{last}.output.value"] = moved[:, -1:].tolist()
    found = verdicts(given, tmp_path)["modules"]
    assert found.score == pytest.approx(score), found.message
    if score == 1:
        assert found.tolerance_used is not None and found.tolerance_used < 0.2


def wrong_outputs() -> dict[str, tuple[str, Any]]:
    """Outputs of layers with a mistake, by what it is: the entry and its value."""
    from autograder.hw11.summarization import transformer

    own = log.weights(True)
    memory: dict[str, Any] = {"memory": log.MEMORY, "memory_padding": log.MEMORY_PADDING}
    lost = {**own, **{name: 0 * own[name] for name in own if name.startswith("self_attn.o_proj")}}
    no_norm = {**own, "ffn_ln.weight": np.ones(8), "ffn_ln.bias": np.zeros(8)}
    shared = {n: log.filled(s, n) for n, s in {"emb_word.weight": (11, 8), "emb_pos.weight": (12, 8)}.items()}
    shared |= {n: log.filled((8,), n) for n in ("emb_ln.weight", "emb_ln.bias")}
    shifted = {**shared, "emb_pos.weight": np.roll(shared["emb_pos.weight"], 1, axis=0)}
    layers = [log.weights(True, f"layers.{index}.") for index in range(2)]
    right = log.outputs(False)
    decoder, stack = "transformer_layer.decoder.output", "transformer_stack.decoder.output"

    def stacked(table: Any, blocks: Any, **named: Any) -> Any:
        return transformer.stack(transformer.embed(log.IDS, table, 2.0**-24).value, blocks, 2, **{**memory, **named})

    return {
        "not causal": (decoder, transformer.layer(log.X, own, 2, **memory)),
        "one head": (decoder, transformer.layer(log.X, own, 1, causal=True, **memory)),
        "encoder's mask lost": (decoder, transformer.layer(log.X, own, 2, causal=True, memory=log.MEMORY)),
        "self-attention lost": (decoder, transformer.layer(log.X, lost, 2, causal=True, **memory)),
        "last norm without its weights": (decoder, transformer.layer(log.X, no_norm, 2, causal=True, **memory)),
        "cross-attention lost": (decoder, transformer.layer(log.X, own, 2, causal=True)),
        "padding seen": ("transformer_layer.encoder.output", transformer.layer(log.X, log.weights(False), 2)),
        "cache of outputs": ("transformer_layer.cached.cache", right[decoder].value),
        "positions from 1": (stack, stacked(shifted, layers, causal=True)),
        "layers in another order": (stack, stacked(shared, layers[::-1], causal=True)),
        "one layer twice": (stack, stacked(shared, [layers[0]] * 2, causal=True)),
        "stack not causal": (stack, stacked(shared, layers)),
        "first step": ("transformer_layer.cached.output", right[decoder].value[:, :1]),
    }


@pytest.mark.parametrize("mistake", wrong_outputs())
def test_a_wrong_output_is_found(mistake: str, tmp_path: Path) -> None:
    name, value = wrong_outputs()[mistake]
    found = verdicts({**right(), f"{name}.value": np.round(value, 6).tolist()}, tmp_path)
    assert scores(found) == (round(5 / 6, 4), 1, 1)
    assert found["modules"].diagnosis == "sum_log_value"
    assert "5 of 6 are right" in found["modules"].message
    assert name in found["modules"].message
    assert found["modules"].message.count(" differs from ") == 1
    want = log.outputs(False)[name]
    difference = np.abs(np.asarray(value) - want.value)[want.counts].max()
    assert difference > 2 * (want.bound + log.DECIMALS), difference


# ----------------------------------------------------------------------------------- the file's form


TEXT = _right()
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "blank": (b" \n ", "is empty"),
    "not JSON": (b'{\n "time": 1,\n oops}', "not valid JSON at line 3, column 2"),
    "python's quotes": (b"{'time': 1}", "not valid JSON at line 1, column 2"),
    "a zip": (b"PK\x03\x04\xff\x00", "not valid JSON at line 1, column 1"),
    "a page": (b"<!DOCTYPE html>", "not valid JSON at line 1, column 1"),
    "a comma too many": (b'{"time": 1,}', "not valid JSON at line 1"),
    "two objects": (b'{"time": 1} {"time": 2}', "not valid JSON at line 1, column 13"),
    "UTF-16 without its mark": (TEXT.encode("utf-16-le"), "not valid JSON at line 1"),
    "cut in a text": (b'{"time": "2026', "ends in the middle"),
    "cut in a number": (b'{"time": 12.', "ends in the middle"),
    "cut in a word": (b'{"time": nul', "ends in the middle"),
    "cut behind a comma": (b'{"time": [1, ', "ends in the middle"),
    "cut in half": (TEXT.encode()[: len(TEXT) // 2], "ends in the middle"),
    "a list": (b"[1, 2]", "it holds a list, but an object"),
    "a number": (b"3.5", "it holds a number, but an object"),
    "null": (b"null", "it holds null, but an object"),
    "a NaN": (b"NaN", "it holds a number, but an object"),
    "deep lists": (b"[" * 10**6, "nested too deep"),
    "deep objects": (b'{"a":' * 10**6, "nested too deep"),
    "closed deep lists": (b'{"a": ' + b"[" * 400 + b"]" * 400 + b"}", "nested too deep"),
    "large": (b'{"a": "' + b"x" * probe.MAX_BYTES + b'"}', "larger than the limit of 8 MB"),
}


@pytest.mark.parametrize("defect", BROKEN)
def test_a_file_that_is_no_object_costs_the_log_with_one_sentence(defect: str, tmp_path: Path) -> None:
    data, words = BROKEN[defect]
    found = verdicts(data, tmp_path)
    assert scores(found) == (0, 0, 0)
    assert len({verdict.message for verdict in found.values()}) == 1
    assert words in found["modules"].message, found["modules"].message
    assert {verdict.diagnosis for verdict in found.values()} == {"sum_log_unreadable"}


def test_every_way_to_cut_a_log_short_is_told_as_that(tmp_path: Path) -> None:
    text = '{"a": [1, -2.5e+10, true, null, "x\\u00e9"], "b": {"c": false}}'
    for end in range(1, len(text)):
        found = probe.parsed(text[:end])
        assert isinstance(found, dict) and found["file.kind"] == "cut", text[:end]
    assert isinstance(probe.parsed(text), probe.Parsed)


OUTPUT = "transformer_layer.decoder.output"
VALUE, SHAPE = f"{OUTPUT}.value", f"{OUTPUT}.shape"
ROWS = right_modules()[VALUE]
DEFECTS: dict[str, tuple[dict[str, Any], str]] = {
    "numbers as text": ({VALUE: [[["1.5"] * 8] * 5] * 2}, "holds a text in its value"),
    "one number as text": ({VALUE: [[[1.5] * 7 + ["2"]] * 5] * 2}, "holds a text in its value"),
    "a text": ({VALUE: "tensor([1., 2.])"}, "holds a text"),
    "null": ({VALUE: None}, "holds null"),
    "true": ({VALUE: [True]}, "true or false"),
    "an object": ({VALUE: {"a": 1}}, "holds an object"),
    "NaN": ({VALUE: [[[math.nan] * 8] * 5] * 2}, "NaN or an infinity"),
    "infinity": ({VALUE: [[[-math.inf] * 8] * 5] * 2}, "NaN or an infinity"),
    "beyond floats": ({VALUE: [[[10**400] * 8] * 5] * 2}, "NaN or an infinity"),
    "huge": ({VALUE: [[[1e300] * 8] * 5] * 2}, "beyond 1e30"),
    "lists of other lengths": ({VALUE: [ROWS[0], ROWS[1][:4]]}, "different lengths"),
    "a row where a number belongs": ({VALUE: [ROWS[0], [ROWS[1][0], *ROWS[1][1:4], 2.0]]}, "different lengths"),
    "empty": ({VALUE: []}, "or are empty"),
    "empty lists": ({VALUE: [[], []]}, "or are empty"),
    "seven levels": ({VALUE: [[[[[[[1.0]]]]]]]}, "more than 6 levels"),
    "too many numbers": ({VALUE: [0.5] * (probe.MAX_NUMBERS + 1)}, "too many numbers"),
    "one position less": ({VALUE: [row[:4] for row in ROWS]}, "value of shape [2, 4, 8]"),
    "turned": ({VALUE: np.transpose(ROWS, (1, 0, 2)).tolist()}, "value of shape [5, 2, 8]"),
    "one number": ({VALUE: 1.5}, "value of shape []"),
    "another shape": ({SHAPE: [2, 4, 8]}, "has the shape [2, 4, 8]. Expected: [2, 5, 8]"),
    "a shape of text": ({SHAPE: "torch.Size([2, 5, 8])"}, "has a text for its shape"),
    "a number for a shape": ({SHAPE: 80}, "has a number for its shape"),
    "fractions in a shape": ({SHAPE: [2, 5.5, 8]}, "not a list of at most 6 positive whole"),
    "a negative shape": ({SHAPE: [2, -5, 8]}, "positive whole numbers"),
    "a huge shape": ({SHAPE: [10**30, 5, 8]}, "positive whole numbers"),
    "a long shape": ({SHAPE: [1] * 1000}, "positive whole numbers"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_in_one_entry_costs_that_entry(defect: str, tmp_path: Path) -> None:
    changes, words = DEFECTS[defect]
    found = verdicts({**right(), **changes}, tmp_path)
    assert scores(found) == (round(5 / 6, 4), 1, 1)
    assert words in found["modules"].message, found["modules"].message
    assert OUTPUT in found["modules"].message
    assert found["modules"].diagnosis.startswith("sum_log_")


def test_missing_entries_are_named(tmp_path: Path) -> None:
    given = {key: value for key, value in right().items() if ".cached." not in key}
    found = verdicts(given, tmp_path)["modules"]
    assert found.score == 0.5
    assert "transformer_layer.cached.output is missing" in found.message
    assert "transformer_stack.cached.output is missing" in found.message
    without = right()
    del without[VALUE]
    assert "has a shape but no value" in verdicts(without, tmp_path)["modules"].message
    none = {key: value for key, value in right().items() if not key.startswith("transformer_")}
    found = verdicts(none, tmp_path)["modules"]
    assert (found.score, found.diagnosis) == (0, "sum_log_form")
    assert '"transformer_layer.encoder.output.shape"' in found.message


def test_no_module_right_at_all(tmp_path: Path) -> None:
    given = {key: 0.5 if key.endswith(".value") else value for key, value in right().items()}
    found = verdicts(given, tmp_path)
    assert scores(found) == (0, 1, 1)
    assert "There are 3 more" in found["modules"].message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT[:-1] + ', "time": 2}', 'The key "time" appears more than once'),
        (TEXT[:-1] + ', "more": {"a": 1, "a": 2}}', 'The key "a" appears more than once'),
    ],
)
def test_a_defect_elsewhere_counts_as_one_entry(text: str, words: str, tmp_path: Path) -> None:
    found = verdicts(text.encode(), tmp_path)
    assert scores(found) == (round(6 / 7, 4), 1, 1)
    assert words in found["modules"].message


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('"loss": [1.0, NaN]', '"loss" holds NaN.'),
        ('"loss": {"last": -Infinity}', '"loss" holds an infinity.'),
        (f'"steps": 1{"0" * 400}', '"steps" holds a number that is too large for double precision.'),
        ('"steps": [[1e400]]', '"steps" holds a number that is too large for double precision.'),
    ],
)
def test_what_nobody_asks_for_costs_nothing_and_is_told_for_what_it_is(more: str, words: str, tmp_path: Path) -> None:
    found = verdicts(f"{TEXT[:-1]}, {more}}}".encode(), tmp_path)
    assert scores(found) == (1, 1, 1)
    assert words in found["modules"].message


# --------------------------------------------------------------------------------- the public notebook's


def test_a_public_log_is_graded_for_what_it_shows(tmp_path: Path) -> None:
    found = verdicts(public(), tmp_path)
    assert scores(found) == (1, 0, 0)
    assert "weights were random" in found["modules"].message
    assert "mean 0 and variance 1" in found["modules"].message
    for name in ("rouge", "better"):
        assert '"t5.predictions"' in found[name].message
        assert "holds no summaries" in found[name].message
        assert found[name].diagnosis == "sum_log_texts"


ROWS_OF_ANY = np.array(public()["transformer_layer.encoder.output.value"])
PUBLIC: dict[str, tuple[dict[str, Any], float]] = {
    "summaries only": ({"transformer_layer.encoder.output.value": [0.25, 1.5]}, 1.0),
    "another name": ({"transformer_layer.a.out.value": [0.5], "transformer_layer.a.out.shape": [1, 1, 1]}, 1.0),
    "two decimals": ({"transformer_layer.encoder.output.value": np.round(ROWS_OF_ANY, 2).tolist()}, 1.0),
    "not normalised": ({"transformer_layer.encoder.output.value": np.ones((3, 4, 16)).tolist()}, 2 / 3),
    "variance 2": ({"transformer_layer.encoder.output.value": (1.41 * ROWS_OF_ANY).tolist()}, 2 / 3),
    "shifted": ({"transformer_layer.encoder.output.value": (0.1 + ROWS_OF_ANY).tolist()}, 2 / 3),
    "another size": ({"transformer_layer.encoder.output.shape": [3, 4, 8]}, 2 / 3),
    "two numbers": ({"transformer_layer.encoder.output.shape": [12, 16]}, 2 / 3),
    "a NaN": ({"transformer_layer.decoder_cached.output.value": math.nan}, 2 / 3),
    "a text": ({"transformer_layer.decoder_cached.output.value": "1.25"}, 2 / 3),
    "no shape": ({"transformer_layer.more.grad.value": [1.0, 2.0]}, 1.0),
}  # fmt: skip


@pytest.mark.parametrize("case", PUBLIC)
def test_what_holds_for_all_weights(case: str, tmp_path: Path) -> None:
    changes, score = PUBLIC[case]
    found = verdicts(public(**changes), tmp_path)["modules"]
    assert found.score == pytest.approx(score), found.message


def test_a_right_layers_output_in_any_size_is_plausible(tmp_path: Path) -> None:
    """Whatever its weights and inputs: torch's layer, printed with two to six decimals."""
    for seed, (width, heads) in enumerate([(4, 2), (8, 2), (64, 4), (512, 8)]):
        torch.manual_seed(seed)
        layer = torch.nn.TransformerEncoderLayer(width, heads, 2 * width, batch_first=True).eval()
        with torch.no_grad():
            rows = layer(torch.rand(2, 3, width))
        name = "transformer_layer.encoder.output"
        for decimals in (2, 4, 6):
            value = np.round(rows.double().numpy(), decimals).tolist()
            given = {f"{name}.shape": [2, 3, width], f"{name}.value": value}
            assert verdicts(given, tmp_path)["modules"].score == 1, (width, decimals)


# --------------------------------------------------------------------------------------------- ROUGE


def test_forged_claims(tmp_path: Path) -> None:
    given = right()
    given["t5.rouge"]["rouge1"] += 5
    given["t5.rouge"]["rouge2"] -= 0.2
    found = verdicts(given, tmp_path)
    assert scores(found) == (1, round(4 / 6, 4), 1)
    assert '"t5.rouge" says' in found["rouge"].message
    assert found["rouge"].diagnosis == "sum_log_claims"


def test_claims_in_fractions(tmp_path: Path) -> None:
    given = right()
    for model in ("scratch", "t5"):
        given[f"{model}.rouge"] = {name: claim / 100 for name, claim in given[f"{model}.rouge"].items()}
    found = verdicts(given, tmp_path)["rouge"]
    assert (found.score, found.diagnosis) == (1.0, "")
    assert "read as percent" in found.message


def test_swapped_claims_and_swapped_models(tmp_path: Path) -> None:
    given = right()
    given["scratch.rouge"], given["t5.rouge"] = given["t5.rouge"], given["scratch.rouge"]
    found = verdicts(given, tmp_path)
    assert found["rouge"].diagnosis == "sum_log_swapped"
    assert found["better"].score == 1  # the texts decide
    given["scratch.predictions"], given["t5.predictions"] = given["t5.predictions"], given["scratch.predictions"]
    found = verdicts(given, tmp_path)
    assert scores(found) == (1, 1, 0)
    assert found["better"].diagnosis == "sum_log_swapped"
    assert "swapped" in found["better"].message


def test_one_model_twice(tmp_path: Path) -> None:
    given = right()
    given["t5.predictions"], given["t5.rouge"] = given["scratch.predictions"], given["scratch.rouge"]
    found = verdicts(given, tmp_path)
    assert scores(found) == (1, 1, 0)
    assert found["better"].diagnosis == "sum_log_equal"
    assert any("the predictions of both models are equal in 60 of 60" in note for note in found["rouge"].notes)


def test_one_figure_better_is_half(tmp_path: Path) -> None:
    """The words of the reference in another order: ROUGE-1 is high, the longest common subsequence short."""
    given = {
        **right(),
        "references": ["alpha beta gamma delta epsilon zeta", "one two three four five six"],
        "scratch.predictions": ["alpha beta gamma red blue green", "one two three red blue green"],
        "t5.predictions": ["zeta epsilon delta gamma beta alpha", "six five four three two one"],
    }
    found = verdicts(given, tmp_path)
    assert found["better"].score == 0.5
    assert any(note == "only 2 documents" for note in found["rouge"].notes)
    one = {**given, **{key: given[key][:1] for key in ("references", "scratch.predictions", "t5.predictions")}}
    assert verdicts(one, tmp_path)["better"].score == 0.5


def _mixed(given: Mapping[str, Any]) -> list[str]:
    order = np.random.Generator(np.random.Philox(3)).permutation(len(given["references"]))
    return [given["t5.predictions"][at] for at in order]


UNREAD: dict[str, tuple[Callable[[Mapping[str, Any]], list[str]], str]] = {
    "one text for all": (lambda given: ["Return the value of the array."] * 60, "constant"),
    "the best reference for all": (lambda given: [max(given["references"], key=len)] * 60, "constant"),
    "two texts in turn": (lambda given: ["Return the value.", "Compute the array of the window."] * 30, "unread"),
    "one text, but for one document": (lambda given: [given["references"][0]] + ["Return the array."] * 59, "unread"),
    "moved by one": (lambda given: [*given["t5.predictions"][-1:], *given["t5.predictions"][:-1]], "unread"),
    "in another order": (_mixed, "unread"),
    "sorted": (lambda given: sorted(given["t5.predictions"], key=len), "unread"),
}


@pytest.mark.parametrize("case", UNREAD)
def test_summaries_that_do_not_depend_on_their_documents(case: str, tmp_path: Path) -> None:
    """However they compare with those from scratch, which share no word with the references here."""
    given = {**right(), "scratch.predictions": ["xyz"] * 60}
    assert verdicts(given, tmp_path)["better"].score == 1
    given["t5.predictions"] = UNREAD[case][0](given)
    found = verdicts(given, tmp_path)["better"]
    assert (found.score, found.diagnosis) == (0, f"sum_log_{UNREAD[case][1]}"), found.message
    assert "xpected" in found.message and 20 <= len(found.message) <= 600


def test_a_constant_from_scratch_costs_nothing_and_few_documents_tell_little(tmp_path: Path) -> None:
    given = {**right(), "scratch.predictions": ["Return the value."] * 60}
    assert verdicts(given, tmp_path)["better"].score == 1
    lists = ("references", "scratch.predictions", "t5.predictions")
    few = {**given, **{key: given[key][: log.FEW - 1] for key in lists}}
    few["t5.predictions"] = few["references"][1:] + few["references"][:1]
    assert verdicts(few, tmp_path)["better"].diagnosis != "sum_log_unread"
    few["t5.predictions"] = few["references"][:1] * (log.FEW - 1)
    assert verdicts(few, tmp_path)["better"].diagnosis == "sum_log_constant"


LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "a text in place of a list": ({"t5.predictions": "a summary"}, '"t5.predictions" is a text'),
    "numbers": ({"t5.predictions": [1] * 60}, "holds a number at index 0"),
    "a list in it": ({"t5.predictions": ["x"] * 59 + [["x"]]}, "holds a list at index 59"),
    "null in it": ({"t5.predictions": [None] * 60}, "holds null at index 0"),
    "shorter": ({"t5.predictions": ["x"] * 59}, "holds 59 texts. Expected: as many"),
    "longer": ({"t5.predictions": ["x"] * 61}, "holds 61 texts"),
    "empty": ({"t5.predictions": []}, "is an empty list"),
    "missing": ({"t5.predictions": None}, '"t5.predictions" is missing'),
    "a long text": ({"t5.predictions": ["x" * 5001] * 60}, "more than 5000 characters at index 0"),
    "many": ({"t5.predictions": ["x"] * (probe.MAX_TEXTS + 1)}, "holds 12001 texts, which is above the limit"),
    "an object": ({"t5.predictions": {"0": "x"}}, '"t5.predictions" is an object'),
}


@pytest.mark.parametrize("defect", LISTS)
def test_a_defect_in_one_list_costs_that_model(defect: str, tmp_path: Path) -> None:
    changes, words = LISTS[defect]
    found = verdicts({**right(), **changes}, tmp_path)
    assert scores(found) == (1, 0.5, 0)
    assert words in found["rouge"].message, found["rouge"].message
    assert words in found["better"].message, found["better"].message
    found = verdicts({**right(), "references": changes["t5.predictions"]}, tmp_path)
    assert found["rouge"].score == found["better"].score == 0


CLAIMS: dict[str, tuple[Any, float, str]] = {
    "missing": (None, 0.5, '"t5.rouge" is missing'),
    "a number": (31.5, 0.5, '"t5.rouge" is a number'),
    "a list": ([31.5, 12.0, 30.0], 0.5, '"t5.rouge" is a list'),
    "as text": ({"rouge1": "31.5", "rouge2": "9", "rougeL": "30"}, 0.5, 'rouge1 in "t5.rouge" is a text'),
    "a list in it": ({"rouge1": [31.5], "rouge2": [9], "rougeL": [30]}, 0.5, 'rouge1 in "t5.rouge" is a list'),
    "true": ({"rouge1": True, "rouge2": True, "rougeL": True}, 0.5, "is true or false"),
    "one missing": ({"rouge1": 0.0, "rouge2": 0.0}, 0.5, 'rougeL in "t5.rouge" is missing'),
    "NaN": ({"rouge1": math.nan, "rouge2": math.inf, "rougeL": 10**400}, 0.5, "not a finite number"),
}


@pytest.mark.parametrize("defect", CLAIMS)
def test_a_defect_in_the_claims(defect: str, tmp_path: Path) -> None:
    claim, score, words = CLAIMS[defect]
    found = verdicts({**right(), "t5.rouge": claim}, tmp_path)
    assert found["rouge"].score == score
    assert words in found["rouge"].message, found["rouge"].message
    assert found["better"].score == 1


def test_without_rouge_score_the_fault_is_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent() -> None:
        raise ImportError

    monkeypatch.setattr(probe, "_scorer", absent)
    trial = trial_of(right(), tmp_path)
    assert log.modules(trial).score == 1
    for judge in (log.rouge, log.better):
        with pytest.raises(RuntimeError):  # which a grading counts as the grader's, at no cost
            judge(trial)


def test_odd_texts_are_scored(tmp_path: Path) -> None:
    """Empty texts, one word of 5,000 letters, other scripts, lone surrogates: whatever a model may give."""
    odd = ["", "y" * 5000, "ау на", "\ud800", "\x1b[31m", "ſ İ ß", "=1+1", "a\0b"]
    lists = {"references": odd, "scratch.predictions": [""] * 8, "t5.predictions": odd[::-1]}
    figures = {f"{model}.rouge": claims(odd, lists[f"{model}.predictions"]) for model in ("scratch", "t5")}
    found = verdicts({**right(), **lists, **figures}, tmp_path)
    assert found["rouge"].score == 1, found["rouge"].message


def test_what_the_staff_may_compare(tmp_path: Path) -> None:
    def notes(given: Mapping[str, Any]) -> list[str]:
        return [note for verdict in verdicts(given, tmp_path).values() for note in verdict.notes]

    own = right()
    first = notes(own)
    assert sorted(note.partition(":")[0] for note in first) == ["log", "predictions"]
    assert notes(right()) == first
    shuffled = dict(reversed(right().items()))
    assert notes(shuffled) == first  # the order of the keys is not the content
    later = notes({**own, "time": "2026-11-21"})
    assert later[0] != first[0] and later[1:] == first[1:]
    copied = notes({**own, "t5.predictions": own["references"]})
    assert any("t5.predictions equal the references in 60 of 60 documents" in note for note in copied)
    constant = notes({**own, "scratch.predictions": ["the same"] * 60})
    assert any("scratch.predictions are all the same text" in note for note in constant)


# ------------------------------------------------------------------------------------------- hostile


def many_keys() -> bytes:
    return json.dumps({f"transformer_layer.{index}.output.value": index for index in range(10**5)}).encode()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "10^5 keys": many_keys,
    "10^5 keys of other sorts": lambda: json.dumps({f"key{index}": index for index in range(10**5)}).encode(),
    "one key 10^5 times": lambda: b"{" + b",".join([b'"transformer_layer.a.b.value":1'] * 10**5) + b"}",
    "a key of 10^6 characters": lambda: json.dumps({"transformer_layer." + "é" * 10**6 + ".value": "1"}).encode(),
    "keys of control characters": lambda: json.dumps({f"transformer_layer.\x1b[2J{i}\n<b>.value": "" for i in range(99)}).encode(),  # noqa: E501
    "a number of 10^6 digits": lambda: b'{"transformer_layer.a.output.value": ' + b"9" * 10**6 + b"}",
    "a fraction of 10^6 digits": lambda: b'{"transformer_layer.a.output.value": 0.' + b"9" * 10**6 + b"}",
    "an exponent of 10^6 digits": lambda: b'{"transformer_layer.a.output.value": 1e' + b"9" * 10**6 + b"}",
    "two million empty lists": lambda: b'{"a": [' + b"[]," * 2 * 10**6 + b"[]]}",
    "two million empty objects": lambda: b'{"transformer_layer.a.output.value": [' + b"{}," * 2 * 10**6 + b"{}]}",
    "millions of numbers": lambda: b'{"transformer_layer.a.output.value": [' + b"1," * 4 * 10**6 + b"1]}",
    "backslashes": lambda: b'{"a": "' + b"\\\\" * 3 * 10**6 + b'"}',
    "long texts": lambda: json.dumps({**right(), **dict.fromkeys(("references", "scratch.predictions", "t5.predictions"), ["ab " * 1666] * 400)}).encode(),  # noqa: E501
    "long words": lambda: json.dumps({**right(), **dict.fromkeys(("references", "scratch.predictions", "t5.predictions"), ["ying" * 1250] * 400)}).encode(),  # noqa: E501
    "nulls": lambda: b"\0" * 10**6,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("attack", HOSTILE)
def test_hostile_files_are_read_in_time_and_earn_nothing(attack: str, tmp_path: Path) -> None:
    started = time.process_time()
    found = verdicts(HOSTILE[attack](), tmp_path)
    assert time.process_time() - started < 20
    if attack not in ("10^5 keys", "one key 10^5 times", "long texts", "long words", "a fraction of 10^6 digits"):
        assert scores(found) == (0, 0, 0), found
    if attack == "long texts":
        assert "texts that are too long to be scored" in found["rouge"].message


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from([10**400, 1e300, "1.5", ""]),
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(log.ROUGE) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
keys = st.sampled_from([key for key in right() if key != "time"]) | st.text(max_size=6).map(
    "transformer_layer.{}.value".format
)


@pytest.mark.slow
@settings(max_examples=80, derandomize=True, database=None, deadline=None)
@given(st.dictionaries(keys, anything, max_size=4), st.sets(keys, max_size=6))
def test_whatever_the_keys_hold_is_judged_without_a_fault_of_ours(changes: dict[str, Any], removed: set[str]) -> None:
    """A fault of ours would be worth full points: no content of the file may lead to one."""
    given = {key: value for key, value in right().items() if key not in removed} | changes
    with tempfile.TemporaryDirectory() as folder:
        found = verdicts(given, Path(folder))
    assert all(0 <= verdict.score <= 1 for verdict in found.values())
    if any(key.startswith(("references", "t5.pred")) for key in changes):
        assert found["better"].score < 1


@settings(max_examples=80, derandomize=True, database=None, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(TEXT) - 1), st.binary(max_size=3)), min_size=1, max_size=4))
def test_any_damage_to_the_bytes_is_judged_without_a_fault_of_ours(places: list[tuple[int, bytes]]) -> None:
    data = bytearray(TEXT.encode())
    for place, filling in places:
        data[place : place + len(filling)] = filling
    with tempfile.TemporaryDirectory() as folder:
        found = verdicts(bytes(data), Path(folder))
    assert all(0 <= verdict.score <= 1 for verdict in found.values())


# --------------------------------------------------------------------------------- through the sandbox


@pytest.mark.slow
def test_a_log_alone_is_graded_and_a_missing_one_costs_its_own_points(sandbox: Sandbox, tmp_path: Path) -> None:
    graded = helpers.grade(sandbox, {FILE: _right().encode()}, assignment=HOMEWORK)
    assert graded.scores() == dict.fromkeys(graded.scores(), 1.0), graded.messages()
    assert [result.status for result in graded.results] == ["graded"] * 3
    assert "summarization.ipynb was not found" in graded.document["output"]
    notes = [test["extra_data"].get("notes", []) for test in graded.document["tests"]]
    assert notes[0][0].startswith("log:")
    shown = " ".join(test["output"] for test in graded.document["tests"])
    assert notes[0][0].partition(":")[2] not in shown
    graded = helpers.grade(sandbox, {"summarization.ipynb": b"{}"}, assignment=HOMEWORK)
    assert set(graded.scores().values()) == {0.0}
    assert all("submission_log.json is not in the upload" in message for message in graded.messages())


@pytest.mark.slow
def test_the_log_costs_little_time(sandbox: Sandbox) -> None:
    """200 summaries of 20 words and two models: measured 0.35 CPU seconds, most of it to import rouge-score."""
    lists = {**texts(200)}
    figures = {f"{m}.rouge": claims(lists["references"], lists[f"{m}.predictions"]) for m in ("scratch", "t5")}
    with helpers.received(sandbox, {FILE: json.dumps({**right(), **lists, **figures}).encode()}, HOMEWORK) as taken:
        seen = sandbox.ask(taken, log.LOG, {}, seed=1, seconds=30)
    assert seen.values is not None, seen.error
    assert seen.cpu < 3  # a slow machine, not another order of work


def test_a_log_of_200_mb_is_refused_by_its_size(sandbox: Sandbox) -> None:
    data = b" " * (200 << 20)
    with helpers.reachable_folder() as folder:
        upload = folder / "upload.zip"
        with zipfile.ZipFile(upload, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("summarization.ipynb", b"{}")
            archive.writestr(FILE, data)
        started = time.monotonic()
        (folder / "workspace").mkdir()
        taken = submission.receive(upload, HOMEWORK, folder / "workspace", group=sandbox.uid)
        assert time.monotonic() - started < 5
    assert FILE in taken.absent
    assert any("larger than 50 MB" in remark for remark in taken.remarks)


@pytest.mark.slow
def test_hostile_bytes_through_the_wall(sandbox: Sandbox) -> None:
    for data in (b"[" * 10**6, HOSTILE["two million empty objects"](), b"\xff\xfe" * 1000, b""):
        graded = helpers.grade(sandbox, {FILE: data}, assignment=HOMEWORK)
        assert set(graded.scores().values()) == {0.0}
        assert all(result.status == "graded" for result in graded.results)
        assert all("could not be read" in message for message in graded.messages()) or b"transformer" in data


def test_a_file_that_the_upload_lacks(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="not in the upload"):
        probe.log({}, Student(tmp_path, (FILE,)))
