"""Bounds on rounding: torch's results lie within them in both precisions, derivatives are right, none is absurd."""

import functools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from autograder.hw11.summarization import layer as judge
from autograder.hw11.summarization import transformer
from autograder.judging import rounding
from autograder.judging.rounding import Bounded, exact

settings.register_profile("rounding", max_examples=40, derandomize=True, database=None, deadline=None)
many = settings(settings.get_profile("rounding"))
few = settings(settings.get_profile("rounding"), max_examples=15)

UNIT = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}
DTYPES = pytest.mark.parametrize("dtype", list(UNIT), ids=["float32", "float64"])
mpmath.mp.prec = 200  # bits: what remains of rounding in the exact results is nothing beside 2^-53
FINE = np.longdouble if np.finfo(np.longdouble).eps < 2.0**-60 else None
"""A type in which large products are as good as exact, where the machine has one."""

sizes = st.integers(1, 6)
seeds = st.integers(0, 2**31)
scales = st.sampled_from([1e-3, 1.0, 1e3])


# ------------------------------------------------------------------------------------ exact results


def exactly(x):
    """The same numbers as mpmath's."""
    return np.vectorize(mpmath.mpf, otypes=[object])(np.asarray(x, np.float64))


mp_exp, mp_sqrt = (np.vectorize(function, otypes=[object]) for function in (mpmath.exp, mpmath.sqrt))


def exact_softmax(scores, hidden):
    """By its definition; the same share for all where nothing is to be seen."""
    powers = mp_exp(scores) * np.where(hidden, 0, 1)
    powers = np.where(hidden.all(-1, keepdims=True), mpmath.mpf(1), powers)
    return powers / powers.sum(-1, keepdims=True)


def exact_layer_norm(x, weight, bias):
    centred = x - x.sum(-1, keepdims=True) / x.shape[-1]
    variance = (centred**2).sum(-1, keepdims=True) / x.shape[-1]
    return centred / mp_sqrt(variance + mpmath.mpf("1e-5")) * weight + bias


def exact_attention(of, to, weights, name, heads, hidden):
    """hidden (batch or 1, n or 1, m): softmax(q k^T / sqrt(d)) v for each head, beside each other."""
    q, k, v = (
        x @ weights[f"{name}.{part}_proj.weight"].T + weights[f"{name}.{part}_proj.bias"]
        for x, part in ((of, "q"), (to, "k"), (to, "v"))
    )
    width, seen = q.shape[-1] // heads, []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = q[..., part] @ k[..., part].swapaxes(-1, -2) / mpmath.sqrt(width)
        seen.append(exact_softmax(scores, np.broadcast_to(hidden, scores.shape)) @ v[..., part])
    return np.concatenate(seen, -1) @ weights[f"{name}.o_proj.weight"].T + weights[f"{name}.o_proj.bias"]


def exact_layer(x, memory, weights, heads, memory_padding):
    """A decoder's layer, as the paper has it."""
    x, memory = exactly(x), exactly(memory)
    weights = {name: exactly(weight) for name, weight in weights.items()}

    def norm(x, name):
        return exact_layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    later = np.triu(np.ones((x.shape[1],) * 2, bool), 1)
    x = norm(x + exact_attention(x, x, weights, "self_attn", heads, later[None]), "self_attn_ln")
    hidden = memory_padding[:, None, :].astype(bool)
    x = norm(x + exact_attention(x, memory, weights, "cross_attn", heads, hidden), "cross_attn_ln")
    inner = x @ weights["fc1.weight"].T + weights["fc1.bias"]
    inner = np.where(inner > 0, inner, mpmath.mpf(0))
    return norm(x + inner @ weights["fc2.weight"].T + weights["fc2.bias"], "ffn_ln")


def torch_attention(of, to, weights, name, heads, hidden, masked):
    q, k, v = (
        F.linear(x, weights[f"{name}.{part}_proj.weight"], weights[f"{name}.{part}_proj.bias"])
        .unflatten(-1, (heads, -1))
        .transpose(1, 2)
        for x, part in ((of, "q"), (to, "k"), (to, "v"))
    )
    scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(hidden, masked)
    return F.linear(
        (scores.softmax(-1) @ v).transpose(1, 2).flatten(2),
        weights[f"{name}.o_proj.weight"],
        weights[f"{name}.o_proj.bias"],
    )


def torch_layer(x, memory, weights, heads, memory_padding, masked=-1e9):
    """The same with torch."""

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])

    later = torch.ones(x.shape[1], x.shape[1]).triu(1).bool()
    x = norm(x + torch_attention(x, x, weights, "self_attn", heads, later, masked), "self_attn_ln")
    hidden = memory_padding[:, None, None, :].bool()
    x = norm(x + torch_attention(x, memory, weights, "cross_attn", heads, hidden, masked), "cross_attn_ln")
    inner = F.linear(x, weights["fc1.weight"], weights["fc1.bias"]).relu()
    return norm(x + F.linear(inner, weights["fc2.weight"], weights["fc2.bias"]), "ffn_ln")


# ------------------------------------------------------------------------------------ what is compared


def drawn(seed, *shape, dtype, scale=1.0):
    """Normal numbers that `dtype` has, as torch's."""
    rng = np.random.Generator(np.random.Philox(seed))
    return torch.from_numpy(scale * rng.standard_normal(shape)).to(dtype)


def known(x):
    """Numbers that are the same in all precisions, for the bound of their own."""
    return exact(x.double().numpy(), UNIT[x.dtype])


def off(x, y):
    """|x - y| in float64 of two arrays, one of them mpmath's: the difference itself is exact."""
    return np.abs(exactly(x) - y).astype(float)


def used(seen, bounded, truth):
    """The share of the bound that torch's result uses; what the judge computed is within its own, too.

    The judge's numbers are float64's: their error is bounded by the part 2^-53 / u of the same bound. Roundoff is
    relative only above `tiny`; below it, in a softmax's least shares, numbers lose digits or become 0.
    """
    tiny = torch.finfo(seen.dtype).tiny
    assert seen.shape == bounded.value.shape == bounded.error.shape == truth.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        # 1 + 2^-40: the bound is computed in float64, too, with some hundred roundings
        shares = [
            np.where((error := off(each, truth)) <= tiny, 0, error / (bounded.error * part * (1 + 2.0**-40)))
            for each, part in ((seen.double().numpy(), 1), (bounded.value, 2.0**-53 / bounded.u))
        ]
    assert shares[1].max() <= 1
    return float(shares[0].max())


# ------------------------------------------------------------------------------------ one operation


@DTYPES
@many
@given(sizes, sizes, seeds, scales)
def test_add(dtype, n, m, seed, scale):
    x, y = drawn(seed, n, m, dtype=dtype), drawn(seed + 1, n, m, dtype=dtype, scale=scale)
    truth = exactly(x) + exactly(y)
    assert used(x + y, rounding.add(known(x), known(y)), truth) <= 1
    # A plain array counts as known exactly, too.
    assert used(x + y, rounding.add(known(x), y.double().numpy()), truth) <= 1


@DTYPES
@many
@given(sizes, st.integers(1, 40), sizes, seeds, scales)
def test_matmul(dtype, n, k, m, seed, scale):
    x, y = drawn(seed, 2, n, k, dtype=dtype), drawn(seed + 1, k, m, dtype=dtype, scale=scale)
    assert used(x @ y, rounding.matmul(known(x), known(y)), exactly(x) @ exactly(y)) <= 1


@DTYPES
@many
@given(sizes, st.integers(1, 40), sizes, seeds, scales)
def test_scaled_matmul(dtype, n, k, m, seed, scale):
    x, y = drawn(seed, n, k, dtype=dtype), drawn(seed + 1, k, m, dtype=dtype, scale=scale)
    truth = exactly(x) @ exactly(y) / mpmath.sqrt(k)
    bounded: Any = rounding.scaled_matmul(known(x), known(y), float(1 / mpmath.sqrt(k)))
    root = torch.tensor(k, dtype=dtype).sqrt()
    behind = (x @ y / math.sqrt(k), x @ y * k**-0.5, x @ y / root, x @ y * (1 / root))
    before = ((x / root) @ y, (x * (1 / root)) @ y, x @ (y / math.sqrt(k)), (x / root.sqrt()) @ (y / root.sqrt()))
    for seen in behind + before:
        assert used(seen, bounded, truth) <= 1


@DTYPES
def test_a_factor_before_the_product_counts_where_the_sum_cancels(dtype):
    """1 - 1, each made of a root of the factor at either side: ten roundings each, all up in one and down in the other.

    Four at either side, the product and the sum. The result's own size, 0, says nothing of them.
    """
    u = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}[dtype]
    x, y = np.ones((1, 2)), np.array([[1.0], [-1.0]])
    bounded: Any = rounding.scaled_matmul(Bounded(x, 0 * x, u), Bounded(y, 0 * y, u), 0.5)
    furthest = (mpmath.mpf(1 + mpmath.mpf(u)) ** 10 - (1 - mpmath.mpf(u)) ** 10) / 2
    assert bounded.value == 0
    assert furthest <= float(bounded.error[0, 0]) <= 1.3 * furthest


@DTYPES
@many
@given(sizes, sizes, seeds)
def test_relu(dtype, n, m, seed):
    x = drawn(seed, n, m, dtype=dtype)
    bounded: Any = rounding.relu(known(x))
    assert not bounded.error.any()  # exact
    assert used(x.relu(), bounded, np.maximum(exactly(x), 0)) == 0


@DTYPES
@many
@given(sizes, st.integers(1, 30), seeds, st.sampled_from([0.01, 1.0, 20.0]), st.booleans())
def test_softmax(dtype, n, m, seed, scale, lost):
    x = drawn(seed, n, m, dtype=dtype, scale=scale)
    hidden = drawn(seed + 1, n, m, dtype=dtype) > 0.5
    hidden[0] |= lost  # a row in which nothing is seen
    bounded: Any = rounding.softmax(known(x), hidden.numpy())
    truth = exact_softmax(exactly(x), hidden.numpy())
    seen = x.masked_fill(hidden, -1e9)
    assert used(seen.softmax(-1), bounded, truth) <= 1
    # Written out, and with -inf where something is left to be seen.
    powers = (seen - seen.amax(-1, keepdim=True)).exp()
    assert used(powers / powers.sum(-1, keepdim=True), bounded, truth) <= 1
    rest = ~hidden.all(-1)
    shares = x.masked_fill(hidden, -math.inf)[rest].softmax(-1)
    some = bounded.map(lambda each: each[rest.numpy()])
    assert not rest.any() or used(shares, some, truth[rest.numpy()]) <= 1
    # What is hidden has no share and no error; in float32 all shares of a row have the sum 1.
    assert not bounded.value[(hidden & rest[:, None]).numpy()].any()
    assert not bounded.error[(hidden & rest[:, None]).numpy()].any()
    assert np.abs(bounded.value.sum(-1) - 1).max() <= (m + 1) * 2.0**-53


@DTYPES
@many
@given(sizes, st.integers(2, 30), seeds, scales, st.sampled_from([0.0, 1.0, 30.0]))
def test_layer_norm(dtype, n, d, seed, scale, shift):
    x = shift * scale + drawn(seed, n, d, dtype=dtype, scale=scale)
    weight, bias = (drawn(seed + k, d, dtype=dtype) for k in (1, 2))
    bounded: Any = rounding.layer_norm(known(x), weight.double().numpy(), bias.double().numpy())
    truth = exact_layer_norm(exactly(x), exactly(weight), exactly(bias))
    assert used(F.layer_norm(x, (d,), weight, bias), bounded, truth) <= 1
    # And written out.
    centred = x - x.mean(-1, keepdim=True)
    by_hand = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias
    assert used(by_hand, bounded, truth) <= 1


# ------------------------------------------------------------------------------------ errors that come in


@many
@given(sizes, st.integers(2, 24), sizes, seeds, st.sampled_from([1e-12, 1e-6, 1e-2]))
def test_errors_are_handed_on(n, k, m, seed, size):
    """Inputs as far off as they may be, each to the side that moves an output most, leave it within its bound."""
    rng = np.random.Generator(np.random.Philox(seed))

    def inexact(*shape):
        value = rng.standard_normal(shape) * rng.choice([1.0, size], shape, p=[0.8, 0.2])  # some near relu's kink
        return Bounded(value, size * rng.uniform(0.5, 1, shape), 2.0**-53)

    x, y, z = inexact(n, k), inexact(k, m), inexact(n, k)
    hidden = rng.random((n, k)) > 0.7
    weight, bias = 1 + rng.random(k), rng.random(k)  # so that the largest output is far from the mean
    scale, shift = (torch.from_numpy(each) for each in (weight, bias))
    mask = torch.from_numpy(hidden)
    results: dict[str, Any] = {
        "add": (rounding.add(x, z), (x, z), torch.add),
        "matmul": (rounding.matmul(x, y), (x, y), torch.matmul),
        "scaled_matmul": (rounding.scaled_matmul(x, y, 0.3), (x, y), lambda x, y: (x @ y) * 0.3),
        "relu": (rounding.relu(x), (x,), torch.relu),
        "softmax": (rounding.softmax(x, hidden), (x,), lambda x: x.masked_fill(mask, -1e9).softmax(-1)),
        "layer_norm": (rounding.layer_norm(x, weight, bias), (x,), lambda x: F.layer_norm(x, (k,), scale, shift)),
    }
    for name, (bounded, inputs, function) in results.items():
        assert np.isfinite(bounded.error).all()
        leaves = [torch.tensor(each.value, requires_grad=True) for each in inputs]
        outputs = function(*leaves).flatten()
        for place in (int(outputs.argmax()), *rng.integers(0, len(outputs), 4)):
            slopes = torch.autograd.grad(outputs[place], leaves, retain_graph=True)
            for sign in (1, -1):
                ways = [torch.where(slope < 0, -sign, sign).numpy() for slope in slopes]
                turned = [each.value + way * each.error for each, way in zip(inputs, ways, strict=True)]
                seen = function(*map(torch.from_numpy, turned)).numpy()
                # Adding an error of at least 5e-13 to a value below 5 rounds by 5 u, which is passed on as the error
                # is: 5 * 1.1e-16 / 5e-13 of the bound.
                assert (np.abs(seen - bounded.value) <= bounded.error * (1 + 2e-3)).all(), name


def test_capped_and_rounded():
    bounded: Any = Bounded(np.array([1.0, -2.0]), np.array([0.5, math.nan]), 2.0**-24)
    assert bounded.capped(0.25).error.tolist() == [0.25, 0.25] and bounded.capped(1.0).error.tolist() == [0.5, 1.0]
    some = Bounded(np.array([1.0, -2.0]), np.array([0.0, 0.5]), 2.0**-24).rounded(3)
    share = 3 * 2.0**-24 / (1 - 3 * 2.0**-24)
    assert np.allclose(some.error, [share, 0.5 + share * 2.5], rtol=1e-15, atol=0)
    assert bounded.map(lambda x: x[::-1]).value.tolist() == [-2.0, 1.0]
    moved: Any = rounding.move(np.arange(3), lambda x: x[1:])
    assert moved.tolist() == [1, 2]


# ------------------------------------------------------------------------------------ the whole layer


@functools.cache
def layer_case(seed, d_model, heads, d_ffn, n, m):
    """Weights, x (2, n, d), memory (2, m, d) and its padding: float32 numbers, as a judge draws them."""
    rng = np.random.Generator(np.random.Philox(seed))
    weights = judge.weights_of(rng, d_model, d_ffn)
    x, memory = (rng.standard_normal((2, length, d_model)).astype(np.float32) for length in (n, m))
    return weights, x, memory, judge.padding_of(rng, 2, m)


def bounded_layer(weights, x, memory, mask, heads, u):
    weights = {name: weight.astype(float) for name, weight in weights.items()}
    x, memory = (exact(each.astype(float), u) for each in (x, memory))
    return transformer.layer(x, weights, heads, causal=True, memory=memory, memory_padding=mask)


layers = st.tuples(seeds, st.sampled_from([(4, 1, 6), (4, 2, 5), (6, 3, 4)]), st.integers(1, 3), st.integers(1, 3))


@DTYPES
@few
@given(layers)
def test_whole_layer(dtype, size):
    seed, (d_model, heads, d_ffn), n, m = size
    weights, x, memory, mask = case = layer_case(seed, d_model, heads, d_ffn, n, m)
    truth = exact_layer(x, memory, weights, heads, mask)
    bounded: Any = bounded_layer(*case, heads, UNIT[dtype])  # type: ignore[call-arg]
    typed = {name: torch.from_numpy(weight).to(dtype) for name, weight in weights.items()}
    x, memory = (torch.from_numpy(each).to(dtype) for each in (x, memory))
    seen = torch_layer(x, memory, typed, heads, torch.from_numpy(mask))
    assert used(seen, bounded, truth) <= 1
    # The judge's number and a student's are both float64's: the unit roundoff that judges use is twice it.
    if dtype == torch.float64:
        pair = bounded_layer(*case, heads, judge.DOUBLE)  # type: ignore[call-arg]
        assert (np.abs(seen.numpy() - pair.value) <= pair.error).all()


# ------------------------------------------------------------------------------------ derivatives

STEP = 1e-30


def derivative(function, x, along):
    """Of `function` at x along a direction, by a complex step (Squire and Trapp 1998)."""
    return function(x.numpy() + 1j * STEP * along.numpy()).imag / STEP


def torchs(function, x, along):
    """The same by torch, forward over backward: the gradient of each output, times the direction."""
    return torch.autograd.functional.jvp(function, x, along)[1].numpy()


# Both are float64's: a derivative is a sum of products of numbers below some 1e3 (softmax's scores are below 20, a
# variance is not below 1e-5), of at most 1e3 terms. 1e-16 * 1e3 * 1e3 relatively to the largest entry.
AGREE = 1e-9


@few
@given(st.integers(1, 4), st.integers(2, 8), st.integers(1, 4), seeds)
def test_complex_numbers_give_derivatives(n, k, m, seed):
    dtype = torch.float64
    x, along = drawn(seed, n, k, dtype=dtype), drawn(seed + 1, n, k, dtype=dtype)
    y, weight, bias = (drawn(seed + at, *shape, dtype=dtype) for at, shape in ((2, (k, m)), (3, (k,)), (4, (k,))))
    hidden = drawn(seed + 5, n, k, dtype=dtype) > 0.5
    cases = {
        "matmul": (lambda x: rounding.matmul(x, y.numpy()), lambda x: x @ y),
        "add": (lambda x: rounding.add(x, x * x), lambda x: x + x * x),
        "scaled_matmul": (lambda x: rounding.scaled_matmul(x, y.numpy(), 0.3), lambda x: (x @ y) * 0.3),
        "relu": (rounding.relu, lambda x: x.relu()),
        "softmax": (lambda x: rounding.softmax(x, hidden.numpy()), lambda x: x.masked_fill(hidden, -1e9).softmax(-1)),
        "layer_norm": (
            lambda x: rounding.layer_norm(x, weight.numpy(), bias.numpy()),
            lambda x: F.layer_norm(x, (k,), weight, bias),
        ),
    }
    for name, (ours, theirs) in cases.items():
        expected = torchs(theirs, x, along)
        assert np.abs(derivative(ours, x, along) - expected).max() <= AGREE * (1 + np.abs(expected).max()), name
        assert np.allclose(ours(x.numpy()), theirs(x).numpy(), rtol=AGREE, atol=AGREE), name  # type: ignore[arg-type]


@few
@given(layers)
def test_derivatives_of_the_whole_layer(size):
    seed, (d_model, heads, d_ffn), n, m = size
    weights, x, memory, mask = layer_case(seed, d_model, heads, d_ffn, n, m)
    typed = {name: torch.from_numpy(weight).double() for name, weight in weights.items()}
    x, memory = (torch.from_numpy(each).double() for each in (x, memory))
    plain = {name: weight.numpy() for name, weight in typed.items()}
    named = {"causal": True, "memory_padding": mask}
    along = drawn(seed, *x.shape, dtype=torch.float64)
    expected = torchs(lambda x: torch_layer(x, memory, typed, heads, torch.from_numpy(mask)), x, along)
    seen = derivative(lambda x: transformer.layer(x, plain, heads, memory=memory.numpy(), **named), x, along)
    assert np.abs(seen - expected).max() <= AGREE * (1 + np.abs(expected).max())
    for name in ("self_attn.k_proj.weight", "cross_attn.v_proj.bias", "fc1.weight", "ffn_ln.weight"):
        along = drawn(seed + 1, *typed[name].shape, dtype=torch.float64)

        def of(weight, name=name):
            return torch_layer(x, memory, {**typed, name: weight}, heads, torch.from_numpy(mask))

        def ours(weight, name=name):
            complexes = {**plain, name: weight}
            return transformer.layer(x.numpy(), complexes, heads, memory=memory.numpy(), **named)

        expected = torchs(of, typed[name], along)
        assert np.abs(derivative(ours, typed[name], along) - expected).max() <= AGREE * (1 + np.abs(expected).max())


# ------------------------------------------------------------------------------------ none is absurd

LARGE = pytest.mark.skipif(FINE is None, reason="no type here is finer than float64")


def largest(dtype, draws, one):
    """The largest share of its bound that torch's result uses in many draws; `one` gives result, bound and truth."""
    most = 0.0
    for seed in range(draws):
        seen, bounded, truth = one(seed)
        error = np.abs(seen.double().numpy().astype(FINE) - truth)
        most = max(most, float((error / bounded.error).max()))
    return most


@LARGE
@DTYPES
def test_bounds_of_products_are_not_absurd(dtype):
    """At most 100 times the largest error seen (k terms: gamma_k grows like k, errors at random like sqrt(k))."""

    def one(seed):
        x, y = drawn(seed, 20, 16, dtype=dtype), drawn(seed + 1000, 16, 20, dtype=dtype)
        truth = x.numpy().astype(FINE) @ y.numpy().astype(FINE)
        return x @ y, rounding.matmul(known(x), known(y)), truth

    assert 1 / 100 <= largest(dtype, 100, one) <= 1


@LARGE
@DTYPES
def test_other_bounds_are_not_absurd(dtype):
    def shares(seed):
        x = drawn(seed, 20, 8, dtype=dtype)
        powers = np.exp(x.numpy().astype(FINE))
        none = np.zeros((1, 1), bool)
        return x.softmax(-1), rounding.softmax(known(x), none), powers / powers.sum(-1, keepdims=True)

    def norms(seed):
        x, weight, bias = (drawn(seed + at, *shape, dtype=dtype) for at, shape in ((0, (20, 8)), (1, (8,)), (2, (8,))))
        fine = x.numpy().astype(FINE)
        centred = fine - fine.mean(-1, keepdims=True)
        normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + FINE("1e-5"))  # type: ignore[misc]
        bounded: Any = rounding.layer_norm(known(x), weight.double().numpy(), bias.double().numpy())
        return F.layer_norm(x, (8,), weight, bias), bounded, normal * weight.numpy() + bias.numpy()

    def sums(seed):
        x, y = drawn(seed, 20, 8, dtype=dtype), drawn(seed + 1000, 20, 8, dtype=dtype)
        return x + y, rounding.add(known(x), known(y)), x.numpy().astype(FINE) + y.numpy()

    for one in (shares, norms, sums):
        assert 1 / 100 <= largest(dtype, 50, one) <= 1, one.__name__
