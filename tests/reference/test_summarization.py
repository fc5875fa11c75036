"""The reference's summarization: its layers with and without a cache, its searches, ROUGE, its data and its log."""

import functools
import gc
import itertools
import json
import math
import random
import textwrap
import types
import zlib
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer, tokenizers
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autograder.authoring import template
from autograder.hw11.summarization import decoding, transformer
from autograder.hw11.summarization.decoding import BOS, EOS, PAD, Search, SourceTable, Unclear
from autograder.hw11.summarization.probes import Automaton
from autograder.judging.rounding import exact, matmul
from autograder.sandbox.guest import notebooks
from autograder.sandbox.parts import items
from tests.reference_notebook import Notebook

NOTEBOOK = Notebook("summarization.ipynb")
PATH, TEXT = NOTEBOOK.path, NOTEBOOK.text
GRADED = ("TransformerLayer", "TransformerStack", "greedy_decode", "beam_search")


@functools.cache
def read(text):
    """The notebook's statements."""
    source = notebooks.source_of(notebooks.read(text.encode()))
    assert not source.faults
    return source


def define(*names, text=TEXT, **known):
    """These names of the notebook and what they need, nothing else of it run, in a namespace that has `known`."""
    statements = [one for one in read(text).definitions(names) if known.keys().isdisjoint(one.binds)]
    space = {"__name__": "notebook", **known}
    faults = notebooks.execute(PATH.name, statements, space)
    assert not faults, faults
    return SimpleNamespace(**space), space


def only(name, **known):
    """One function of the notebook by itself; the other names that it needs are `known`."""
    space = dict(known)
    assert not notebooks.execute(PATH.name, [one for one in read(TEXT).statements if name in one.binds], space)
    return space[name]


ref, _ = define("Config", "Seq2Seq", "greedy_decode", "beam_search", "Example", "fill", "small_stack", "module_inputs")
settings.register_profile("reference", max_examples=30, derandomize=True, database=None, deadline=None)
few = settings(settings.get_profile("reference"), max_examples=12)
fewer = settings(settings.get_profile("reference"), max_examples=4)
many = settings(settings.get_profile("reference"))

U = 2.0**-53
"""Unit roundoff of float64."""
TELLING, DEEP = 1e-6, 1e-4
"""Worst cases multiply from layer to layer. Where a bound is larger than the first, or in a model of up to six layers
than the second, the example is left out, so that none hides a mistake: those change numbers of size 1 by 0.01."""
LAYERS = pytest.mark.parametrize("layers", [1, 2, 3])

# ------------------------------------------------------------------------------------ strategies

seeds = st.integers(0, 2**31)
penalties = st.sampled_from([0.0, 0.5, 1.0, 2.0])


def drawing(seed):
    return np.random.Generator(np.random.Philox(seed))


@st.composite
def shapes(draw, layers=1):
    """d_model, heads, d_ffn, layers, batch, n (tokens) and m (the encoder's), and a generator for the numbers."""
    heads = draw(st.integers(1, 3))
    return SimpleNamespace(
        heads=heads,
        d_model=heads * draw(st.integers(4 // heads, 5)),
        d_ffn=draw(st.integers(1, 9)),
        layers=draw(st.integers(1, layers)),
        batch=draw(st.integers(1, 3)),
        n=draw(st.integers(1, 6)),
        m=draw(st.integers(1, 5)),
        seed=(seed := draw(seeds)),
        rng=drawing(seed),
    )


def drawn(module, rng, *, spread=0.8):
    """The module in float64 and eval mode, all its weights drawn: also those that begin as 0 or 1."""
    for name, weight in module.named_parameters():
        normal = rng.standard_normal(tuple(weight.shape))
        if "emb_" in name and name.endswith("weight") and weight.dim() == 2:
            value = normal
        elif weight.dim() == 2:
            value = spread * normal / math.sqrt(weight.shape[1])
        elif name.endswith("_ln.weight"):
            value = 1 + 0.4 * np.clip(normal, -1, 1)
        else:
            value = spread / 2 * normal
        weight.data = torch.from_numpy(value)
    return module.eval()


def padding(rng, batch, length):
    """(batch, length), 1 behind the end of each row, which has at least one token."""
    return torch.from_numpy((np.arange(length) >= rng.integers(1, length + 1, (batch, 1))).astype(np.int64))


def normal(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape))


def weights_of(module):
    """Its weights for the judge's transformer."""
    return {name: weight.detach().numpy() for name, weight in module.named_parameters()}


def bounded(x):
    """Numbers known exactly, for the judge's transformer."""
    return exact(x.detach().numpy(), U)


def judged_layer(layer, shape, x, mask, memory=None, memory_mask=None):
    """The layer's output by the judge, with its rounding bound; without a cache."""
    return transformer.layer(
        bounded(x),
        weights_of(layer),
        shape.heads,
        padding=mask.numpy(),
        causal=memory is not None,
        memory=None if memory is None else bounded(memory),
        memory_padding=None if memory is None else memory_mask.numpy(),
    )


def close(seen, other, bound, where=...):
    """Whether two results are alike: each is within the bound of the exact one, so they lie within twice that."""
    seen, other = (each.detach().numpy() if isinstance(each, torch.Tensor) else each for each in (seen, other))
    where = where.numpy() if isinstance(where, torch.Tensor) else where
    return bool((np.abs(seen - other) <= 2 * bound)[where].all())


# ------------------------------------------------------------------------------------ the layer without a cache


def as_torchs(layer, shape):
    """torch's own layer with the same weights; its in_proj_weight is that of q, k and v below each other."""
    kind = nn.TransformerDecoderLayer if layer.is_decoder else nn.TransformerEncoderLayer
    own = kind(shape.d_model, shape.heads, shape.d_ffn, 0.0, "relu", batch_first=True, norm_first=False).double()
    weights, state = layer.state_dict(), {}
    attentions = {"self_attn": "self_attn", "multihead_attn": "cross_attn"}
    norms = ("self_attn_ln", "cross_attn_ln", "ffn_ln") if layer.is_decoder else ("self_attn_ln", "ffn_ln")
    renamed = {"linear1": "fc1", "linear2": "fc2", **{f"norm{at}": norm for at, norm in enumerate(norms, 1)}}
    for part in ("weight", "bias"):
        for name, ours in list(attentions.items())[: 1 + layer.is_decoder]:
            state[f"{name}.in_proj_{part}"] = torch.cat([weights[f"{ours}.{x}_proj.{part}"] for x in "qkv"])
            state[f"{name}.out_proj.{part}"] = weights[f"{ours}.o_proj.{part}"]
        state |= {f"{name}.{part}": weights[f"{ours}.{part}"] for name, ours in renamed.items()}
    own.load_state_dict(state)
    return own.eval()


@many
@given(shapes(), st.booleans())
def test_layer_is_torchs_and_the_judges(shape, decodes):
    layer = drawn(ref.TransformerLayer(decodes, shape.d_model, shape.heads, shape.d_ffn, 0.5), shape.rng)
    x, memory = (normal(shape.rng, shape.batch, length, shape.d_model) for length in (shape.n, shape.m))
    mask, memory_mask = (padding(shape.rng, shape.batch, length) for length in (shape.n, shape.m))
    own = as_torchs(layer, shape)
    if decodes:
        out, want = layer(x, mask, memory, memory_mask), judged_layer(layer, shape, x, mask, memory, memory_mask)
        later = torch.ones(shape.n, shape.n).triu(1).bool()
        named = {"tgt_key_padding_mask": mask.bool(), "memory_key_padding_mask": memory_mask.bool()}
        torchs = own(x, memory, tgt_mask=later, **named)
    else:
        out, want = layer(x, mask), judged_layer(layer, shape, x, mask)
        torchs = own(x, src_key_padding_mask=mask.bool())
    assume(want.error.max() < TELLING)
    there = mask == 0  # what becomes of padding is of no interest
    assert out.shape == x.shape
    assert close(out, want.value, want.error, there)
    assert close(out, torchs, want.error, there)


@few
@given(shapes())
def test_padding_and_what_comes_later_do_not_matter(shape):
    x, memory = (normal(shape.rng, shape.batch, length, shape.d_model) for length in (shape.n, shape.m))
    mask, memory_mask = (padding(shape.rng, shape.batch, length) for length in (shape.n, shape.m))
    for decodes in (False, True):
        layer = drawn(ref.TransformerLayer(decodes, shape.d_model, shape.heads, shape.d_ffn, 0.5), shape.rng)
        encoder = (memory, memory_mask) if decodes else ()
        out = layer(x, mask, *encoder)
        other = torch.where(mask[:, :, None] == 1, 9.0, x)
        if decodes:
            encoder = torch.where(memory_mask[:, :, None] == 1, 9.0, memory), memory_mask
            other[:, -1] = 9.0
        # exp(-1e9) is 0, and 0 times anything is 0: the very same sums.
        there = mask == 0
        there[:, -1] &= not decodes
        assert torch.equal(out[there], layer(other, mask, *encoder)[there])


# ------------------------------------------------------------------------------------ with the cache


def layer_steps(layer, x, encoder, past=None):
    """x (batch, n, d) through the layer in n steps behind a cache: outputs (batch, n, d) and the last cache."""
    outs = []
    for newest in x.split(1, dim=1):
        out, past = layer(newest, torch.zeros(len(x), 1), *encoder, use_cache=True, past_kv=past)
        outs.append(out)
    return torch.cat(outs, dim=1), past


@many
@given(shapes())
def test_layer_step_by_step_is_teacher_forcing(shape):
    layer = drawn(ref.TransformerLayer(True, shape.d_model, shape.heads, shape.d_ffn, 0.5), shape.rng)
    x, memory = (normal(shape.rng, shape.batch, length, shape.d_model) for length in (shape.n, shape.m))
    mask, encoder = torch.zeros(shape.batch, shape.n), (memory, padding(shape.rng, shape.batch, shape.m))
    want = judged_layer(layer, shape, x, mask, *encoder)
    assume(want.error.max() < TELLING)
    out, cache = layer_steps(layer, x, encoder)
    assert torch.equal(cache, x)  # the layer's inputs
    assert close(out, layer(x, mask, *encoder), want.error)
    assert close(out, want.value, want.error)


@many
@given(shapes(), st.integers(1, 3), st.integers(1, 3))
def test_two_continuations_of_a_layers_cache(shape, first, second):
    layer = drawn(ref.TransformerLayer(True, shape.d_model, shape.heads, shape.d_ffn, 0.5), shape.rng)
    encoder = normal(shape.rng, shape.batch, shape.m, shape.d_model), padding(shape.rng, shape.batch, shape.m)
    begin, *ends = (normal(shape.rng, shape.batch, n, shape.d_model) for n in (shape.n, first, second))
    copies = [each.clone() for each in (begin, *ends, *encoder)]
    _, cache = layer_steps(layer, begin, encoder)
    kept = cache.clone()
    outs = [layer_steps(layer, end, encoder, past=cache) for end in ends]
    assert torch.equal(cache, kept)  # neither has written into it
    assert all(map(torch.equal, (begin, *ends, *encoder), copies))
    assert torch.equal(layer_steps(layer, ends[0], encoder, past=cache)[0], outs[0][0])
    for end, (out, after) in zip(ends, outs, strict=True):
        x = torch.cat([begin, end], dim=1)
        want = judged_layer(layer, shape, x, torch.zeros(x.shape[:2]), *encoder)
        assume(want.error.max() < TELLING)
        assert torch.equal(after, x)
        assert close(out, want.value[:, shape.n :], want.error[:, shape.n :])


VOCAB = 11


def tokens(rng, batch, length, vocab=VOCAB):
    """ids (batch, length): none is padding but what is behind the end of a row, which has at least one token."""
    ids = torch.from_numpy(rng.integers(1, vocab, (batch, length)))
    return ids.masked_fill(padding(rng, batch, length).bool(), PAD)


def model_of(shape, vocab=VOCAB, positions=12, kind=None):
    """A model of the notebook's, of this shape, with drawn weights: smaller ones, as rounding grows with them."""
    config = ref.Config(vocab, shape.d_model, shape.heads, shape.d_ffn, shape.layers, 0.5, positions)
    return drawn((kind or ref.Seq2Seq)(config), shape.rng, spread=0.25)


def judged_model(model, shape, documents, ids):
    """encoder_out and logits for all positions by the judge, with their bounds."""
    shared = {name: weight for name, weight in weights_of(model).items() if name.startswith("emb_")}
    (encoder, decoder) = ([weights_of(layer) for layer in half.layers] for half in (model.encoder, model.decoder))
    mask, own = ((each == PAD).numpy() for each in (documents, ids))
    memory = transformer.stack(
        transformer.embed(documents.numpy(), shared, U), encoder, shape.heads, padding=mask.astype(np.int64)
    )
    named = {"padding": own, "causal": True, "memory": memory, "memory_padding": mask.astype(np.int64)}
    state = transformer.stack(transformer.embed(ids.numpy(), shared, U), decoder, shape.heads, **named)
    return memory, matmul(state, shared["emb_word.weight"].T)


def model_steps(model, ids, encoder, past=None):
    """ids (batch, n) through the decoder in n steps behind its caches: logits (batch, n, vocab), the last caches."""
    outs = []
    for newest in ids.split(1, dim=1):
        out, past = model.decode(newest, *encoder, use_cache=True, past_key_values=past)
        outs.append(out)
    return torch.cat(outs, dim=1), past


@LAYERS
@few
@given(shapes())
@torch.no_grad()
def test_model_step_by_step_is_teacher_forcing(layers, shape):
    shape.layers = layers
    model = model_of(shape)
    documents, ids = (tokens(shape.rng, shape.batch, length) for length in (shape.m, shape.n))
    memory, want = judged_model(model, shape, documents, ids)
    assume(want.error.max() < DEEP)
    encoder = model.encode(documents)
    assert torch.equal(encoder[1], (documents == PAD).long())
    known = documents != PAD
    assert close(encoder[0], memory.value, memory.error, known)
    forced, none = model.decode(ids, *encoder)
    assert none is None
    there = ids != PAD
    assert close(forced, want.value, want.error, there)
    stepped, caches = model_steps(model, ids, encoder)
    assert close(stepped, want.value, want.error, there)
    assert isinstance(caches, tuple) and len(caches) == shape.layers
    assert all(cache.shape == (shape.batch, shape.n, shape.d_model) for cache in caches)
    # The second value is the mask, in single steps, too.
    assert torch.equal(model.decoder(ids[:, -1:], *encoder, use_cache=True)[1], (ids[:, -1:] == PAD).long())


@LAYERS
@few
@given(shapes())
@torch.no_grad()
def test_each_layers_cache_is_what_has_gone_into_it(layers, shape):
    shape.layers = layers
    model, seen = model_of(shape), []
    encoder = model.encode(tokens(shape.rng, shape.batch, shape.m))
    hooks = [layer.register_forward_pre_hook(lambda _, args: seen.append(args[0])) for layer in model.decoder.layers]
    _, caches = model_steps(model, torch.from_numpy(shape.rng.integers(1, VOCAB, (shape.batch, shape.n))), encoder)
    for hook in hooks:
        hook.remove()
    for index, cache in enumerate(caches):
        assert torch.equal(cache, torch.cat(seen[index :: shape.layers], dim=1))


@LAYERS
@few
@given(shapes(), st.integers(1, 3))
@torch.no_grad()
def test_two_continuations_of_a_models_cache(layers, shape, length):
    shape.layers = layers
    model, documents = model_of(shape), tokens(shape.rng, shape.batch, shape.m)
    begin, *ends = (torch.from_numpy(shape.rng.integers(1, VOCAB, (shape.batch, n))) for n in (shape.n, length, length))
    encoder = model.encode(documents)
    _, caches = model_steps(model, begin, encoder)
    copies = [each.clone() for each in (*caches, *encoder)]
    pasts: list[Any] = [caches, caches]
    logits: list[list[Any]] = [[], []]
    for step in range(length):  # by turns: a shared buffer, or a list that is changed, would mix them up
        for turn, end in enumerate(ends):
            out, pasts[turn] = model_steps(model, end[:, step : step + 1], encoder, past=pasts[turn])
            logits[turn].append(out)
    assert len(caches) == shape.layers and all(map(torch.equal, (*caches, *encoder), copies))
    for end, outs in zip(ends, logits, strict=True):
        _, want = judged_model(model, shape, documents, torch.cat([begin, end], dim=1))
        assume(want.error.max() < DEEP)
        assert close(torch.cat(outs, dim=1), want.value[:, shape.n :], want.error[:, shape.n :])


# ------------------------------------------------------------------------------------ the work


def products(action):
    """The multiplications in the matrix products of an action (torch counts two operations for each)."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        action()
    count, odd = divmod(counter.get_total_flops(), 2)
    assert not odd
    return count


def step_products(n, *, d, f, m):
    """Of one row in a decoder layer's step for token n, as the notebook's table has it, and cross-attention."""
    own = 2 * d**2 + 2 * n * d**2 + 2 * n * d + 2 * d * f
    return own + 2 * d**2 + 2 * m * d**2 + 2 * m * d


def whole_products(n, *, d, f, m=0):
    """The same without a cache, all n positions at once; an encoder's layer where m is 0."""
    own = 2 * n * d**2 + 2 * n * d**2 + 2 * n**2 * d + 2 * n * d * f
    return own + (2 * n * d**2 + 2 * m * d**2 + 2 * n * m * d if m else 0)


@fewer
@given(shapes())
def test_a_cached_step_of_the_layer_costs_what_the_notebook_says(shape):
    d, f, m, batch = shape.d_model, shape.d_ffn, shape.m, shape.batch
    layer = drawn(ref.TransformerLayer(True, d, shape.heads, f, 0.5), shape.rng)
    encoder = normal(shape.rng, batch, m, d), torch.zeros(batch, m)
    for n in (1, 2, 3, 40):
        x, mask = normal(shape.rng, batch, n, d), torch.zeros(batch, n)
        past = x[:, :-1] if n > 1 else None
        last = products(lambda: layer(x[:, -1:], mask[:, -1:], *encoder, use_cache=True, past_kv=past))  # noqa: B023
        assert last == batch * step_products(n, d=d, f=f, m=m)
        assert products(lambda: layer(x, mask, *encoder)) == batch * whole_products(n, d=d, f=f, m=m)  # noqa: B023


@fewer
@given(shapes(layers=2), st.integers(1, 3))
def test_decoding_runs_the_encoder_once_and_each_token_once(shape, width):
    model = endless(shape)
    config, (d, f, m) = model.config, (shape.d_model, shape.d_ffn, shape.m)
    documents = torch.from_numpy(shape.rng.integers(3, VOCAB, (shape.batch, m)))
    for most in (1, 6):
        encoded = config.n_layers * whole_products(m, d=d, f=f)
        layers = [config.n_layers * step_products(n, d=d, f=f, m=m) for n in range(1, most + 1)]
        decoded = sum(layers) + most * d * config.vocab_size
        found = [products(lambda: ref.greedy_decode(model, documents, most))]  # noqa: B023
        found += [products(lambda: ref.beam_search(model, documents, width, most, 1.0))]  # noqa: B023
        assert found == [shape.batch * (encoded + rows * decoded) for rows in (1, width)]


# ------------------------------------------------------------------------------------ searches


class Open(ref.Seq2Seq):  # type: ignore[misc, name-defined]
    """A model that never generates padding or the beginning: these are no tokens of a summary."""

    never = (PAD, BOS)

    def decode(self, *args, **named):
        logits, past = super().decode(*args, **named)
        logits[:, :, self.never] = -math.inf
        return logits, past


class Endless(Open):
    never = (PAD, BOS, EOS)  # type: ignore[assignment]


def endless(shape):
    """A model that does not come to an end by itself."""
    return model_of(shape, kind=Endless)


def tree(rng, number, words, *, ends=0.0):
    """A source whose tokens are EOS and `words` words; all else has probability 0."""
    logits = np.full((decoding.STATES, 3 + words), -np.inf)
    logits[:, EOS:] = 1.5 * rng.standard_normal((decoding.STATES, 1 + words))
    logits[:, EOS] += ends
    return SourceTable(number, logits)


def automaton(sources, rng):
    """The probe's model for these sources, and ids (batch, m), row k of which chooses source k."""
    case = decoding._case(sources, rng)
    return Automaton(torch.from_numpy(case["tables"])), torch.from_numpy(case["ids"])


def every(logp_of, words, most):
    """All sequences there are with their log p: (log p, tokens), of at most `most` tokens."""
    waiting: list[Any] = [(0.0, ())]
    found: list[Any] = []
    for logp, so_far in waiting:
        row = logp_of(so_far)
        for token in (EOS, *range(3, 3 + words)):
            one = logp + row[token], (*so_far, token)
            (found if token == EOS or len(one[1]) == most else waiting).append(one)
    return found


def of_table(source):
    """The log-probabilities (vocab,) behind a prefix, by the rule in the probe's words."""

    @functools.cache
    def row_of(state):
        row = source.logits[state].tolist()
        whole = math.log(math.fsum(map(math.exp, row)))
        return [logit - whole for logit in row]

    def logp_of(so_far):
        state = source.number
        for token in (BOS, *so_far):
            state = (31 * state + 17 * token + 5) % len(source.logits)
        return row_of(state)

    return logp_of


def of_model(model, document):
    """The log-probabilities (vocab,) behind a prefix, all of it given to the model at once."""
    encoder = model.encode(document[None])

    def logp_of(so_far):
        return model.decode(torch.tensor([[BOS, *so_far]]), *encoder)[0][0, -1].log_softmax(-1).tolist()

    return logp_of


def rows(ids):
    """The tokens of each row, up to its end."""
    found = []
    for row in ids.tolist():
        end = row.index(EOS) + 1 if EOS in row else len(row)
        assert set(row[end:]) <= {PAD} and PAD not in row[:end]
        found.append(tuple(row[:end]))
    assert ids.shape[1] == max(map(len, found))  # no column of padding alone
    return found


# Scores are computed from float64 logarithms, which differ by far less than 1e-12 relatively, but divided by a power
# of a float32 length, three roundings of 2^-24 at most.
SLACK = 4 * 2.0**-24


@few
@given(seeds, st.sampled_from([(1, 6), (2, 4), (3, 3), (4, 2)]), penalties)
def test_a_beam_as_wide_as_the_tree_finds_the_best_of_all(seed, size, penalty):
    words, most = size
    rng = drawing(seed)
    sources = [tree(rng, number, words) for number in range(3)]
    model, ids = automaton(sources, rng)
    trees = [every(of_table(source), words, most) for source in sources]
    assert len(trees[0]) == sum(words**n for n in range(most)) + words**most
    found = rows(ref.beam_search(model, ids, len(trees[0]), most, penalty))
    narrower = [rows(ref.beam_search(model, ids, width, most, penalty)) for width in (1, 2, 5)]
    for row, all_of_it in enumerate(trees):
        scores = {tokens: logp / len(tokens) ** penalty for logp, tokens in all_of_it}
        best = max(scores.values())
        assert scores[found[row]] >= best + SLACK * best
        assert all(scores[other[row]] <= best for other in narrower)  # a narrower one finds some sequence, no better


@few
@given(shapes(layers=2), penalties)
@torch.no_grad()
def test_so_does_the_real_model(shape, penalty):
    words, most = 2, 4
    model = model_of(shape, 3 + words, kind=Open)
    documents = tokens(shape.rng, shape.batch, shape.m, 3 + words)
    found = rows(ref.beam_search(model, documents, 31, most, penalty))
    for document, tokens_found in zip(documents, found, strict=True):
        of_all = every(of_model(model, document), words, most)
        scores = {each: logp / len(each) ** penalty for logp, each in of_all}
        best = max(scores.values())
        # Step by step and all at once each token's logits differ by twice a bound which is below TELLING for two
        # layers; the logarithms of their softmax by twice that.
        assert scores[tokens_found] >= best + SLACK * best - 4 * most * TELLING


@few
@given(seeds, st.integers(2, 3), st.integers(2, 4))
def test_without_a_penalty_the_last_step_may_be_as_narrow_as_the_tree_before_it(seed, words, most):
    rng = drawing(seed)
    sources = [tree(rng, number, words) for number in range(2)]
    model, ids = automaton(sources, rng)
    # All prefixes of most - 1 tokens are kept, and of their continuations the likeliest ones.
    width = sum(words**n for n in range(most - 1)) + words ** (most - 1)
    found = rows(ref.beam_search(model, ids, width, most, 0.0))
    for source, seen in zip(sources, found, strict=True):
        likeliest = max(every(of_table(source), words, most))
        assert seen == likeliest[1]  # two are not as likely but by a chance of some 2^-50


def test_a_wider_beam_can_be_worse():
    """So that nobody asks for the opposite: B A and B B, 0.2 each, push out A A of 0.18, which then surely ends."""
    model = ref.Example()
    model.table = {
        (): (0.5, 0.4, 0.1),
        (3,): (0.36, 0.34, 0.3),
        (4,): (0.5, 0.5, 0.0),
        (3, 3): (0.0, 0.0, 1.0),
        (4, 3): (0.4, 0.3, 0.3),
        (4, 4): (0.3, 0.3, 0.4),
    }
    ids = torch.tensor([[3, 4], [4, 3]])
    for penalty in (0.0, 1.0, 2.0):
        assert ref.beam_search(model, ids, 1, 3, penalty).tolist() == [[3, 3, EOS]] * 2  # 0.18
        (found, same) = rows(ref.beam_search(model, ids, 2, 3, penalty))
        assert found == same and found in {(4, 3, 3), (4, 4, EOS)}  # 0.08, both
        assert rows(ref.beam_search(model, ids, 3, 3, penalty)) == [(3, 3, EOS)] * 2


@many
@given(seeds, st.integers(1, 4), st.integers(1, 12), penalties)
def test_a_beam_of_width_one_is_greedy_on_tables(seed, words, most, penalty):
    rng = drawing(seed)
    sources = [tree(rng, number, words, ends=-1.0) for number in range(3)]
    model, ids = automaton(sources, rng)
    # Of a row's logits two are not alike up to 1e-14 but by a chance of that order.
    greedy, beam = ref.greedy_decode(model, ids, most), ref.beam_search(model, ids, 1, most, penalty)
    assert torch.equal(greedy, beam)
    for source, seen in zip(sources, rows(greedy), strict=True):
        assert len(seen) <= most
        for at, token in enumerate(seen):
            row = of_table(source)(seen[:at])
            assert row[token] == max(row)


@many
@given(shapes(layers=2), st.integers(1, 10), penalties)
@torch.no_grad()
def test_a_beam_of_width_one_is_greedy_on_the_real_model(shape, most, penalty):
    model = model_of(shape, kind=Open)
    documents = tokens(shape.rng, shape.batch, shape.m)
    greedy, beam = ref.greedy_decode(model, documents, most), ref.beam_search(model, documents, 1, most, penalty)
    assert torch.equal(greedy, beam)
    for document, seen in zip(documents, rows(greedy), strict=True):
        for at, token in enumerate(seen):
            row = of_model(model, document)(seen[:at])
            assert row[token] >= max(row) - 8 * TELLING  # as above, twice


@few
@given(shapes(layers=2), st.integers(1, 4), st.integers(1, 8), penalties)
@torch.no_grad()
def test_rows_do_not_see_each_other(shape, width, most, penalty):
    model = model_of(shape, kind=Open)
    documents = tokens(shape.rng, 3, shape.m)
    searches = (
        lambda ids: ref.greedy_decode(model, ids, most),
        lambda ids: ref.beam_search(model, ids, width, most, penalty),
    )
    for search in searches:
        together, turned = rows(search(documents)), rows(search(documents.flip(0)))
        assert together == turned[::-1]
        # Alone, and without the padding that longer rows bring.
        assert together == [rows(search(row[row != PAD][None]))[0] for row in documents]


def test_a_row_that_ends_is_padded():
    rng = drawing(3)
    sources = [tree(rng, number, 2, ends=ends) for number, ends in enumerate((30.0, -30.0, 30.0))]
    model, ids = automaton(sources, rng)
    for found in (ref.greedy_decode(model, ids, 4), ref.beam_search(model, ids, 2, 4, 1.0)):
        first, second, third = found.tolist()
        assert first == third == [EOS, PAD, PAD, PAD]
        assert min(second) >= 3
    # And if all do, nothing more is asked for.
    model, ids = automaton([tree(rng, number, 2, ends=30.0) for number in range(3)], rng)
    assert ref.greedy_decode(model, ids, 4).tolist() == [[EOS]] * 3
    # Width 2: EOS, and a word whose next token is EOS.
    assert ref.beam_search(model, ids, 2, 4, 1.0).shape[0] == 3


# ------------------------------------------------------------------------------------ the judge's searches


def naive_beam(source, search):
    """Beam search over (log p, tokens) as one would write it on paper."""
    logp_of, kept = of_table(source), [(0.0, ())]
    for _ in range(search.most):
        grown = [one for one in kept if EOS in one[1]]
        for logp, so_far in kept:
            if EOS not in so_far:
                grown += [(logp + more, (*so_far, token)) for token, more in enumerate(logp_of(so_far)) if more > -1e9]  # type: ignore[misc]
        kept = sorted(grown, reverse=True)[: search.width]
    return max((logp / len(each) ** search.penalty, each) for logp, each in kept)[1]


searches = st.builds(Search, st.integers(1, 5), st.integers(1, 6), penalties)


def clear(search, *args, **named):
    """What it finds; the example is left out where rounding could choose."""
    try:
        return search(*args, **named)
    except Unclear:
        assume(False)


def three_words(rng, number):
    """A source in which the words are the judge's."""
    return tree(rng, number, len(decoding.WORDS))


@many
@given(seeds, searches)
def test_the_judges_beam_is_the_textbooks_and_the_references(seed, search):
    rng = drawing(seed)
    sources = [three_words(rng, number) for number in range(2)]
    model, ids = automaton(sources, rng)
    found = rows(ref.beam_search(model, ids, search.width, search.most, search.penalty))
    for source, seen in zip(sources, found, strict=True):
        want = clear(decoding.beam, source, search)
        assert want == naive_beam(source, search) == seen


@many
@given(seeds, st.integers(1, 4), penalties)
def test_the_judges_searches_are_exhaustive_if_wide_enough(seed, most, penalty):
    source, words = three_words(drawing(seed), 1), len(decoding.WORDS)
    of_all = every(of_table(source), words, most)
    search = Search(len(of_all), most, penalty)
    best = max((logp / len(each) ** penalty, each) for logp, each in of_all)[1]
    assert clear(decoding.exhaustive, source, search) == best
    assert clear(decoding.beam, source, search) == best
    for early in (False, True):
        assert clear(decoding.refilled, source, search, early=early) == best


@many
@given(seeds, st.integers(1, 8))
def test_the_judges_greedy(seed, most):
    source = three_words(drawing(seed), 2)
    found = clear(decoding.greedy, source, most)
    logp_of = of_table(source)
    assert all(logp_of(found[:at])[token] == max(logp_of(found[:at])) for at, token in enumerate(found))
    assert len(found) == most or found[-1] == EOS
    assert EOS not in found[:-1]
    narrow = Search(1, most, 1.0)
    assert clear(decoding.beam, source, narrow) == clear(decoding.refilled, source, narrow, early=True) == found


def naive_refilled(source, search, early):
    """Ended ones go to a list of their own, and `width` that have not ended go on (as in Hugging Face's generate)."""
    logp_of, going, done = of_table(source), [(0.0, ())], []
    for _ in range(search.most):
        grown = [
            (logp + more, (*so_far, token))
            for logp, so_far in going
            for token, more in enumerate(logp_of(so_far))
            if more > -1e9
        ]
        grown.sort(reverse=True)
        done += [one for one in grown[: search.width] if one[1][-1] == EOS]
        going = [one for one in grown if one[1][-1] != EOS][: search.width]  # type: ignore[assignment]
        if early and len(done) >= search.width:
            going = []
            break
    return max((logp / len(each) ** search.penalty, each) for logp, each in done + going)[1]


@many
@given(seeds, searches, st.booleans())
def test_the_judges_refilled_beam_is_the_textbooks(seed, search, early):
    source = three_words(drawing(seed), 0)
    assert clear(decoding.refilled, source, search, early=early) == naive_refilled(source, search, early)


def drawn_cases(request, seed):
    """The cases that are asked, by their number."""
    yield from enumerate(items(request.inputs(drawing(seed)), "cases"))


ANY_CASE = ("sum_first_taken", "sum_penalty_each_step")


def test_each_mistake_is_a_target():
    """But for what any case shows (test_every_known_mistake...), and what rows do to each other."""
    targets = {mistake for pairs in decoding.TARGETS.values() for pair in pairs for mistake in pair}
    shown = {
        at for at, one in enumerate(decoding.MISTAKES) if "small" in one.sentence or one.beside or one.id in ANY_CASE
    }
    assert targets - {decoding.RIGHT} == set(range(len(decoding.MISTAKES))) - shown
    assert {case for case, _ in decoding.TARGETS} <= set(range(len(decoding.SEARCHES)))


@pytest.mark.parametrize("seed", range(20))
def test_cases_are_clear_and_tell_mistakes_apart(seed):
    for case, values in drawn_cases(decoding.BEAM, seed):
        search = decoding.SEARCHES[case]
        assert (values["width"], values["most"], values["penalty"]) == (search.width, search.most, search.penalty)
        numbers = []
        for source in decoding._sources(values):
            numbers.append(source.number)
            want = decoding.right(source, search)  # raises Unclear where right searches differ, or nearly choose
            assert want == naive_beam(source, search)
            if case == decoding.LONG:
                assert len(want) == search.most and EOS not in want
            if source.number == 0:
                for place in decoding.TARGETS.get(case, ()):
                    assert decoding.MISTAKES[place].search(source, search) != want  # type: ignore[call-overload]
        assert sorted(numbers) == list(range(len(numbers)))
    for case, values in drawn_cases(decoding.GREEDY, seed):
        most = decoding.LENGTHS[case]
        lengths = {source.number: len(decoding.greedy(source, most)) for source in decoding._sources(values)}
        assert values["most"] == most and set(lengths) == set(range(decoding.BATCH))
        if case == 0:
            assert lengths[0] == most
            (ends,) = (source for source in decoding._sources(values) if source.number == 1)
            on = decoding.greedy(ends, most, stops=False)
            assert len(on) == most and set(on[lengths[1] :]) & set(decoding.WORDS)
        elif case == 1:
            assert max(lengths.values()) < most
        else:
            assert set(lengths.values()) == {most}


# ------------------------------------------------------------------------------------ ROUGE

WORDS = ("run", "runs", "running", "cat", "cats", "Cat", "the", "of", "a", "42", "model", "models", "modelled")
words = st.sampled_from(WORDS)
texts = st.lists(words, max_size=9).map(" ".join)
KINDS = ("rouge1", "rouge2", "rougeL")
scorer = rouge_scorer.RougeScorer(list(KINDS), use_stemmer=True)
stems = tokenizers.DefaultTokenizer(use_stemmer=True).tokenize


notebooks_rouge_of = only("rouge", rouge_scorer=rouge_scorer)


def notebooks_rouge(references):
    return functools.partial(notebooks_rouge_of, references=references)


def counted(text, other, n):
    """The n-grams of a text, and how many of them the other has, each as often as it is there."""
    (own, theirs) = ([tuple(t[i : i + n]) for i in range(len(t) - n + 1)] for t in (stems(text), stems(other)))
    return len(own), sum(min(own.count(gram), theirs.count(gram)) for gram in set(own))


def common(a, b):
    """The length of the longest common subsequence, by its recurrence."""
    if not a or not b:
        return 0
    return common(a[1:], b[1:]) + 1 if a[0] == b[0] else max(common(a[1:], b), common(a, b[1:]))


@many
@given(texts)
def test_rouge_of_identical_texts(text):
    length = len(stems(text))
    scores = notebooks_rouge([text])([text])
    # By definition 0 where there is no word, or no pair of words.
    assert scores == {"rouge1": 100.0 * (length > 0), "rouge2": 100.0 * (length > 1), "rougeL": 100.0 * (length > 0)}


@many
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_rouge_is_the_mean_of_what_lin_defines(pairs):
    references, predictions = zip(*pairs, strict=True)
    expected = dict.fromkeys(KINDS, 0.0)
    for reference, text in pairs:
        for name, n in (("rouge1", 1), ("rouge2", 2)):
            (a, hits), (b, _) = counted(reference, text, n), counted(text, reference, n)
            expected[name] += 2 * hits / max(a + b, 1)
        a, b = stems(reference)[:7], stems(text)[:7]
        expected["rougeL"] += 2 * common(a, b) / max(len(a) + len(b), 1) if max(len(a), len(b)) < 7 else math.nan
    scores = notebooks_rouge(list(references))(list(predictions))
    for name, value in expected.items():
        if not math.isnan(value):
            # Four decimals, and some ten roundings of numbers below 100.
            assert abs(scores[name] - 100 * value / len(pairs)) <= 0.5e-4 + 100 * 10 * U


@many
@given(texts, texts)
def test_the_f_measure_is_symmetric(one, other):
    there, back = scorer.score(one, other), scorer.score(other, one)
    for name in KINDS:
        assert (there[name].precision, there[name].recall) == (back[name].recall, back[name].precision)
        assert there[name].fmeasure == back[name].fmeasure  # 2 p r / (p + r): both commute exactly


@many
@given(texts, texts, texts)
def test_more_words_lose_no_recall(reference, prediction, more):
    """Whatever is appended: counts of words and pairs do not fall, nor does the longest common subsequence."""
    before, after = (scorer.score(reference, text) for text in (prediction, f"{prediction} {more}"))
    assert all(after[name].recall >= before[name].recall for name in KINDS)


@many
@given(texts.filter(bool), texts)
def test_appending_what_the_reference_has_more_of(reference, prediction):
    """Of h matches in texts of a and b words each lacking word makes h + 1 in a and b + 1: F = 2 h / (a + b) grows."""
    have, lacking = stems(prediction), []
    for word, stem in zip(reference.split(), stems(reference), strict=True):
        if stem in have:
            have.remove(stem)
        else:
            lacking.append(word)
    scores = [scorer.score(reference, " ".join([prediction, *lacking[:n]])) for n in range(len(lacking) + 1)]
    for before, after in itertools.pairwise(scores):
        # 2 (h + 1) / (s + 1) - 2 h / s >= 2 / (s (s + 1)), of sums s of at most 18: far above rounding.
        assert after["rouge1"].fmeasure > before["rouge1"].fmeasure
        assert after["rouge1"].recall > before["rouge1"].recall
        assert after["rougeL"].recall >= before["rougeL"].recall
    assert scores[-1]["rouge1"].recall == 1
    assert scores[-1]["rougeL"].recall >= len(lacking) / len(reference.split())  # they are there in order


# ------------------------------------------------------------------------------------ the data

PACKAGES = ("networkx", "mpmath", "no_such_package")
LONG_ENOUGH = "All that the first summaries of a file, of a method or a class have left out comes here, {} times."


def docstring(summary, k):
    return f'"""{summary}\n\n{LONG_ENOUGH.format(k)}\n"""'


def library(folder):
    """A standard library of a few files, some of which are to be left out."""
    files = {
        "a.py": f"{docstring('The first of all the summaries.', 1)}\n\n"
        f"class C:\n    {docstring('A class that has a summary.', 2)}\n"
        f"    def method(self):\n        {docstring('A method that has a summary.', 3)}\n"
        f"        def inner():\n            {docstring('A summary of an inner method.', 4)}\n",
        "b.py": f"def again():\n    {docstring('The first, of all the SUMMARIES!', 5)}\n"
        f"def document():\n    {docstring('Another summary of a known document.', 1)}\n"
        f"def short():\n    {docstring('Too short.', 6)}\n"
        f"def long():\n    {docstring('A method left out. ' * 10, 7)}\n"
        f"def other():\n    {docstring('Nothing else belongs to a class.', 11)}\n"
        f"def poor():\n    '''A summary that has no document.'''\n",
        "broken.py": f"{docstring('A file that is not in Python 3 is left out.', 8)}\nprint 'x'\n",
        "large.py": f"{docstring('A file of numbers is left out.', 9)}\n#{'x' * 300_000}\n",
        "test/t.py": docstring("A file of tests is left out.", 10),
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The notebook's functions for data, on two small packages and a small library."""
    folder = tmp_path_factory.mktemp("library")
    library(folder)
    # The notebook's own list of packages is left out, as it would need minutes.
    here = types.SimpleNamespace(get_path=lambda name: str(folder))
    found, space = define("pairs_of_docstrings", PACKAGES=PACKAGES, sysconfig=here, tqdm=lambda steps, **_: steps)
    assert gc.isenabled()
    found.pairs, found.space = found.pairs_of_docstrings(10**6), space
    assert gc.isenabled()  # as before
    return found


def test_data_of_a_small_library(data):
    with mock.patch.dict(data.space, PACKAGES=()):
        pairs = data.pairs_of_docstrings(10**6)
    assert {summary: document for split in data.SPLITS for document, summary in pairs[split]} == {
        "The first of all the summaries.": f"a: {LONG_ENOUGH.format(1)}",
        "A class that has a summary.": f"a c: {LONG_ENOUGH.format(2)}",
        "A method that has a summary.": f"c method: {LONG_ENOUGH.format(3)}",
    }


def test_data_is_unique_and_of_the_stated_lengths(data):
    every_pair = [
        (document.partition(": ")[2], summary)  # the heading is no part of the document's own text
        for split in data.SPLITS
        for document, summary in data.pairs[split]
    ]
    assert len(every_pair) > 100 and set(data.pairs) == {"train", "validation", "test"}
    for part in zip(*every_pair, strict=True):  # over all splits: no summary and no document is in two of them
        texts = [data.normalised(text) for text in part]
        assert len(set(texts)) == len(texts)
    for document, summary in every_pair:
        assert 20 <= len(summary) <= 150
        assert 40 <= len(document) <= 400
        assert " ".join(document.split()) == document and " ".join(summary.split()) == summary
    # Were the hash random, each share would be off by more than sqrt(log(2e9) / 2n) with a chance of 1e-9.
    slack = math.sqrt(math.log(2e9) / (2 * len(every_pair)))
    for split, expected in (("train", 0.9), ("validation", 0.05), ("test", 0.05)):
        assert data.pairs[split] and abs(len(data.pairs[split]) / len(every_pair) - expected) <= slack


def test_data_is_the_same_every_time(data):
    assert data.pairs_of_docstrings(10**6) == data.pairs
    # What else is there does not change where a pair is; `most` cuts behind the file that reaches it.
    places = {pair: split for split in data.SPLITS for pair in data.pairs[split]}
    fewer = data.pairs_of_docstrings(100)
    assert 100 <= sum(map(len, fewer.values())) < len(places)
    assert all(data.pairs[split][: len(fewer[split])] == fewer[split] for split in data.SPLITS)
    with mock.patch.dict(data.space, PACKAGES=("mpmath",)):
        other = data.pairs_of_docstrings(10**6)
    known = [(places[pair], split) for split in data.SPLITS for pair in other[split] if pair in places]
    assert len(known) > 10 and all(one == split for one, split in known)


def test_headings(data):
    assert data.heading("numpy.linalg.LinAlgError.with_traceback") == "lin alg error with traceback"
    names = ("json", "a.b.c_d", "a.B2", "a.HTTPServer", "x.getURL.as2DArray", "aB.CD")
    words = ["json", "b c d", "a b 2", "a http server", "get url as 2 d array", "a b cd"]
    assert [data.heading(name) for name in names] == words


def test_what_is_mentioned(data):
    summary = "Return the largest eigenvalues of a matrix, with largest first."  # five content words, one of them twice
    for text, expected in (
        ("", 0),
        ("the of a with return", 0),
        ("matr", 0),
        ("Matrices", 1 / 5),
        ("MATRIX", 1 / 5),
        ("larger", 2 / 5),
        ("the larger (eigenvalue)", 3 / 5),
        ("first matrix largest eigen", 1),
    ):
        assert data.mentioned(summary, text) == pytest.approx(expected), text
    assert data.mentioned("Return it to the class.", "class") == 0  # nothing but words that are everywhere


def test_docstrings_have_qualified_names(data):
    source = textwrap.dedent('''
        """Of the module."""
        def f():
            """Of f."""
            def g(): "not this one"
        class C:
            "Of C."
            async def m(self): "Of m."
            class D: "Of D."
    ''')
    expected = {"p.a": "Of the module.", "p.a.f": "Of f.", "p.a.C": "Of C.", "p.a.C.m": "Of m.", "p.a.C.D": "Of D."}
    assert dict(data.docstrings(source, "p.a")) == expected
    assert data.docstrings("x = 1", "p.b") == [] == data.docstrings("", "p.c")


# ------------------------------------------------------------------------------------ span corruption

corrupt = only("corrupt", torch=torch, random=random)
SENTINELS = torch.arange(100, 132)


def cut_at_sentinels(ids):
    """What is before the first sentinel, and behind each: lists of ids."""
    parts: list[list[Any]] = [[]]
    for token in ids:
        if token in SENTINELS:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


@many
@given(st.integers(2, 80), seeds, st.sampled_from([(0.15, 3.0), (0.5, 1.0), (0.3, 2.0)]))
def test_span_corruption_can_be_undone(n, seed, how):
    share, mean_span = how
    generator = torch.Generator().manual_seed(seed)
    ids = torch.cat([torch.randint(3, 100, (n,), generator=generator), torch.tensor([EOS])])
    random.seed(seed)
    source, target = (each.tolist() for each in corrupt(ids, SENTINELS.split(1), share, mean_span))
    assert source[-1] == target[-1] == EOS
    kept, (nothing, *lost) = cut_at_sentinels(source[:-1]), cut_at_sentinels(target[:-1])
    spans = len(lost)
    # The last part that is kept is empty: every part is followed by a span.
    assert nothing == [] and kept[-1] == [] and len(kept) == spans + 1
    assert all(kept[:-1]) and all(lost)  # no span is empty, no two meet
    assert [*itertools.chain(*(k + gone for k, gone in zip(kept, lost, strict=False))), EOS] == ids.tolist()
    used = [token for token in source if token in SENTINELS]
    assert used == SENTINELS[:spans].tolist() == [token for token in target if token in SENTINELS]
    noisy = min(max(round(share * n), 1), n - 1)
    assert sum(map(len, lost)) == noisy
    assert spans == min(max(round(noisy / mean_span), 1), 32, n - noisy)


def test_all_ways_to_cut_are_alike():
    random.seed(1)
    ids = torch.arange(3, 3 + 11)  # ten tokens and the end: five are lost in two spans
    lengths = []
    for _ in range(2000):
        _, target = corrupt(ids, SENTINELS.split(1), 0.5, 2.5)
        _, first, second = cut_at_sentinels(target[:-1].tolist())
        assert len(first) + len(second) == 5
        lengths.append(len(first))
    # Hoeffding: each of the four shares is off by more than this with a chance of 1e-9.
    slack = math.sqrt(math.log(2e9) / (2 * 2000))
    assert all(abs(lengths.count(n) / 2000 - 0.25) <= slack for n in (1, 2, 3, 4))


# ------------------------------------------------------------------------------------ training, baselines


def test_the_weights_that_did_best_stay():
    fit = define("fit")[0].fit
    model, losses, seen = nn.Linear(2, 1), iter([3.0, 1.0, 2.0, *[1.5] * 7]), []

    def validate():
        seen.append(model.weight.detach().clone())
        return torch.tensor(next(losses))

    steps, watched = fit(
        model,
        lambda: model(torch.ones(2)).square().sum(),
        steps=40,
        seconds=math.inf,
        peak=0.1,
        name="",
        validate=validate,
    )
    assert len(steps) == 40 and [loss for _, loss in watched] == [3.0, 1.0, 2.0, *[1.5] * 7]
    assert [step for step, _ in watched] == [*range(5, 38, 4), 40]  # behind each tenth of the way
    assert torch.equal(model.weight, seen[1]) and not torch.equal(seen[1], seen[-1])
    assert not model.training


@pytest.mark.parametrize(("capability", "mixed"), [((8, 0), True), ((9, 0), True), ((7, 5), False), (None, False)])
def test_training_is_mixed_on_gpus_that_have_bfloat16(capability, mixed):
    """A CPU stands for the GPU, by its own autocast: products in bfloat16, losses, weights and validation not."""
    device, autocast = SimpleNamespace(type="cuda" if capability else "cpu"), torch.autocast
    made: list[Any] = []

    def on_the_cpu(kind, dtype, *, enabled):
        assert kind == device.type
        return autocast("cpu", dtype, enabled=enabled)

    def next_loss():
        logits = model(documents, torch.cat([torch.full_like(summaries[:, :1], 1), summaries[:, :-1]], dim=1))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), summaries.flatten(), ignore_index=0)
        made.append((logits.dtype, loss.dtype))
        return loss

    torch.manual_seed(0)
    fit = define("fit", device=device)[0].fit
    model = ref.Seq2Seq(ref.Config(vocab_size=20, d_model=16, d_ffn=32, max_positions=10))
    documents, summaries = torch.randint(3, 20, (4, 7)), torch.randint(3, 20, (4, 6))
    documents[1, 4:] = documents[2, 1:] = summaries[3, 2:] = 0
    with (
        mock.patch.object(torch, "autocast", on_the_cpu),
        mock.patch.object(torch.cuda, "get_device_capability", lambda _: capability),
    ):
        losses, watched = fit(model, next_loss, steps=60, seconds=math.inf, peak=1e-2, name="", validate=next_loss)
    single = (torch.float32, torch.float32)
    assert made.count((torch.bfloat16, torch.float32) if mixed else single) >= 60
    assert made.count(single) == (len(watched) if mixed else 60 + len(watched))
    assert all(weight.dtype == torch.float32 and weight.grad.isfinite().all() for weight in model.parameters())
    assert len(losses) == 60 and all(isinstance(loss, float) for loss in losses)
    assert math.log(20) - 0.5 < losses[0] < math.log(20) + 0.5 and losses[-1] < 0.5 * losses[0]


def test_a_baseline_is_chosen_by_the_validation_set():
    choose = only(
        "best_of",
        rouge=notebooks_rouge_of,
        validation=[("alpha beta gamma delta", "alpha beta"), ("one two three four", "one two")],
        test=[("red green blue", "red green blue"), ("left", "right")],
    )
    write = lambda n, document: " ".join(document.split()[:n])  # noqa: E731
    assert choose(range(1, 5), write) == ["red green", "left"]
    assert choose(("two", "one", "two one"), lambda text, document: text) == ["two one"] * 2


# ------------------------------------------------------------------------------------ the log


def formula(name, k):
    """Element k of the weight of this name, by the sentence in the notebook."""
    return 0.3 * math.sin(zlib.crc32(name.encode()) % 1000 + 1.7 * k) + (1.0 if name.endswith("_ln.weight") else 0.0)


@pytest.mark.parametrize("decodes", [False, True])
def test_fill_gives_what_its_formula_says(decodes):
    layer = ref.fill(ref.TransformerLayer(decodes, 8, 2, 16, 0.5))
    assert not layer.training
    for name, weight in layer.named_parameters():
        assert weight.dtype == torch.float32
        expected = torch.tensor([formula(name, k) for k in range(weight.numel())], dtype=torch.float64)
        # Rounded once to float32; before that arguments below 1000 + 1.7 * 256 were rounded in float64.
        bound = 2.0**-24 * expected.abs() + 8 * U * (1000 + 1.7 * 256)
        assert ((weight.detach().double().flatten() - expected).abs() <= bound).all()


@torch.no_grad()
def test_the_logs_modules_agree_with_each_other():
    """Of the log's tests those with a cache end where those without it do; in float64, so that nothing is blurred."""
    stack, ids, memory, mask = ref.small_stack()
    stack, memory = stack.double(), memory.double()
    shared = {name: weight for name, weight in weights_of(stack).items() if name.startswith("emb_")}
    named = {"causal": True, "memory": bounded(memory), "memory_padding": mask.numpy()}
    layers = [weights_of(layer) for layer in stack.layers]
    want: Any = transformer.stack(transformer.embed(ids.numpy(), shared, U), layers, 2, **named)
    assert want.error.max() < 10 * TELLING
    forced, _, none = stack(ids, memory, mask)
    assert close(forced, want.value, want.error)
    past: Any = None
    for i in range(ids.shape[1]):
        state, _, past = stack(ids[:, i : i + 1], memory, mask, use_cache=True, past_key_values=past)
        assert close(state[:, 0], forced[:, i], want.error[:, i])
    assert none is None and [tuple(cache.shape) for cache in past] == [(2, 5, 8)] * 2
    x, padding_mask, memory, mask = ref.module_inputs()
    assert (x.shape, padding_mask.shape, memory.shape, mask.shape) == ((2, 5, 8), (2, 5), (2, 4, 8), (2, 4))
    k = torch.arange(80, dtype=torch.float64)
    assert ((x.flatten().double() - torch.sin(0.7 * k)).abs() <= 2.0**-24).all()
    assert ((memory.flatten().double() - torch.cos(0.9 * k[:64])).abs() <= 2.0**-24).all()


# ------------------------------------------------------------------------------------ the notebook


def test_template_leaves_no_trace_of_the_solution():
    text, regions = template.cut_notebook(TEXT, PATH.name)
    assert regions == len(GRADED)
    code = "\n".join(cell.source for cell in notebooks.read(text.encode()))
    assert not any(word in code for word in ("SOLUTION", "index_select", "masked_fill(ended", "offset"))
    cut, _ = define("Config", "Seq2Seq", "greedy_decode", "beam_search", text=text)
    for call in (
        lambda: cut.TransformerLayer(True, 4, 2, 4, 0.0)(None, None),
        lambda: cut.Seq2Seq(cut.Config(5)).encode(None),
        lambda: cut.greedy_decode(None, None, 1),
        lambda: cut.beam_search(None, None, 1, 1, 1.0),
    ):
        with pytest.raises(NotImplementedError, match=r"^\w+: .*\?$"):
            call()


CHECKS = ("check_layer", "check_stack", "check_greedy", "check_beam")


def self_check(old="", new="", checks=CHECKS):
    """What the notebook's own checks say to the reference with `new` in place of `old`."""
    assert not old or TEXT.count(json.dumps(old)[1:-1]) >= 1, old
    text = TEXT.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1]) if old else TEXT
    space, _ = define(*checks, text=text)
    for name in checks:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            getattr(space, name)()


def test_self_checks_accept_the_reference():
    self_check()


@pytest.mark.parametrize(
    ("old", "new", "check", "sentence"),
    [
        ("self.self_attn(x, past_kv, past_kv)", "self.self_attn(x, x, x)", "check_layer", "At position 1 the cached"),
        ("causal=self.is_decoder", "causal=False", "check_layer", "the cached output is off"),
        ("0 if past_key_values is None else past_key_values[0].shape[1]", "0", "check_stack", "the cached logits are"),
        (" else past_key_values[index]", " else past_key_values[0]", "check_stack", "the cached logits are"),
        ("logits[:, -1].argmax(", "logits[:, -1].argmin(", "check_greedy", "greedy decoding finds"),
        ("logp / length**length_penalty", "logp * length**length_penalty", "check_beam", "With length_penalty"),
        ("tokens.flatten(0, 1)[rows]", "tokens", "check_beam", "With length_penalty"),
        ("cache.index_select(0, rows)", "cache", "check_beam", "With length_penalty 1 .* the cache of a beam"),
        ("cache.index_select(0, rows)", "cache[rows.flip(0)]", "check_beam", "With length_penalty"),
        ("cache.index_select(0, rows)", "cache[origin.flatten()]", "check_beam", "A beam of width 1"),
        ("[:, None] * num_beams + origin", "[:, None] + origin", "check_beam", "For document 1 beam"),
        (
            "past_key_values = tuple(cache.index_select(0, rows) for cache in past_key_values)",
            "past_key_values = past_key_values[0][rows], past_key_values[1]",
            "check_beam",
            "caches of the two layers",
        ),
    ],
)
def test_self_checks_explain(old, new, check, sentence):
    with pytest.raises(AssertionError, match=sentence):
        self_check(old, new, (check,))
