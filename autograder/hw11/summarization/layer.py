"""Asks and judges TransformerLayer: without a cache, step by step with it, the cache itself, and its gradients.

No luck is in any of this: the judge computes what is right in float64, and how far rounding may lead from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator
from scipy.special import erf

from autograder.core import Array, CheckFailed, Counterexample, Request, Specs, Trial, Values, Verdict
from autograder.hw11.summarization import transformer
from autograder.hw11.summarization.transformer import Block, Sublayer, Weights, add_and_norm, normed
from autograder.judging.judges import apart, array, got_and_expected, passed, shown, tolerance_ratio, within
from autograder.judging.rounding import Bounded, Number, add, exact
from autograder.sandbox.parts import each, item, items, pack, section, take
from autograder.sandbox.returns import entries, flag, numbers, parts, text
from autograder.text import clean

CASES = ((8, 2, 16, 3, 5, 4, False), (12, 3, 20, 2, 7, 6, True), (6, 1, 8, 1, 1, 3, True), (16, 4, 24, 2, 4, 3, True))
"""Of each case d_model, heads, d_ffn, batch, n, m, and whether float64 is tried."""
MOST_CASES = 8
"""Of one request."""
SINGLE, DOUBLE = 2.0**-24, 2.0**-52
"""Unit roundoffs; twice float64's own, since the judge's numbers are float64's, too."""
CAP = 0.01
"""Where a student's code knows float32 only, worst cases multiply to more than the values themselves after two or
three layers, so no bound is larger than this. Right solutions differ by 1e-6 there (the benchmark shows the share
of a bound that is used), mistakes by 0.1 and more; in float64, which nearly all can do, the bound is some 1e-9."""
SPREAD = 0.4
"""Scale of the weights: with larger ones rounding, at its worst, would blur the mistakes."""

# ---------------------------------------------------------------------------------------- what is asked


def weights_of(rng: Generator, d_model: int, d_ffn: int, *, spread: float = SPREAD) -> Weights:
    """A decoder's layer; float32 numbers."""
    found: dict[str, Array] = {}

    def linear(name: str, out: int, into: int) -> None:
        found[f"{name}.weight"] = spread * rng.standard_normal((out, into)) * np.sqrt(4 / into)
        found[f"{name}.bias"] = spread * rng.standard_normal(out)

    for block in ("self_attn", "cross_attn"):
        for part in "qkvo":
            linear(f"{block}.{part}_proj", d_model, d_model)
    linear("fc1", d_ffn, d_model)
    linear("fc2", d_model, d_ffn)
    for norm in ("self_attn_ln", "cross_attn_ln", "ffn_ln"):
        found[f"{norm}.weight"] = 1 + spread * rng.uniform(-1, 1, d_model)
        found[f"{norm}.bias"] = spread * rng.standard_normal(d_model)
    return {name: weight.astype(np.float32) for name, weight in found.items()}


def padding_of(rng: Generator, batch: int, length: int) -> Array:
    """(batch, length), 1 at padding, which is at the end; the first row has some where it can, the last has none."""
    lengths = rng.integers(1, length + 1, batch)
    lengths[0] = max(1, length - 1)
    lengths[-1] = length
    mask: Array = (np.arange(length) >= lengths[:, None]).astype(np.int64)
    return mask


def _layer(rng: Generator) -> Values:
    cases: list[dict[str, Any]] = []
    for d_model, heads, d_ffn, batch, n, m, double in CASES:

        def normal(*shape: int) -> Array:
            return rng.standard_normal(shape).astype(np.float32)

        values = {
            "heads": heads,
            "double": double,
            "x": normal(batch, n, d_model),
            "y": normal(batch, n, d_model),
            "slope": normal(batch, n, d_model),
            "memory": normal(batch, m, d_model),
            "padding": padding_of(rng, batch, n),
            "memory_padding": padding_of(rng, batch, m),
            "w": weights_of(rng, d_model, d_ffn),
        }
        cases.append(values)
    return pack(cases=cases)


FORM = text(80)
"""Words for what came back in place of a cache."""


def _returns(given: Values) -> Specs:
    each: dict[str, list[dict[str, Any]]] = {part: [] for part in ("encoder", "decoder", "cached", "training")}
    for case in items(given, "cases"):
        x, memory = (np.asarray(case[name]) for name in ("x", "memory"))
        out, double = entries(x.size), {"double": flag()}
        steps = x.shape[1] * [{"cache": numbers(most=2 * x.size), "form": FORM}]
        weights = {name: numbers(*np.shape(value)) for name, value in take(case, "w").items()}
        slopes = {"x": numbers(*x.shape), "memory": numbers(*memory.shape)}
        slopes |= {f"w.{name}": spec for name, spec in weights.items()}
        values: dict[str, dict[str, Any]] = {
            "encoder": {"out": out, "pair": flag()},
            "decoder": {"out": out},
            "cached": {name: {"out": out, "kept": flag(), "steps": steps} for name in "xy"},
            "training": {**dict.fromkeys(("out", "again", "dropped"), out), "noisy": 2 * [out], "to": slopes},
        }
        for part, own in values.items():
            each[part].append({**own, **double})
    return parts(**{part: {"cases": cases} for part, cases in each.items()})


REQUEST = Request("summarization.probes:layer", _layer, seconds=20.0, returns=_returns, needs=("summarization.ipynb",))

# ------------------------------------------------------------------------------------- what is expected


@dataclass(frozen=True, eq=False)
class LayerCase:
    """One case in float64, and the unit roundoff in which it was answered."""

    values: Mapping[str, Any]
    weights: Weights
    u: float
    _right: dict[str, Bounded] = field(default_factory=dict)

    @property
    def heads(self) -> int:
        return int(self.values["heads"])

    def number(self, name: str) -> Bounded:
        return exact(self.values[name].astype(float), self.u)

    def encoder(self, **changes: Any) -> Bounded:
        named = changed({"padding": self.values["padding"]}, changes, self.number("x"), _square(self.number("x")))
        return self._bounded(transformer.layer(self.number("x"), self.weights, self.heads, **named))

    def decoder(self, x: str = "x", **changes: Any) -> Bounded:
        """The decoder's output; without changes it is asked for by several judges, and kept."""
        if changes:
            return self._decoder(x, changes)
        if x not in self._right:
            self._right[x] = self._decoder(x, {})
        return self._right[x]

    def _decoder(self, x: str, changes: Mapping[str, Any]) -> Bounded:
        return self._bounded(self.decoded(self.number(x), self.number("memory"), self.weights, changes))

    def decoded(self, x: Number, memory: Number, weights: Weights, changes: Mapping[str, Any]) -> Number:
        """The decoder's layer, right but for the changes, of numbers of whatever kind."""
        right = {"causal": True, "memory": memory, "memory_padding": self.values["memory_padding"]}
        return transformer.layer(x, weights, self.heads, **changed(right, changes, x, _square(x)))

    def _bounded(self, found: Number) -> Bounded:
        assert isinstance(found, Bounded)
        return found.capped(CAP)


INVERTED = "inverted"
"""In place of a padding mask: the one that hides what the right one shows."""
THE_INPUT = "x"
"""In place of the encoder's output: the layer's own input."""


@dataclass(frozen=True, eq=False)
class Sight:
    """Which keys each query of a decoder sees: visible (n, k), and own (n, k), which of them is its own position."""

    visible: Array
    own: Array


def _square(x: Number) -> Sight:
    """All positions at once."""
    n = (x if isinstance(x, np.ndarray) else x.value).shape[1]
    return Sight(np.tri(n, dtype=bool), np.eye(n, dtype=bool))


def changed(named: Mapping[str, Any], changes: Mapping[str, Any], x: Number, sight: Sight) -> dict[str, Any]:
    """The arguments of `transformer.layer` with a mistake's changes; what is hidden is a function of what is seen."""
    found = dict(named)
    for key, value in changes.items():
        if value == INVERTED:
            found[key] = None if named[key] is None else 1 - named[key]
        elif value == THE_INPUT:
            found[key] = x
        elif key.endswith("hidden"):
            found[key] = value(sight)
        else:
            found[key] = value
    return found


@lru_cache(maxsize=8)
def _cases(trial: Trial, part: str) -> tuple[tuple[LayerCase, Trial], ...]:
    """The cases, with what came back for each in one part. Raises `CheckFailed` where the part has a fault."""
    answers = each(Trial(trial.given, section(trial, part).got))
    found = []
    for index, one in enumerate(answers):
        case = _case(trial, index, DOUBLE if one.got.get("double") is True else SINGLE)
        found.append((case, Trial(case.values, one.got)))
    return tuple(found)


@lru_cache(maxsize=2 * MOST_CASES)
def _case(trial: Trial, index: int, u: float) -> LayerCase:
    """One for all parts that were answered in this precision."""
    values = items(trial.given, "cases")[index]
    return LayerCase(values, {name: weight.astype(float) for name, weight in take(values, "w").items()}, u)


def _output(trial: Trial, name: str, what: str) -> Array:
    return single(trial, name, np.shape(trial.given["x"]), what)


def single(trial: Trial, name: str, shape: Sequence[int], what: str) -> Array:
    """The output of this name. Raises `CheckFailed` where it is float64 though what it was made of was float32."""
    found, raw = array(trial.got, name, shape=shape, what=what), trial.got[name]
    if trial.got.get("double") is not True and isinstance(raw, np.ndarray) and raw.dtype == np.float64:
        raise CheckFailed(
            f"{what} has type float64, but inputs and weights have type float32. Expected: float32, because the "
            "float32 weights of the next layer accept nothing else.",
            diagnosis="dtype",
        )
    return found


# ------------------------------------------------------------------------------------- known mistakes


def _without_residual(x: Number, change: Sublayer, weights: Weights, norm: str) -> Number:
    return normed(change(x), weights, norm)


def _without_norm(x: Number, change: Sublayer, weights: Weights, norm: str) -> Number:
    return add(x, change(x))


def _norm_inside(x: Number, change: Sublayer, weights: Weights, norm: str) -> Number:
    return add(x, normed(change(x), weights, norm))


def _norm_alone(x: Number, change: Sublayer, weights: Weights, norm: str) -> Number:
    return normed(x, weights, norm)


def _skipped(x: Number, change: Sublayer, weights: Weights, norm: str) -> Number:
    return x


def _pre_norm(x: Number, change: Sublayer, weights: Weights, norm: str) -> Number:
    return add(x, change(normed(x, weights, norm)))


def _one_norm(norm: str) -> Block:
    """The same normalisation in all blocks."""

    def block(x: Number, change: Sublayer, weights: Weights, _name: str) -> Number:
        return add_and_norm(x, change, weights, norm)

    return block


def _gelu(x: Number) -> Number:
    """Its slope is at most 1.13, and erf is as exact as any function."""
    plain = x.value if isinstance(x, Bounded) else x
    value: Array = plain * (1 + erf(plain / np.sqrt(2))) / 2
    return Bounded(value, 1.13 * x.error, x.u).rounded(8) if isinstance(x, Bounded) else value


@dataclass(frozen=True)
class LayerMistake:
    """A known mistake of the layer: what it changes in an encoder's layer and in a decoder's."""

    id: str
    sentence: str
    encoder: Mapping[str, Any] = field(default_factory=dict)
    decoder: Mapping[str, Any] = field(default_factory=dict)


RIGHT = LayerMistake("", "")


def _everywhere(id: str, sentence: str, **changes: Any) -> LayerMistake:
    return LayerMistake(id, sentence, changes, changes)


def _only(norm: str, other: Block) -> Block:
    """The other way in one block, the right one in all others."""

    def block(x: Number, change: Sublayer, weights: Weights, name: str) -> Number:
        return (other if name == norm else add_and_norm)(x, change, weights, name)

    return block


BLOCKS = {"self_attn_ln": "self-attention", "cross_attn_ln": "cross-attention", "ffn_ln": "feed-forward"}

SKIPPED = {"self_attn_ln": "sum_self_skipped", "cross_attn_ln": "sum_cross_skipped", "ffn_ln": "sum_ffn_skipped"}

FORMS = (
    _everywhere(
        "sum_residual_lost",
        "The residual connections are missing. Each block normalises x + change, not the change alone.",
        block=_without_residual,
    ),
    *(
        _everywhere(
            "sum_residual_lost",
            f"The {words} block has no residual connection (x + change).",
            block=_only(norm, _without_residual),
        )
        for norm, words in BLOCKS.items()
    ),
    *(
        _everywhere(SKIPPED[norm], f"The {words} block is missing{rest}.", block=_only(norm, other))
        for norm, words in BLOCKS.items()
        for other, rest in ((_skipped, ""), (_norm_alone, " except for its LayerNorm"))
    ),
    _everywhere("sum_norm_lost", "The layer normalisations after x + change are missing.", block=_without_norm),
    *(
        _everywhere("sum_norm_lost", f"The {words} block has no LayerNorm.", block=_only(norm, _without_norm))
        for norm, words in BLOCKS.items()
    ),
    _everywhere(
        "sum_norm_lost", "Only the change was normalised. Expected: LayerNorm(x + change).", block=_norm_inside
    ),
    _everywhere(
        "sum_pre_norm",
        "The normalisation was applied before each block (pre-norm). Expected: after x + change.",
        block=_pre_norm,
    ),
    *(
        _everywhere(
            "sum_residual_of_layer",
            "A later block adds the input of the layer. Expected: each block adds its own input, which is the "
            "output of the block before it.",
            from_input=blocks,
        )
        for blocks in (("ffn_ln",), ("cross_attn_ln",), ("cross_attn_ln", "ffn_ln"))
    ),
    *(
        _everywhere(
            "sum_one_norm",
            f"The LayerNorm of the {words} block, {norm}, is used in all blocks. Expected: each block uses its own.",
            block=_one_norm(norm),
        )
        for norm, words in BLOCKS.items()
    ),
    _everywhere("sum_activation", "GELU was used between fc1 and fc2. Expected: ReLU.", activation=_gelu),
    _everywhere("sum_activation", "The ReLU between fc1 and fc2 is missing.", activation=lambda x: x),
    LayerMistake(
        "sum_padding_ignored",
        "The encoder's padding mask does not reach the cross-attention, so the cross-attention attends to padding.",
        decoder={"memory_padding": None},
    ),
    LayerMistake(
        "sum_padding_inverted",
        "The encoder's padding mask is inverted in the cross-attention. A 1 marks a position that must not be seen.",
        decoder={"memory_padding": INVERTED},
    ),
)
"""Mistakes that have nothing to do with the cache: who makes them with and without it has made them once."""


PLAIN = (
    *FORMS,
    LayerMistake(
        "sum_padding_ignored",
        "The padding mask does not reach the encoder's self-attention, so the self-attention attends to padding.",
        encoder={"padding": None},
    ),
    LayerMistake(
        "sum_padding_inverted",
        "The padding mask is inverted in the self-attention. A 1 marks a position that must not be seen.",
        encoder={"padding": INVERTED},
        decoder={"hidden": lambda sight: np.ones_like(sight.own)},
    ),
    LayerMistake(
        "sum_not_causal",
        "A position of the decoder sees later positions. Its self-attention must be causal.",
        decoder={"causal": False},
    ),
    LayerMistake(
        "sum_not_causal",
        "The causal mask is reversed. A position of the decoder sees itself and later positions, not earlier ones.",
        decoder={"hidden": lambda sight: sight.visible & ~sight.own},
    ),
    LayerMistake(
        "sum_causal_encoder",
        "A position of the encoder sees earlier positions only. Its self-attention must not be causal.",
        encoder={"causal": True},
    ),
)


def _close(got: Array, want: Bounded, where: Any) -> bool:
    """Whether it is this known mistake's output: its rounding is bounded like that of the right one."""
    return within(got[where], want.value[where], 2 * want.error[where] + 1e-9)


# ------------------------------------------------------------------------------------------- the judges


@lru_cache(maxsize=4)
def _form(trial: Trial) -> LayerMistake | None:
    """The mistake without a cache that explains the decoder's outputs, None where they are right or unexplained."""
    try:
        cases = _cases(trial, "decoder")
        outs = [_output(one, "out", "The output") for _, one in cases]
    except CheckFailed:
        return None
    for form in (RIGHT, *FORMS):
        if (form is RIGHT or form.decoder) and all(
            _close(out, case.decoder(**form.decoder), ...) for out, (case, _) in zip(outs, cases, strict=True)
        ):
            return None if form is RIGHT else form
    return None


def plain(trial: Trial) -> Verdict:
    """Encoder's and decoder's layer without a cache, where positions are not padding."""
    seen: list[tuple[LayerCase, Array, Array]] = []
    used, wrong = 0.0, ""
    for part, kind in (("encoder", "an encoder"), ("decoder", "a decoder")):
        for case, one in _cases(trial, part):
            out = _output(one, "out", f"The output of {kind}'s layer")
            padding: Array = case.values["padding"]
            where: Array = padding == 0 if part == "encoder" else padding < 2
            want = case.encoder() if part == "encoder" else case.decoder()
            close = tolerance_ratio(out[where], want.value[where], want.error[where])
            seen.append((case, out, where))
            used = max(used, close)
            if close > 1 and not wrong:
                wrong = kind
    if not wrong:
        pairs = any(one.got.get("pair") is True for _, one in _cases(trial, "encoder"))
        return passed(
            "Without a cache the output of the layer is right in the encoder and in the decoder."
            + (
                " The layer returns a pair (output, None). The output alone is enough, but the pair is accepted."
                if pairs
                else ""
            ),
            tolerance_used=used,
        )
    for mistake in PLAIN:
        encoders = (_close(out, case.encoder(**mistake.encoder), where) for case, out, where in seen[: len(CASES)])
        decoders = (_close(out, case.decoder(**mistake.decoder), where) for case, out, where in seen[len(CASES) :])
        if all(itertools.chain(encoders, decoders)):  # one after the other, and hardly ever all of them
            break
    else:
        mistake = LayerMistake("", "Compare each line of your code with the formula of its block.")
    raise CheckFailed(
        f"Without a cache the output of {wrong}'s layer is wrong. Expected: self-attention, cross-attention "
        f"(decoder only) and feed-forward, each as LayerNorm(x + Dropout(change)). {mistake.sentence}",
        diagnosis=mistake.id,
    )


def _all_but_first(sight: Sight) -> Array:
    return np.broadcast_to(np.arange(sight.own.shape[1]) > 0, sight.own.shape)


def _all_but_earlier(sight: Sight) -> Array:
    """Hidden where the newest position is left out; alone it sees itself, or there would be nothing to see."""
    earlier = sight.visible & ~sight.own
    hidden: Array = ~np.where(earlier.any(1, keepdims=True), earlier, sight.own)
    return hidden


IN_CACHE = (
    LayerMistake(
        "sum_causal_in_cache",
        "The newest position sees only the first position. With a single query, a causal mask hides every key "
        "except key 0. The newest position may see the whole cache, so it needs no mask.",
        decoder={"hidden": _all_but_first},
    ),
    LayerMistake(
        "sum_cache_lost",
        "The newest position sees only itself. Expected: keys and values from the cache and from x.",
        decoder={"hidden": lambda sight: ~sight.own},
    ),
    LayerMistake(
        "sum_newest_left_out",
        "The newest position does not see itself. Expected: keys and values from the cache and from x.",
        decoder={"hidden": _all_but_earlier},
    ),
    LayerMistake(
        "sum_cross_from_cache",
        "The cross-attention sees the decoder's cache. Expected: keys and values from encoder_out.",
        decoder={"memory": THE_INPUT, "memory_padding": None, "memory_hidden": lambda sight: ~sight.visible},
    ),
)


def step_by_step(trial: Trial) -> Verdict:
    """The outputs with a cache against those of all positions at once."""
    form = _form(trial)
    outs = [
        (case, name, _output(one, f"{name}.out", "The output with use_cache"))
        for case, one in _cases(trial, "cached")
        for name in ("x", "y")
    ]
    shares = [_shares(outs, mistake) for mistake in ((RIGHT, form) if form else (RIGHT,))]
    used = min(max(float(each.max()) for each in found) for found in shares)
    if used <= 1:
        return passed(
            ("Step by step with the cache, the layer gives the same output as for all positions at once."),
            tolerance_used=used,
        )
    (_, name, _), each = next(pair for pair in zip(outs, shares[-1], strict=True) if pair[1].max() > 1)
    known = next((one for one in (*IN_CACHE, *FORMS) if all(_is(one, *out) for out in outs)), None)
    which = "of a second sequence through the same layer " if name == "y" else ""
    raise CheckFailed(
        (
            f"With use_cache the output {which}is wrong from step {np.argmax(each > 1) + 1} on. Expected: at step i, "
            "the output for position i when all positions are processed at once. "
        )
        + (known.sentence if known else "Check which keys and values the newest position sees, and in which order."),
        diagnosis=known.id if known else "",
    )


def _shares(outs: Sequence[tuple[LayerCase, str, Array]], form: LayerMistake) -> list[Array]:
    """Of each sequence and step the share of the rounding bound that is used."""
    found = []
    for case, name, out in outs:
        want = case.decoder(name, **form.decoder)
        found.append(
            np.array([tolerance_ratio(out[:, i], want.value[:, i], want.error[:, i]) for i in range(out.shape[1])])
        )
    return found


def _is(mistake: LayerMistake, case: LayerCase, name: str, out: Array) -> bool:
    """Whether the mistake is what gives this output."""
    return bool(mistake.decoder) and _close(out, case.decoder(name, **mistake.decoder), ...)


def cache(trial: Trial) -> Verdict:
    """What is returned as the cache, and that nothing handed in was changed."""
    for _, one in _cases(trial, "cached"):
        if one.got.get("x.kept") is not True or one.got.get("y.kept") is not True:
            raise CheckFailed(
                "The call changed x, the encoder's output or an earlier cache in place. Expected: a new tensor, as "
                "torch.cat makes one, because other beams and other calls still need the old one.",
                diagnosis="sum_in_place",
            )
    for case, one in _cases(trial, "cached"):
        x: Array = case.values["x"]
        for step in range(x.shape[1]):
            came = take(one.got, item("x.steps", step))
            if "form" in came:
                form = clean(str(came["form"]), limit=60, line=True)
                raise CheckFailed(
                    f"The new cache that was returned at step {step + 1} is {form}. Expected: a tensor (batch, i, "
                    "d_model) with the inputs of this layer so far, also at the first step.",
                    diagnosis="sum_cache_lost",
                )
            held = array(came, "cache", what=f"The cache after step {step + 1}")
            want = x[:, : step + 1].astype(float)
            if held.shape != want.shape:
                raise CheckFailed(
                    f"After step {step + 1} the cache has shape {list(held.shape)}. Expected: shape "
                    f"{list(want.shape)}, which is batch, positions so far, d_model.",
                    diagnosis="sum_cache_wrong_axis" if held.size == want.size else "sum_cache_lost",
                )
            if not np.array_equal(held, want):
                raise CheckFailed(
                    f"After step {step + 1} the cache is wrong. Expected: the inputs of the layer so far, unchanged "
                    f"and in order. {_instead(x, one, held, step)}",
                    diagnosis="sum_cache_of_outputs" if _outputs(one, held, step) else "sum_cache_content",
                )
    return passed("The cache holds the inputs of the layer so far, and nothing was changed in place.")


def _outputs(one: Trial, held: Array, step: int) -> bool:
    """Whether the cache holds the layer's outputs; not where these have another shape than was asked for."""
    try:
        outs = _output(one, "x.out", "The output")
    except CheckFailed:
        return False
    return within(held, outs[:, : step + 1], 1e-6)


def _instead(x: Array, one: Trial, held: Array, step: int) -> str:
    if _outputs(one, held, step):
        return "It holds the outputs of the layer, but keys and values are computed from its inputs."
    if step and np.array_equal(held, np.roll(x[:, : step + 1].astype(float), 1, axis=1)):
        return "The newest input comes first, but it belongs at the end."
    return "Append the x of each step, as the layer receives it."


def training(trial: Trial) -> Verdict:
    """Gradients without a cache, dropout in train mode, none in eval mode."""
    for case, one in _cases(trial, "training"):
        out, again = (_output(one, name, "The output") for name in ("out", "again"))
        if not np.array_equal(out, again):
            raise CheckFailed(
                "In eval mode two calls with the same x gave different outputs. Is there a dropout that ignores the "
                "mode? Expected: the same output.",
                diagnosis="sum_dropout_in_eval",
            )
        if case.values["x"].shape[1] > 1:  # of one position's few numbers dropout may happen to keep all
            noisy = [_output(one, item("noisy", turn), "The output in train mode") for turn in (0, 1)]
            if np.array_equal(noisy[0], noisy[1]):
                raise CheckFailed(
                    "In train mode, with p_drop = 0.5, two calls with the same x gave the same output. Expected: "
                    "dropout after each attention and after the feed-forward network.",
                    diagnosis="sum_no_dropout",
                )
        fitting = next((each for each in (RIGHT, *PLAIN) if _close(out, case.decoder(**each.decoder), ...)), None)
        if fitting is None:
            raise CheckFailed(
                "The output without a cache is wrong, so its gradients are wrong, too. Expected: the gradients of "
                "the layer's formula."
            )
        _slopes(case, one, fitting.decoder)
        alone = case.decoder(block=_norm_alone)
        if fitting is RIGHT and not within(
            _output(one, "dropped", "The output in train mode"), alone.value, alone.error
        ):
            raise CheckFailed(
                "In train mode, with p_drop = 1, the output is not the output of the three norms alone. Expected: "
                "dropout applies to each attention and to the feed-forward output before x is added. With p_drop = "
                "1 nothing of them is left.",
                diagnosis="sum_no_dropout",
            )
    return passed("The gradients are right, and dropout is active in train mode only.")


def _slopes(case: LayerCase, one: Trial, changes: Mapping[str, Any]) -> None:
    """Each gradient along one direction, against the derivative of the judge's own layer (a complex step)."""
    forward = case.decoder(**changes)
    slope: Array = case.values["slope"].astype(float)
    rng = np.random.Generator(np.random.Philox(1))  # directions that are used once, after the answer is there
    places = {"x": case.values["x"], "memory": case.values["memory"], **{f"w.{n}": w for n, w in case.weights.items()}}
    # The way back goes through the same products as the way there, so rounding grows like there: by at most the
    # largest error beside outputs of size 1, and twice, since the way there is part of it.
    grown = 4 * float(forward.error.max())
    directions = {name: rng.standard_normal(place.shape) for name, place in places.items()}
    if _right_together(case, one, directions, slope, grown, changes):
        return
    for name, place in places.items():
        along = directions[name]
        want = float((_derivative(case, {name: along}, changes) * slope).sum())
        got = one.got.get(f"to.{name}")
        what = name.removeprefix("w.")
        if not isinstance(got, np.ndarray):
            if abs(want) <= 1e-12:
                continue  # a mistake of the output's: there nothing depends on it
            raise CheckFailed(
                f"No gradient of the output reached {what}. Was a tensor detached, read through .data, or computed "
                "under torch.no_grad()? Expected: a gradient for everything that the output depends on.",
                diagnosis="sum_detached",
            )
        seen = float(
            (array(one.got, f"to.{name}", shape=place.shape, what=f"The gradient with respect to {what}") * along).sum()
        )
        size = float(np.abs(slope).sum() + np.abs(array(one.got, f"to.{name}") * along).sum())
        if not within(seen, want, grown * size + 1e-12):
            raise CheckFailed(
                f"The gradient with respect to {what} is not the derivative of the output. Along one direction the "
                f"derivative is {got_and_expected(seen, want)} Was a part of it detached, or changed in place?",
                diagnosis="sum_detached",
            )


def _right_together(
    case: LayerCase, one: Trial, directions: Mapping[str, Array], slope: Array, grown: float, changes: Mapping[str, Any]
) -> bool:
    """Whether the sum of all gradients along their directions is right within what each of them is allowed alone.

    One derivative in place of 28. Gradients that are off by e, all of them together, change the sum by a normal number
    of standard deviation |e|: it hides them in a case with a probability below 0.8 bound / |e|, and is drawn anew in
    each of the cases. Where it says no, or something is missing, each gradient is looked at by itself.
    """
    try:
        got = {name: array(one.got, f"to.{name}", shape=along.shape) for name, along in directions.items()}
    except CheckFailed:
        return False
    parts = [got[name] * along for name, along in directions.items()]
    size = float(np.abs(slope).sum() + min(np.abs(part).sum() for part in parts))
    want = float((_derivative(case, directions, changes) * slope).sum())
    return within(sum(float(part.sum()) for part in parts), want, grown * size + 1e-12)


def _derivative(case: LayerCase, directions: Mapping[str, Array], changes: Mapping[str, Any]) -> Array:
    """The derivative of the output along directions of places, their names "x", "memory" and "w.NAME", together.

    By a complex step (Squire and Trapp 1998): exact up to rounding.
    """
    tiny = 1e-30
    values: dict[str, Array] = {n: case.values[n].astype(complex) for n in ("x", "memory")}
    weights = {n: weight.astype(complex) for n, weight in case.weights.items()}
    for name, along in directions.items():
        of, own = (values, name) if name in values else (weights, name.removeprefix("w."))
        of[own] = of[own] + 1j * tiny * along
    out = case.decoded(values["x"], values["memory"], weights, changes)
    assert isinstance(out, np.ndarray)
    return out.imag / tiny


# ------------------------------------------------------------------------------- the smallest example

Rows = tuple[tuple[int, ...], ...]
TINY: tuple[tuple[int, Rows, Rows, int], ...] = (
    (1, ((1, 1, 1),), ((2, 2, 1),), 0),
    (1, ((1, 1, 1), (3, 3, 2)), ((2, 2, 1),), 0),
    (1, ((1, 1, 1), (3, 3, 2)), ((2, 2, 1),), 1),
    (1, ((1, 1, 1),), ((2, 2, 1), (0, 3, 0)), 1),
    (2, ((1, 1, 1, 2), (3, 3, 2, 0)), ((2, 2, 1, 0),), 0),
)
"""Heads, x and the encoder's output, each a row a position, and how many at the end of several are padding. Of
two numbers a norm leaves hardly more than a sign, which a mistake may not change: so they are three. These numbers are
such that 25 of the 30 known mistakes of a decoder's layer change an output of the second case by 0.02 or more."""
VISIBLE = 0.01
"""An output that is nearer than this to the expected one is no example that a person could see."""
FILL = "p.data = torch.arange(1., p.numel()+1).cos().view_as(p)"
"""How students set every parameter p of a layer: a line to try, and no two entries of a weight alike."""


def filled(*shape: int) -> Array:
    """The parameter of this shape that `FILL` makes."""
    found: Array = np.cos(np.arange(1.0, np.prod(shape) + 1)).reshape(shape).astype(np.float32)
    return found


def tiny_weights(d_model: int, d_ffn: int) -> dict[str, Array]:
    """A decoder's layer that `FILL` has filled."""
    like = weights_of(np.random.Generator(np.random.Philox(0)), d_model, d_ffn)
    return {name: filled(*weight.shape) for name, weight in like.items()}


def tail_of(rows: Sequence[Any], padded: int) -> Array:
    """The padding mask (1, n) of rows, as many at the end of which are padding; of a single one none is."""
    return np.array([[*[0] * (len(rows) - padded), *[1] * padded] if len(rows) > 1 else [0]])


def _tiny(_rng: Generator) -> Values:
    cases: list[dict[str, Any]] = []
    for heads, x, memory, padded in TINY:
        rows, held = (np.array([of], np.float32) for of in (x, memory))
        values = {
            "heads": heads,
            "double": True,
            "x": rows,
            "y": rows,
            "slope": np.ones_like(rows),
            "memory": held,
            "padding": tail_of(x, padded),
            "memory_padding": tail_of(memory, padded),
            "w": tiny_weights(len(x[0]), len(x[0])),
        }
        cases.append(values)
    return pack(cases=cases)


TINY_ASK = Request(
    "summarization.probes:layer", _tiny, seconds=3, deterministic=True, returns=_returns, needs=("summarization.ipynb",)
)


def _made_of(index: int, *, decodes: bool) -> str:
    heads, x, memory, padded = TINY[index]
    d_model = len(x[0])
    other = f", encoder_out = {shown([memory])}" if decodes else ""
    padding = ", the last one padding," if tail_of(memory if decodes else x, padded).any() else ""
    return f"TransformerLayer({decodes}, {d_model}, {heads}, {d_model}, 0.0), {FILL}, x = {shown([x])}{other}{padding}"


def unlike(out: Array, want: Bounded, where: Array) -> int | None:
    """The first of these positions (n,) at which the output is clearly not what is wanted."""
    wrong = [not within(out[:, i], want.value[:, i], want.error[:, i] + VISIBLE) for i in range(out.shape[1])]
    return next((i for i, is_wrong in enumerate(wrong) if is_wrong and where[i]), None)


def _first_plain(_failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny case in which a layer without a cache gives something else."""
    parts = {part: _cases(tiny, part) for part in ("encoder", "decoder")}
    for index in range(len(TINY)):
        for part, cases in parts.items():
            case, one = cases[index]
            out, decodes = _output(one, "out", "The output"), part == "decoder"
            want = case.decoder() if decodes else case.encoder()
            at = unlike(out, want, case.values["padding"][0] == 0 if not decodes else np.ones(out.shape[1], bool))
            if at is not None:
                given = _made_of(index, decodes=decodes)
                return f"Smallest example: {given} gave {against(out, want, at)}."
    return ""


def against(out: Array, want: Bounded, at: int) -> str:
    got, expected = apart(out[0, at], want.value[0, at], 3)
    return f"at position {at + 1} {got}; expected {expected}"


def _first_step(failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny step that differs from what the layer should give for all positions at once."""
    form = _form(failed) or RIGHT
    for index, (case, one) in enumerate(_cases(tiny, "cached")):
        out = _output(one, "x.out", "The output with use_cache")
        want, everywhere = case.decoder("x", **form.decoder), np.ones(out.shape[1], bool)
        at = unlike(out, want, everywhere)
        if at is not None and unlike(out, case.decoder("x"), everywhere) is not None:
            given = _made_of(index, decodes=True)
            return f"Smallest example: with use_cache, {given} gave {against(out, want, at)}."
    return ""


def _first_cache(_failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny step whose new cache is not the inputs so far."""
    for case, one in _cases(tiny, "cached"):
        x: Array = case.values["x"]
        for step in range(x.shape[1]):
            want = x[:, : step + 1].astype(float)
            came = take(one.got, item("x.steps", step))
            form = came.get("form")
            held = None if isinstance(form, str) else array(came, "cache", what="The cache")
            if held is not None and np.array_equal(held, want):
                continue
            told = shown(held, 3) if held is not None else clean(str(form), limit=60, line=True)
            return (
                f"Smallest example: x = {shown(x)}, step by step, left after step {step + 1} the cache {told}; "
                f"expected {shown(want)}."
            )
    return ""


SMALLEST_PLAIN, SMALLEST_STEP, SMALLEST_CACHE = (
    Counterexample(TINY_ASK, first) for first in (_first_plain, _first_step, _first_cache)
)
