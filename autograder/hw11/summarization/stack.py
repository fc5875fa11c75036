"""Asks and judges TransformerStack, with layers of ours: embeddings, positions, masks, and a cache for each layer."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.random import Generator

from autograder.core import Array, CheckFailed, Counterexample, Request, Specs, Trial, Values, Verdict
from autograder.hw11.summarization import transformer
from autograder.hw11.summarization.layer import (
    CAP,
    DOUBLE,
    FILL,
    MOST_CASES,
    SINGLE,
    against,
    filled,
    padding_of,
    single,
    tail_of,
    tiny_weights,
    unlike,
    weights_of,
)
from autograder.hw11.summarization.transformer import Weights
from autograder.judging.judges import array, passed, shown, tolerance_ratio, within
from autograder.judging.rounding import Bounded, add, exact, layer_norm
from autograder.sandbox.parts import each, items, pack, section, take
from autograder.sandbox.returns import entries, flag, numbers, parts, word
from autograder.text import clean

CASES = ((8, 2, 16, 1, 7, 2, 4, 3, False), (6, 1, 12, 3, 9, 3, 6, 5, True), (12, 3, 16, 2, 11, 1, 7, 1, True))
"""Of each case d_model, heads, d_ffn, layers, vocabulary, batch, n, m, and whether float64 is tried."""
SPREAD = 0.25
PAD, FIRST = 0, 3
"""The padding's id, and the first that is no special token."""

# ---------------------------------------------------------------------------------------- what is asked


def stack_values(rng: Generator, d_model: int, d_ffn: int, layers: int, vocab: int, positions: int) -> dict[str, Any]:
    """The weights of the embeddings, `w`, and of each of the `layers` its own, `w`, as float32 numbers."""
    embeddings = {
        "emb_word.weight": rng.standard_normal((vocab, d_model)),
        "emb_pos.weight": rng.standard_normal((positions, d_model)),
        "emb_ln.weight": 1 + 0.4 * rng.uniform(-1, 1, d_model),
        "emb_ln.bias": 0.4 * rng.standard_normal(d_model),
    }
    own = {name: weight.astype(np.float32) for name, weight in embeddings.items()}
    return {"w": own, "layers": [{"w": weights_of(rng, d_model, d_ffn, spread=SPREAD)} for _ in range(layers)]}


def _behind(pasts: Sequence[Array], values: dict[str, Any]) -> dict[str, Any]:
    """The same weights, with a cache for each of the layers, `past`."""
    layers = [{**layer, "past": past} for layer, past in zip(values["layers"], pasts, strict=True)]
    return {**values, "layers": layers}


def _stack(rng: Generator) -> Values:
    cases: list[dict[str, Any]] = []
    for d_model, heads, d_ffn, layers, vocab, batch, n, m, double in CASES:
        padding = padding_of(rng, batch, n)
        values = {
            "heads": heads,
            "double": double,
            "ids": np.where(padding == 1, PAD, rng.integers(FIRST, vocab, (batch, n))),
            "first": rng.integers(FIRST, vocab, (batch, n)),
            "other": rng.integers(FIRST, vocab, (batch, n)),
            "memory": rng.standard_normal((batch, m, d_model)).astype(np.float32),
            "memory_padding": padding_of(rng, batch, m),
        }
        pasts = [rng.standard_normal((batch, n, d_model)).astype(np.float32) for _ in range(layers)]
        cases.append({**values, **_behind(pasts, stack_values(rng, d_model, d_ffn, layers, vocab, n + 6))})
    return pack(cases=cases, long=_long(rng))


LONG, STEPS, LONG_D, LONG_FFN, LONG_VOCAB = 4000, 40, 16, 24, 30
"""A cache so long, and so many steps behind it, that computing all of it anew shows in what the kernel counts. There is
one layer: of the caches of several, only those of the first could be had from the ids."""


def _long(rng: Generator) -> dict[str, Any]:
    values = {
        "heads": 1,
        "ids": rng.integers(FIRST, LONG_VOCAB, (1, STEPS)),
        "memory": rng.standard_normal((1, 4, LONG_D)).astype(np.float32),
        "memory_padding": padding_of(rng, 1, 4),
    }
    past = rng.standard_normal((1, LONG, LONG_D)).astype(np.float32)
    return {**values, **_behind([past], stack_values(rng, LONG_D, LONG_FFN, 1, LONG_VOCAB, LONG + 6))}


INSTEAD = (
    *("None", "a Tensor", "a dict", "a OrderedDict", "a defaultdict", "a set", "a generator", "a str"),
    *("a int", "a float", "a bool", "a ndarray", "a DynamicCache", "a EncoderDecoderCache", "a SimpleNamespace"),
)
"""What stands in the place of caches: only these words reach a student (a worker with a right layer in it could tell
more in others)."""


def _returns(given: Values) -> Specs:
    """States (batch, n, d); where a shape is wrong, as many entries as its axes make together."""
    instead = word(*INSTEAD, other="an object")
    each: dict[str, list[dict[str, Any]]] = {
        part: [] for part in ("encoder", "decoder", "cached", "again", "work", "training")
    }
    for case in items(given, "cases"):
        (batch, n), d_model = np.shape(case["ids"]), np.shape(case["memory"])[2]
        layers = len(items(case, "layers"))
        size, double = batch * n * d_model, {"double": flag()}
        out = entries(size)
        plain = {"out": out, "padding": entries(batch * n, dtypes="fiub"), "none": flag()}
        held = numbers(most=4 * size)
        values: dict[str, dict[str, Any]] = {
            "encoder": plain,
            "decoder": plain,
            "cached": {
                "out": out,
                "counts": numbers(n, dtypes="i"),
                "kept": flag(),
                "form": instead,
                "layers": layers * [{"cache": held}],
            },
            "again": {"out": out},
            "work": {
                "out": out,
                "refused": word("several"),
                "layers": layers * [{"cache": held, "form": instead}],
            },
            "training": {"reached": numbers(4 + layers, dtypes="b"), "dropped": out},
        }
        for part, own in values.items():
            each[part].append({**own, **double})
    cases = {part: {"cases": of} for part, of in each.items()}
    return parts(**cases, long={"out": entries(STEPS * LONG_D), "refused": word("several")})


REQUEST = Request(
    "summarization.private_probes:stack", _stack, seconds=40.0, returns=_returns, needs=("summarization.ipynb",)
)

# ------------------------------------------------------------------------------------- what is expected


@dataclass(frozen=True, eq=False)
class StackCase:
    """One case in float64, and the unit roundoff in which it was answered."""

    values: Mapping[str, Any]
    u: float
    _states: dict[tuple[bytes, bool, StackVariant], list[Bounded]] = field(default_factory=dict)

    @cached_property
    def layers(self) -> list[Weights]:
        layers = items(self.values, "layers")
        return [{name: weight.astype(float) for name, weight in take(layer, "w").items()} for layer in layers]

    @cached_property
    def pasts(self) -> list[Array]:
        """A cache for each of the layers, as it was drawn."""
        return [layer["past"] for layer in items(self.values, "layers")]

    def step(self, form: StackVariant, *, counted: bool = True) -> Bounded:
        """The state (batch, 1, d) behind the caches that were drawn.

        Where the form takes the layers in another way, caches are `counted` as the layers come, or else each layer
        keeps its own.
        """
        weights = {name: weight.astype(float) for name, weight in take(self.values, "w").items()}
        layers, count = self.layers, len(self.layers)
        ids = np.concatenate([self.values["first"], self.values["other"][:, :1]], axis=1)  # the last one is asked for
        named: dict[str, Any] = {"memory": exact(self.values["memory"].astype(float), self.u)}
        named["memory_padding"] = self.values["memory_padding"] if form.memory_padding else None
        state = form.embed(ids, weights, self.u).map(lambda each: each[:, -1:])
        for turn, index in enumerate(form.order(range(count))):
            held = form.cache(turn if counted else index, count)
            keys = state
            if held is not None:
                keys = joined(exact(self.pasts[held].astype(float), self.u), state)
            hidden = np.zeros((1, keys.value.shape[1]), bool)
            found = transformer.layer(state, layers[index], self.values["heads"], past=keys, hidden=hidden, **named)
            assert isinstance(found, Bounded)
            state = found.capped(CAP)
        return state

    def behind(self, form: StackVariant) -> Bounded:
        """The state (1, n, d) of each of the ids behind the drawn cache of the only layer, all computed at once."""
        weights = {name: weight.astype(float) for name, weight in take(self.values, "w").items()}
        past = exact(self.pasts[0].astype(float), self.u)
        places = np.full(self.values["ids"].shape[1], form.positions(past.value.shape[1] + 1)[-1])
        state = form.embed(self.values["ids"], weights, self.u, places=places)
        n = state.value.shape[1]
        own = np.zeros((n, past.value.shape[1] + n), bool)
        own[:, past.value.shape[1] :] = ~np.eye(n, dtype=bool)
        if form.cache(0, 1) is None:
            own[:, : past.value.shape[1]] = True
        named: dict[str, Any] = {"memory": exact(self.values["memory"].astype(float), self.u)}
        named["memory_padding"] = self.values["memory_padding"] if form.memory_padding else None
        if not form.order([0]):
            return state
        keys = joined(past, state)
        found = transformer.layer(state, self.layers[0], self.values["heads"], past=keys, hidden=own, **named)
        assert isinstance(found, Bounded)
        return found.capped(CAP)

    def states(self, ids: Array, *, decodes: bool, form: StackVariant | None = None) -> list[Bounded]:
        """What goes into each layer, and what comes out of the last: (batch, n, d) each. Kept for other judges."""
        form = form or StackVariant()
        key = ids.tobytes(), decodes, form
        if key not in self._states:
            self._states[key] = self._computed(ids, form, decodes=decodes)
        return self._states[key]

    def _computed(self, ids: Array, form: StackVariant, *, decodes: bool) -> list[Bounded]:
        weights = {name: weight.astype(float) for name, weight in take(self.values, "w").items()}
        memory = self.values["memory_padding"]
        named: dict[str, Any] = {"padding": ids == PAD}
        if decodes:
            named = {"causal": True, "memory": exact(self.values["memory"].astype(float), self.u)}
            named["memory_padding"] = memory if form.memory_padding else None
        elif not form.padding:
            named = {}
        found = [form.embed(ids, weights, self.u)]
        layers = self.layers
        for index in form.order(range(len(layers))):
            state = transformer.layer(found[-1], layers[index], self.values["heads"], **named)
            assert isinstance(state, Bounded)
            found.append(state.capped(CAP))
        return found


def joined(first: Bounded, second: Bounded) -> Bounded:
    """Both along the positions."""
    value, error = (np.concatenate(pair, axis=1) for pair in ((first.value, second.value), (first.error, second.error)))
    return Bounded(value, error, first.u)


def _positions(count: int) -> Array:
    return np.arange(count)


def _own(layer: int, count: int) -> int | None:
    return layer


@dataclass(frozen=True)
class StackVariant:
    """A way to write the stack; the right one, where nothing else is said."""

    id: str = ""
    sentence: str = ""
    positions: Callable[[int], Array] = _positions
    normed: bool = True
    order: Callable[[Sequence[int]], Sequence[int]] = list
    padding: bool = True
    memory_padding: bool = True
    cache: Callable[[int, int], int | None] = _own
    """Of a layer and how many there are, whose cache the layer gets, None for no cache at all."""

    def embed(self, ids: Array, weights: Weights, u: float, *, places: Array | None = None) -> Bounded:
        table = weights["emb_pos.weight"]
        places = (self.positions(ids.shape[1]) if places is None else places) % len(table)
        words = weights["emb_word.weight"][ids]
        both = add(exact(words, u), exact(np.broadcast_to(table[places], words.shape), u))
        found = layer_norm(both, weights["emb_ln.weight"], weights["emb_ln.bias"]) if self.normed else both
        assert isinstance(found, Bounded)
        return found


FORMS = (
    StackVariant(
        "sum_positions_from_one", "The first position must be 0, not 1.", positions=lambda n: np.arange(n) + 1
    ),
    StackVariant(
        "sum_positions_lost", "All positions are treated as the first position.", positions=lambda n: np.zeros(n, int)
    ),
    StackVariant("sum_norm_lost", "emb_ln is missing after the sum of the embeddings.", normed=False),
    StackVariant("sum_layers", "The last layer was not applied.", order=lambda layers: layers[:-1]),
    StackVariant("sum_layers", "Only the first layer was applied.", order=lambda layers: layers[:1]),
    StackVariant("sum_layers", "The same layer was applied each time.", order=lambda layers: [layers[0]] * len(layers)),
    StackVariant("sum_layers", "The layers were applied in reverse order.", order=lambda layers: layers[::-1]),
    StackVariant("sum_padding_ignored", "The encoder's padding mask does not reach the layers.", memory_padding=False),
)
"""Mistakes that have nothing to do with the cache: who makes them with and without it has made them once."""
PLAIN = (*FORMS, StackVariant("sum_padding_ignored", "The padding mask does not reach the layers.", padding=False))
IN_CACHE = (
    StackVariant(
        "sum_positions_restart",
        "Every step uses position 0. With a cache, positions continue after the cached ones.",
        positions=lambda n: np.zeros(n, int),
    ),
    StackVariant(
        "sum_positions_off_by_one",
        "From the second step on, positions are one too large. After i - 1 cached positions the next position is i "
        "- 1, counted from 0.",
        positions=lambda n: np.arange(n) + (np.arange(n) > 0),
    ),
    StackVariant(
        "sum_positions_off_by_one",
        "Positions are one too large. The first position is 0, also with an empty cache.",
        positions=lambda n: np.arange(n) + 1,
    ),
    StackVariant(
        "sum_positions_off_by_one",
        "From the second step on, positions are one too small.",
        positions=lambda n: np.maximum(np.arange(n) - 1, 0),
    ),
)
OF_CACHES = (
    StackVariant("sum_cache_shared", "All layers received the cache of the first layer.", cache=lambda layer, count: 0),
    StackVariant(
        "sum_cache_shared", "All layers received the cache of the last layer.", cache=lambda layer, count: count - 1
    ),
    StackVariant(
        "sum_cache_reversed", "The layers received the caches in reverse order.", cache=lambda i, n: n - 1 - i
    ),
    StackVariant("sum_cache_lost", "The layers received no cache.", cache=lambda layer, count: None),
)
"""Mistakes with the caches; known by what the stack makes of caches that are handed over."""


@lru_cache(maxsize=8)
def _cases(trial: Trial, part: str) -> tuple[tuple[StackCase, Trial], ...]:
    """The cases, with what came back for each in one part. Raises `CheckFailed` where the part has a fault."""
    answers = each(Trial(trial.given, section(trial, part).got))
    found = []
    for index, one in enumerate(answers):
        case = _case(trial, index, DOUBLE if one.got.get("double") is True else SINGLE)
        found.append((case, Trial(case.values, one.got)))
    return tuple(found)


@lru_cache(maxsize=2 * MOST_CASES)
def _case(trial: Trial, index: int, u: float) -> StackCase:
    """One for all parts that were answered in this precision."""
    return StackCase(items(trial.given, "cases")[index], u)


def _output(case: StackCase, one: Trial, name: str) -> Array:
    return single(one, name, case.values["memory"].shape[:1] + _shape(case), "The state")


def _shape(case: StackCase) -> tuple[int, int]:
    return case.values["ids"].shape[1], case.values["memory"].shape[2]


def _explains(case: StackCase, ids: Array, out: Array, form: StackVariant, *, decodes: bool) -> bool:
    want, where = case.states(ids, decodes=decodes, form=form)[-1], ids != PAD
    return within(out[where], want.value[where], 2 * want.error[where] + 1e-9)


# ------------------------------------------------------------------------------------------- the judges


@lru_cache(maxsize=4)
def _form(trial: Trial) -> StackVariant:
    """The form that explains the decoder's states without a cache; the right one where none does."""
    try:
        cases = [(case, _output(case, one, "out")) for case, one in _cases(trial, "decoder")]
    except CheckFailed:
        return StackVariant()
    for form in (StackVariant(), *FORMS):
        if all(_explains(case, case.values["other"], out, form, decodes=True) for case, out in cases):
            return form
    return StackVariant()


def plain(trial: Trial) -> Verdict:
    """Encoder and decoder without a cache: the state, the padding mask, and None for the caches."""
    used, wrong = 0.0, ""
    seen: list[tuple[StackCase, Array, Array, bool]] = []
    for part, kind in (("encoder", "an encoder"), ("decoder", "a decoder")):
        decodes = part == "decoder"
        for case, one in _cases(trial, part):
            ids = case.values["other" if decodes else "ids"]
            out, where = _output(case, one, "out"), ids != PAD
            _masks(one, ids)
            want = case.states(ids, decodes=decodes)[-1]
            close = tolerance_ratio(out[where], want.value[where], want.error[where])
            used = max(used, close)
            seen.append((case, ids, out, decodes))
            wrong = wrong or (kind if close > 1 else "")
    if not wrong:
        for case, one in _cases(trial, "training"):
            _trained(case, one)
        return passed("Without a cache the state, the padding mask and the third value are right.", tolerance_used=used)
    for form in PLAIN:
        if all(_explains(case, ids, out, form, decodes=decodes) for case, ids, out, decodes in seen):
            break
    else:
        form = StackVariant("", "Follow the state from the embeddings through each layer.")
    raise CheckFailed(
        f"Without a cache the state of {wrong}'s stack is wrong. Expected: emb_ln(emb_word(id) + "
        f"emb_pos(position)), with positions counted from 0, and then the layers in order. {form.sentence}",
        diagnosis=form.id,
    )


def _trained(case: StackCase, one: Trial) -> None:
    """Raises `CheckFailed` where something cannot learn, or the embeddings' dropout is there, but not used."""
    places = ["emb_word", "emb_pos", "emb_ln", "the encoder's output"]
    places += [f"layer {index + 1}" for index in range(len(case.layers))]
    reached = array(
        one.got, "reached", shape=(len(places),), what="The record of what the gradients of the state reach"
    )
    if not reached.all():
        raise CheckFailed(
            f"No gradient of the decoder's state reached {places[int(reached.argmin())]}, so it cannot be trained. "
            "Was a tensor detached, or computed under torch.no_grad()? Expected: a gradient for everything that the "
            "state depends on.",
            diagnosis="sum_detached",
        )
    if "dropped" not in one.got:  # the stack has no emb_drop
        return
    dropped = _output(case, one, "dropped")
    # Of zeros every norm makes its bias, for all rows in the same way: up to rounding they are equal.
    if np.ptp(dropped, axis=(0, 1)).max() > 1e-3:
        raise CheckFailed(
            "In train mode, with p_drop = 1, the state still depends on the ids. Expected: emb_drop after emb_ln, "
            "so that the first layer receives zeros.",
            diagnosis="sum_no_dropout",
        )


def _masks(one: Trial, ids: Array) -> None:
    """Raises `CheckFailed` where the second or third value is wrong."""
    want = ids == PAD
    got = one.got.get("padding")
    if not isinstance(got, np.ndarray) or got.shape != want.shape:
        seen = f"has shape {list(got.shape)}" if isinstance(got, np.ndarray) else "is not a tensor"
        raise CheckFailed(f"The second value {seen}. Expected: the padding mask, with the shape of input_ids.")
    if not np.array_equal(got.astype(float), want.astype(float)):
        inverted = np.array_equal(got.astype(float), (~want).astype(float))
        raise CheckFailed(
            (
                "The second value is not the padding mask. Expected: 1 where input_ids is config.pad_token_id, and 0 "
                "elsewhere."
            )
            + (" It is inverted." if inverted else ""),
            diagnosis="sum_padding_inverted" if inverted else "",
        )
    if one.got.get("none") is not True:
        raise CheckFailed(
            "Without use_cache the third value is not None. Expected: None.", diagnosis="sum_cache_unasked"
        )


def step_by_step(trial: Trial) -> Verdict:
    """The states of a sequence with the cache against those of all positions at once."""
    outs = [(case, case.values["first"], _output(case, one, "out")) for case, one in _cases(trial, "cached")]
    shares = [_shares(outs, form) for form in (StackVariant(), _form(trial))]
    used = min(max(float(each.max()) for each in found) for found in shares)
    if used <= 1:
        return passed(
            ("Step by step with the cache, the stack gives the same states as for all positions at once."),
            tolerance_used=used,
        )
    each = next(each for each in shares[-1] if each.max() > 1)
    known = next(
        (
            form
            for form in (*IN_CACHE, *FORMS)
            if all(_explains(case, ids, out, form, decodes=True) for case, ids, out in outs)
        ),
        None,
    ) or _of_caches(trial)
    raise CheckFailed(
        f"With use_cache the state is wrong from step {np.argmax(each > 1) + 1} on. Expected: at step i, the state "
        f"for position i when all positions are processed at once. {known.sentence}",
        diagnosis=known.id,
    )


def _shares(outs: Sequence[tuple[StackCase, Array, Array]], form: StackVariant) -> list[Array]:
    """Of each case and step the share of the rounding bound that is used."""
    found = []
    for case, ids, out in outs:
        want = case.states(ids, decodes=True, form=form)[-1]
        found.append(
            np.array([tolerance_ratio(out[:, i], want.value[:, i], want.error[:, i]) for i in range(out.shape[1])])
        )
    return found


def _shared(trial: Trial) -> bool:
    """Whether several layers have the same cache, of the earlier positions at least."""
    pairs = (
        [layer.get("cache") for layer in items(one.got, "layers", 2)]
        for case, one in _cases(trial, "cached")
        if len(case.layers) > 1
    )
    return any(
        isinstance(first, np.ndarray)
        and isinstance(second, np.ndarray)
        and first.ndim == second.ndim == 3
        and np.array_equal(first[:, :-1], second[:, :-1])
        for first, second in pairs
    )


def _of_caches(trial: Trial) -> StackVariant:
    """The mistake with caches that explains the states, or else a hint."""
    stepped = _stepped(trial)
    for form in OF_CACHES if stepped else ():
        if all(_steps_so(case, out, form) for case, out, _ in stepped):
            return form
    if _outputs_kept(stepped):
        return StackVariant(
            OUTPUTS,
            (
                "The caches hold the outputs of the layers, but keys and values are computed from the inputs of the "
                "layers."
            ),
        )
    if _shared(trial):
        return StackVariant(
            "sum_cache_shared",
            (
                "All layers received the same cache. Expected: each layer receives its own cache, in the order of "
                "the layers."
            ),
        )
    return StackVariant("", "Check which position, which cache and which encoder mask each layer receives.")


OUTPUTS = "sum_cache_of_outputs"


def _stepped(trial: Trial) -> list[tuple[StackCase, Array, list[Array | None]]]:
    """Of each case the state behind the drawn caches, and the new caches, None for what is none; [] after a fault."""
    try:
        cases = _cases(trial, "work")
        outs = [_stepped_out(case, one) for case, one in cases]
    except CheckFailed:
        return []
    found = []
    for (case, one), out in zip(cases, outs, strict=True):
        batch, n, d = case.pasts[0].shape
        held = [layer.get("cache") for layer in items(one.got, "layers", len(case.layers))]
        fitting = [h if isinstance(h, np.ndarray) and h.shape == (batch, n + 1, d) else None for h in held]
        found.append((case, out, fitting))
    return found


def _stepped_out(case: StackCase, one: Trial) -> Array:
    batch, _, d = case.pasts[0].shape
    return single(one, "out", (batch, 1, d), "The state with use_cache")


def _steps_so(case: StackCase, out: Array, form: StackVariant) -> bool:
    wants = (case.step(form, counted=counted) for counted in (True, False))
    return any(within(out, want.value, 2 * want.error + 1e-9) for want in wants)


def _outputs_kept(stepped: Sequence[tuple[StackCase, Array, list[Array | None]]]) -> bool:
    """Whether the newest row of each cache is what comes out of its layer, which goes into the next one."""

    def so(out: Array, caches: list[Array | None]) -> bool:
        newest = [None if cache is None else cache[:, -1:] for cache in caches]
        return newest[-1] is not None and within(newest[-1], out, 1e-6)

    return bool(stepped) and all(so(out, caches) for _, out, caches in stepped)


def cache(trial: Trial) -> Verdict:
    """What is returned as past_key_values, that a sequence starts afresh, and that nothing was changed in place."""
    cases = _cases(trial, "cached")
    if any(one.got.get("kept") is not True for _, one in cases):
        raise CheckFailed(
            "The call changed an earlier cache or the encoder's output in place. Expected: new tensors, as "
            "torch.cat makes them, because other beams and other calls still need the old ones. (You may put the "
            "new caches into the same list.)",
            diagnosis="sum_in_place",
        )
    forms = (StackVariant(), _form(trial), *IN_CACHE)
    for case, one in cases:
        _counted(case, one)
        out = _output(case, one, "out")
        states = (case.states(case.values["first"], decodes=True, form=form) for form in forms)
        wants = next((found for found in states if within(out, found[-1].value, found[-1].error)), None)
        for layer, came in enumerate(items(one.got, "layers", len(case.layers))):
            held = array(
                came,
                "cache",
                shape=(len(case.values["first"]), *_shape(case)),
                what=f"At the end the cache of layer {layer + 1}",
            )
            # Where the states are wrong in an unknown way these cannot be right, and the check of the states says so.
            if (
                wants is not None
                and layer < len(wants) - 1
                and not within(held, wants[layer].value, wants[layer].error)
            ):
                words, diagnosis = _instead(held, wants, layer)
                raise CheckFailed(
                    f"At the end, cache {layer + 1} of {len(case.layers)} does not hold the input of layer "
                    f"{layer + 1}. {words}Expected: the caches in the order of the layers, each as its layer "
                    "returned it.",
                    diagnosis="sum_cache_shared" if _shared(trial) else diagnosis,
                )
    _handed_on(trial)
    _afresh(trial, forms[:2])
    return passed("Each layer has its cache, a new sequence starts without a cache, and nothing was changed in place.")


def _instead(held: Array, wants: Sequence[Bounded], layer: int) -> tuple[str, str]:
    """A sentence on what a cache holds in place of its layer's inputs, with a space behind it, and the mistake's id."""
    inputs, out = wants[:-1], wants[-1]
    for index, want in enumerate(inputs):
        if within(held, want.value, want.error):
            reversed_order = index == len(inputs) - 1 - layer
            return f"It holds the inputs of layer {index + 1}. ", "sum_cache_reversed" if reversed_order else ""
    if within(held, out.value, out.error):
        return "It holds the outputs of the stack. ", OUTPUTS
    return "", ""


def _handed_on(trial: Trial) -> None:
    """Raises `CheckFailed` where a new cache is not made of the old one of the same layer, or of outputs.

    By caches that were drawn: whether the states are right, and where the caches go wrong, is no matter here.
    """
    stepped = _stepped(trial)
    if _outputs_kept(stepped):
        raise CheckFailed(
            "The caches hold the outputs of the layers. Expected: the inputs of the layers, which give keys and "
            "values. Each layer returns such a cache.",
            diagnosis=OUTPUTS,
        )
    for case, _, caches in stepped:
        layers, n = len(caches), case.pasts[0].shape[1]
        for layer, held in enumerate(caches):
            if held is None or np.array_equal(held[:, :n], case.pasts[layer]):
                continue  # what is no cache at all was told above
            olds = (case.pasts[other] for other in range(layers))
            other = next((at for at, old in enumerate(olds) if np.array_equal(held[:, :n], old)), None)
            words = "" if other is None else f" It continues cache {other + 1}."
            raise CheckFailed(
                f"New cache {layer + 1} of {layers} does not begin with old cache {layer + 1}.{words} Expected: the "
                "caches in the order of the layers, each made from the earlier cache of its own layer.",
                diagnosis="sum_cache_reversed" if other == layers - 1 - layer else "sum_cache_shared",
            )


def _counted(case: StackCase, one: Trial) -> None:
    """Raises `CheckFailed` where past_key_values is no tuple with one cache a layer."""
    layers, ids = len(case.layers), case.values["first"]
    if "form" in one.got:
        seen = clean(str(one.got["form"]), limit=60, line=True)
        words = f"past_key_values is {seen}. Expected: a tuple with one cache for each layer."
        raise CheckFailed(words, diagnosis="sum_cache_lost")
    counts = array(one.got, "counts", shape=(ids.shape[1],), what="The number of caches")
    if (counts != layers).any():
        step = int(np.argmax(counts != layers))
        seen = f"{max(counts[step], 0):g}"
        raise CheckFailed(
            f"After step {step + 1} past_key_values holds {seen} caches. Expected: {layers} caches, one for each "
            "layer.",
            diagnosis="sum_cache_shared" if counts[step] == 1 else "",
        )


def _afresh(trial: Trial, forms: Sequence[StackVariant]) -> None:
    """Raises `CheckFailed` where a second sequence sees the first one's cache."""
    said = (
        "A second sequence that starts with past_key_values=None gives other states than in a new module. Does the "
        "module keep something between calls? Expected: nothing of the first sequence is left."
    )
    firsts, alone = (
        _cases(trial, "cached"),
        {id(case): _output(case, one, "out") for case, one in _cases(trial, "cached")},
    )
    try:
        seconds = _cases(trial, "again")
    except CheckFailed as fault:
        raise CheckFailed(f"{said} It stopped with this error: {fault}", diagnosis="sum_cache_leaks") from None
    for (case, _), (_, one) in zip(firsts, seconds, strict=True):
        # Compared with the same sequence by itself: what is wrong in both is not this check's.
        if not within(
            _output(case, one, "out"), alone[id(case)], 2 * case.states(case.values["first"], decodes=True)[-1].error
        ):
            raise CheckFailed(said, diagnosis="sum_cache_leaks")


def work(trial: Trial) -> Verdict:
    """States of layers that refuse more than one position at once, and the CPU time of steps behind a long cache."""
    cases = _cases(trial, "work")
    long = Trial(take(trial.given, "long"), section(trial, "long").got)
    if any("refused" in one.got for one in (*(one for _, one in cases), long)):
        raise CheckFailed(
            "With use_cache the stack passed several positions to a layer at once. Expected: the newest position "
            "only, because the caches stand for all others.",
            diagnosis="sum_recomputed",
        )
    outs = [(case, _stepped_out(case, one)) for case, one in cases]
    known = any(
        all(_steps_so(case, out, form) for case, out in outs)
        for form in (StackVariant(), *FORMS, *IN_CACHE, *OF_CACHES)
    )
    case, out = StackCase(long.given, SINGLE), single(long, "out", (1, STEPS, LONG_D), "The state after a long cache")
    begun = time.process_time()
    right = case.behind(StackVariant())
    own = time.process_time() - begun
    wants = itertools.chain([right], (case.behind(form) for form in FORMS))
    known_long = any(within(out, want.value, 2 * want.error + 1e-9) for want in wants)
    if not (known or all(_of_a_layer(*each) for each in outs)) or not (known_long or _of_a_layer(case, out)):
        raise CheckFailed(
            "For given caches the stack returned a state that none of its layers returned, so this check cannot "
            'measure the work. Expected: the state that the layers return. Look at the check "TransformerStack: '
            'step by step" first.'
        )
    if trial.got_cpu > ALLOWED + OWN_ALLOWED * own:
        raise CheckFailed(
            f"The states of the stack took {trial.got_cpu:.1f} s of CPU time, {STEPS} of them with a cache of {LONG}"
            " positions. Expected: below 1 s. Is everything computed again in each step?",
            diagnosis="sum_recomputed",
        )
    return passed("With use_cache each layer receives the newest position only.")


def _of_a_layer(case: StackCase, out: Array) -> bool:
    """Whether wrong states came out of one of the layers, so that it was called: they have the form of its last norm.

    Without its weight and bias each state has mean 0 and variance 1, but for the norm's epsilon and rounding, which are
    below a thousandth where what is normed has a variance of 0.1 or more.
    """
    plains = ((out - layer["ffn_ln.bias"]) / layer["ffn_ln.weight"] for layer in case.layers)
    return any(max(np.abs(one.mean(-1)).max(), np.abs(one.var(-1) - 1).max()) < 1e-3 for one in plains)


ALLOWED, OWN_ALLOWED = 3.0, 30.0
"""CPU seconds of a worker that come with its start, the small cases and the notebook, and how many times the judge's
own for the same states. Chosen, not derived: the reference takes 0.2 s in all, and 6 s more where each step computes
all positions anew."""


# ------------------------------------------------------------------------------- the smallest example

TINY: tuple[tuple[int, tuple[int, ...], tuple[tuple[int, ...], ...], int], ...] = (
    (1, (3,), ((2, 2, 1),), 0),
    (1, (3, 4), ((2, 2, 1),), 0),
    (2, (3, 4), ((2, 2, 1),), 0),
    (1, (3, 4), ((2, 2, 1),), 1),
    (1, (3,), ((2, 2, 1), (0, 3, 0)), 1),
    (1, (3, 4, 5), ((2, 2, 1),), 0),
)
"""How many layers, the ids, the encoder's output, and how many at the end of several are padding."""
TINY_VOCAB, TINY_POSITIONS = 6, 8


def _tiny(_rng: Generator) -> Values:
    cases: list[dict[str, Any]] = []
    for layers, ids, memory, padded in TINY:
        d_model, rows = len(memory[0]), np.array([ids])
        values = {
            "heads": 1,
            "double": True,
            "ids": np.where(tail_of(ids, padded) == 1, PAD, rows),
            "first": rows,
            "other": rows,
            "memory": np.array([memory], np.float32),
            "memory_padding": tail_of(memory, padded),
            "w": {
                "emb_word.weight": filled(TINY_VOCAB, d_model),
                "emb_pos.weight": filled(TINY_POSITIONS, d_model),
                "emb_ln.weight": filled(d_model),
                "emb_ln.bias": filled(d_model),
            },
            "layers": layers * [{"w": tiny_weights(d_model, d_model), "past": filled(1, len(ids), d_model)}],
        }
        cases.append(values)
    return pack(cases=cases)


TINY_ASK = Request(
    "summarization.private_probes:stack",
    _tiny,
    seconds=3,
    deterministic=True,
    returns=_returns,
    needs=("summarization.ipynb",),
)


def _made_of(case: StackCase, ids: Array, *, decodes: bool) -> str:
    layers, memory, padding = len(case.layers), case.values["memory"], case.values["memory_padding"]
    other = f", encoder_hidden_states {shown(memory)}" if decodes else ""
    padded = ", the last one padding," if decodes and padding.any() else ""
    kind = f"{'a decoder' if decodes else 'an encoder'}'s stack of {layers} layer{'s' if layers > 1 else ''}"
    return f"{kind}, d_model {memory.shape[2]}, n_heads 1, {FILL}, ids {shown(ids)}{other}{padded}"


def _first_plain(_failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny case in which a stack without a cache gives another state."""
    parts = {part: _cases(tiny, part) for part in ("encoder", "decoder")}
    for index in range(len(TINY)):
        for part, cases in parts.items():
            (case, one), decodes = cases[index], part == "decoder"
            ids = case.values["other" if decodes else "ids"]
            out, want = _output(case, one, "out"), case.states(ids, decodes=decodes)[-1]
            at = unlike(out, want, ids[0] != PAD)
            if at is not None:
                given = _made_of(case, ids, decodes=decodes)
                return f"Smallest example: {given} gave {against(out, want, at)}."
    return ""


def _first_step(failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny step that differs from what the stack should give for all positions at once."""
    form = _form(failed)
    for case, one in _cases(tiny, "cached"):
        ids, out = case.values["first"], _output(case, one, "out")
        wants = [case.states(ids, decodes=True, form=each)[-1] for each in (StackVariant(), form)]
        places = [unlike(out, want, np.ones(out.shape[1], bool)) for want in wants]
        if None not in places and places[1] is not None:
            given = _made_of(case, ids, decodes=True)
            return f"Smallest example: with use_cache, {given} gave {against(out, wants[1], places[1])}."
    return ""


def _first_cache(failed: Trial, tiny: Trial) -> str:
    """The sentence for the first tiny sequence at whose end a cache is not what its layer received."""
    forms = (StackVariant(), _form(failed), *IN_CACHE)
    for case, one in _cases(tiny, "cached"):
        ids, out = case.values["first"], _output(case, one, "out")
        states = (case.states(ids, decodes=True, form=form) for form in forms)
        wants = next((found for found in states if within(out, found[-1].value, found[-1].error)), None)
        if wants is None:
            return ""
        came = items(one.got, "layers", len(case.layers))
        for layer, want in enumerate(wants[:-1]):
            held = array(came[layer], "cache", shape=want.value.shape, what="The cache")
            at = unlike(held, want, np.ones(held.shape[1], bool))
            if at is not None:
                given = _made_of(case, ids, decodes=True)
                return f"Smallest example: with use_cache, {given} left in cache {layer + 1} {against(held, want, at)}."
    return ""


SMALLEST_PLAIN, SMALLEST_STEP, SMALLEST_CACHE = (
    Counterexample(TINY_ASK, first) for first in (_first_plain, _first_step, _first_cache)
)
