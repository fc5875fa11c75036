"""Checks of questions 4 and 5 that need no solution to compare with: run `pytest test_public.py` in this folder.

Where the randomness can be taken out, it is: small networks below record which z your code drew, and given z
everything else is known exactly, up to rounding. What remains random is tested with bounds: a right answer
fails one of them in less than one of 10^11 runs (ALPHA). The grader asks alike, with other numbers.
"""

import copy
import functools
import itertools
import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

pytest.importorskip("hypothesis", reason="these tests need one more package: pip install hypothesis")
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

try:
    from gradescope_utils.autograder_utils.decorators import number, weight
except ImportError:  # they only label the tests

    def number(_):
        return lambda test: test

    weight = number

U = 2.0**-24  # unit roundoff of float32: every operation errs by at most this, relatively
ALPHA = 1e-11  # chance that one statistical test fails a right answer
EPSILON = 1e-6  # a constant up to this against the root or the logarithm of 0 is harmless
PIXELS = 784

few = settings(
    max_examples=12,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    report_multiple_bugs=False,
    phases=(Phase.generate, Phase.shrink),
)


# ------------------------------------------------------------------------------------ asking your functions


def seed(value):
    """Make a run repeatable: all three generators that noise may come from."""
    torch.manual_seed(value)
    np.random.seed(value % 2**32)
    random.seed(value)


def fail(sentence):
    """Fail with a sentence in place of a traceback."""
    pytest.fail(sentence, pytrace=False)


def attempt(what, action):
    """The result of `action()`; if it stops with an error, a sentence that says where."""
    try:
        return action()
    except NotImplementedError as error:
        sentence = f"Still to be written: {error or what}"
    except Exception as error:
        sentence = f"{what} stopped with {type(error).__name__}: {error} ({place(error)})"
    return fail(sentence)  # out of the except, or the report would show the error's frames as well


def place(error):
    """File and line of the deepest frame of this homework in an error's traceback."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    found, step = "in this folder", error.__traceback__
    while step is not None:
        path = Path(step.tb_frame.f_code.co_filename)
        if path.parent in HERE and path != Path(__file__):
            found = f"{path.name}, line {step.tb_lineno}"
        step = step.tb_next
    return found


HERE = (Path(__file__).parent, Path(__file__).parent / "models")
sys.path.insert(0, str(HERE[0]))


@functools.cache
def utils():
    import utils as module

    return module


@functools.cache
def vae():
    from models import vae as module

    return module


@functools.cache
def gan():
    from models import gan as module

    return module


def sample(m, v):
    """Your sample of N(m, diag(v)), known to be a tensor of the right shape."""
    module = attempt("importing utils.py", utils)
    z = attempt("sample_gaussian(m, v)", lambda: module.sample_gaussian(m, v))
    if not isinstance(z, torch.Tensor) or z.shape != m.shape:
        seen = f"a tensor of shape {tuple(z.shape)}" if isinstance(z, torch.Tensor) else type(z).__name__
        fail(f"For m of shape {tuple(m.shape)} sample_gaussian(m, v) returned {seen}; m's shape was expected.")
    return z


def noise(m, v):
    """The standard normal noise inside your sample, (z - m) / sqrt(v), in float64."""
    z = sample(m.clone(), v.clone()).detach().double()
    return (z - m.detach().double()) / v.detach().double().sqrt()


# ------------------------------------------------------------------------------------ networks that know


class StubEncoder(torch.nn.Module):
    """Answers with given m and v; each image says by its first ten pixels which row of them is its own."""

    def __init__(self, m, v):
        super().__init__()
        self.m, self.v = m, v

    def encode(self, x):
        row = (x.reshape(-1, PIXELS)[:, :10] * 2.0 ** torch.arange(10)).sum(-1).long()
        return self.m[row], self.v[row]

    forward = encode


class StubDecoder(torch.nn.Module):
    """Logits that are known functions of z, and a record of every z that was decoded."""

    def __init__(self, z_dim, strength):
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.weight = strength * torch.randn(z_dim, PIXELS, generator=generator) / math.sqrt(z_dim)
        self.bias = torch.nn.Parameter(0.5 * torch.randn(PIXELS, generator=generator))
        self.seen = []

    def decode(self, z):
        if not any(z is old or torch.equal(z, old) for old in self.seen):  # decoded twice is drawn once
            self.seen.append(z)
        return self.logits(z)

    forward = decode

    def logits(self, z):
        # Within +-3, where a sigmoid keeps its digits: log(sigmoid(l)) is then a right way to write it.
        return 3 * torch.tanh(z @ self.weight.to(z.dtype) + self.bias.to(z.dtype))


class Bound:
    """One call of your `negative_elbo_bound`, with all that is known about it.

    `layouts` holds, for each way in which several samples of z may be stacked, z (samples, batch, z_dim).
    """

    def __init__(self, m, v, *, strength=1.0):
        batch, z_dim = m.shape
        module = attempt("importing models/vae.py", vae)
        model = attempt("VAE(z_dim=...)", lambda: module.VAE(z_dim=z_dim))
        self.m, self.v = m, v
        self.decoder = StubDecoder(z_dim, strength)
        model.enc, model.dec = StubEncoder(m, v), self.decoder
        bits = torch.arange(batch)[:, None] >> torch.arange(10) & 1  # (batch, 10): the row's number
        pixels = torch.rand(batch, PIXELS - 10, generator=torch.Generator().manual_seed(batch)) < 0.3
        self.x = torch.cat([bits, pixels], dim=1).float()
        self.returned = attempt("negative_elbo_bound(x)", lambda: model.negative_elbo_bound(self.x.clone()))
        if not isinstance(self.returned, tuple | list) or len(self.returned) < 3:
            fail("negative_elbo_bound(x) was to return three scalars: nelbo, kl, rec.")
        if not self.decoder.seen:
            fail("negative_elbo_bound(x) never called self.dec.decode(z); the reconstruction needs its logits.")
        if any(z.shape[-1:] != (z_dim,) or z.numel() % (batch * z_dim) for z in self.decoder.seen):
            shapes = " and ".join(str(tuple(z.shape)) for z in self.decoder.seen)
            fail(f"For m of shape {(batch, z_dim)} a z of shape {shapes} was decoded; m's shape was expected.")

    @property
    def values(self):
        """nelbo, then the two others in the order returned, as floats (the mean, should they be vectors)."""
        return [float(torch.as_tensor(value, dtype=torch.float64).detach().mean()) for value in self.returned[:3]]

    @property
    def layouts(self):
        batch, z_dim = self.m.shape
        rows = [z.detach().double().reshape(-1, z_dim) for z in self.decoder.seen]
        copies = torch.cat([z.reshape(-1, batch, z_dim) for z in rows])
        repeats = torch.cat([z.reshape(batch, -1, z_dim).transpose(0, 1) for z in rows])
        return [copies] if len(copies) == len(rows) else [copies, repeats]

    def reconstruction(self):
        """For each layout, what the average of -log p(x|z) is, and how far rounding may take it."""
        found = []
        for z in self.layouts:
            logits = self.decoder.logits(z)  # (samples, batch, PIXELS), float64
            x = self.x.double().expand_as(logits)
            terms = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
            # Adding n terms in any order errs by at most n U sum|terms| (Higham 2002, chapter 4); here the
            # terms are positive. A term made of log(p) and log(1 - p) errs by 64 U itself: |logit| <= 3, so
            # 1/p < 22, and p errs by a few U; 22 EPSILON more where one is added inside of the logarithm.
            # The logits, of z_dim + 3 operations, err by 3 U (z_dim + 3)(1 + |z||w|), with slope at most 1.
            size = 1 + (z.abs() @ self.decoder.weight.double().abs()).mean()
            count = PIXELS + z.shape[0] * z.shape[1] + 16
            slack = count * U * terms.sum(-1).mean()
            slack += PIXELS * (64 * U + 22 * EPSILON + 3 * U * (z.shape[-1] + 3) * size)
            found.append((float(terms.sum(-1).mean().detach()), float(slack.detach())))
        return found

    def divergence(self, *, sampled):
        """What the average KL is, and how far rounding takes it: in closed form, or also at the z drawn."""
        m, v = self.m.detach().double(), self.v.detach().double()
        q, p = Normal(m, v.sqrt()), Normal(torch.zeros_like(m), 1.0)
        exact = kl_divergence(q, p).sum(-1).mean()
        size = (v + m**2 + 1 + v.log().abs()).sum(-1).mean()  # sum of the terms' sizes
        count = m.numel() + 16  # operations on the way of one term
        # (v + m^2 - 1 - log v) / 2, where v, or the prior's 1, or a root of one, has grown by EPSILON: each by at most
        # 2 EPSILON (1 + v), with slopes of at most (1 + 1 / v) / 2 and (1 + v + m^2) / 2.
        grown = EPSILON * ((1 + v) * (1 + 1 / v) + 2 * (1 + v + m**2)).sum(-1).mean()
        found = [(float(exact), float(count * U * size + grown))]
        for z in self.layouts if sampled else []:
            e = (z - m) / v.sqrt()
            value = (q.log_prob(z) - p.log_prob(z)).sum(-1).mean()
            # As above; moreover z - m cancels: z's rounding U|z| is seen as U|z| / sqrt(v) in e, and in e^2
            # with the slope 2|e|.
            size = (e**2 + z**2 + v.log().abs() + 4).sum(-1).mean()
            cancelled = (2 * e.abs() * (z.abs() + m.abs()) / v.sqrt()).sum(-1).mean()
            # Of a density the exponent's slope is e^2 / 2, or z^2 / 2 for the prior.
            grown = EPSILON * ((1 + v) / v * (1 + e**2) + 2 * (1 + z**2)).sum(-1).mean()
            found.append((float(value), float((count + len(z)) * U * size + 4 * U * cancelled + grown)))
        return found


def close(seen, expected):
    """Whether a number is one of the expected (value, slack)."""
    return any(abs(seen - value) <= slack for value, slack in expected)


def gaussians(batch, z_dim, number):
    """m and v (batch, z_dim) that show mistakes: means within 3, variances from 0.05 to 4, never near 1."""
    generator = torch.Generator().manual_seed(number)
    m = 6 * torch.rand(batch, z_dim, generator=generator) - 3
    low = 0.05 + 0.55 * torch.rand(batch, z_dim, generator=generator)
    high = 1.5 + 2.5 * torch.rand(batch, z_dim, generator=generator)
    v = torch.where(torch.rand(batch, z_dim, generator=generator) < 0.6, low, high)
    return m.requires_grad_(), v.requires_grad_()


one_image = st.builds(gaussians, st.just(1), st.integers(1, 8), st.integers(0, 999))
several_images = st.builds(gaussians, st.integers(2, 9), st.integers(1, 8), st.integers(0, 999))
any_images = one_image | several_images


# ------------------------------------------------------------------------------------ bounds on luck


def normal_limit(tests=1):
    """c with P(|N(0,1)| > c) <= ALPHA / tests, from the bound P(|N(0,1)| > c) <= exp(-c^2 / 2)."""
    return math.sqrt(2 * math.log(tests / ALPHA))


def mean_is_off(e, tests=1):
    """Of n standard normals, sum / sqrt(n) is N(0,1) exactly; 1e-3 for rounding."""
    return abs(float(e.sum())) / math.sqrt(e.numel()) > normal_limit(tests) + 1e-3


def variance_is_off(e, tests=1):
    """sum of n squares is chi^2: P(> n + 2 sqrt(nt) + 2t) and P(< n - 2 sqrt(nt)) are at most exp(-t) each
    (Laurent and Massart 2000, lemma 1); 1e-3 n for rounding."""
    n, t = e.numel(), math.log(2 * tests / ALPHA)
    total = float(e.square().sum())
    return not n - 2 * math.sqrt(n * t) - 1e-3 * n <= total <= n + 2 * math.sqrt(n * t) + 2 * t + 1e-3 * n


def shape_is_off(e):
    """The largest distance D of the distribution functions: P(D > d) <= 2 exp(-2 n d^2) (Massart 1990);
    1e-5 for rounding."""
    n = e.numel()
    expected = torch.special.ndtr(e.flatten().sort().values)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    distance = max(float((steps[1:] - expected).max()), float((expected - steps[:-1]).max()))
    return distance > math.sqrt(math.log(2 / ALPHA) / (2 * n)) + 1e-5


def rows_depend(e):
    """For independent rows, x_i . x_j / |x_j| is N(0,1) exactly; tested for every pair."""
    cosine = e @ e.T / e.norm(dim=1).clamp_min(1e-12)
    pairs = len(e) * (len(e) - 1)
    return bool((cosine - torch.diag(torch.diagonal(cosine))).abs().max() > normal_limit(pairs) + 1e-3)


# ------------------------------------------------------------------------------------ sample_gaussian


@number("4.1")
@weight(1)
@few
@given(any_images)
def test_sample_is_shaped_like_m(mv):
    m, v = mv
    z = sample(m, v)
    if z.dtype != m.dtype:
        fail(f"sample_gaussian(m, v) with float32 m and v returned {z.dtype}; float32 was expected.")
    if not torch.isfinite(z).all():
        fail("sample_gaussian(m, v) with ordinary m and v returned NaN or infinity, not finite numbers.")


@number("4.2")
@weight(1)
@few
@given(any_images)
def test_sample_leaves_its_arguments_as_they_were(mv):
    m, v = (tensor.detach().clone() for tensor in mv)  # without gradients, or changing them would be an error
    before = m.clone(), v.clone()
    sample(m, v)
    for name, old, new in zip("mv", before, (m, v), strict=True):
        if not torch.equal(old, new):
            fail(f"sample_gaussian(m, v) changed {name}; it was expected to stay as it was.")


@number("4.3")
@weight(2)
def test_noise_is_standard_normal():
    seed(3)
    # At m = 0 and v = 1 the sample is the noise. With 16384 numbers a uniform one with the same mean and
    # variance shows (distance 0.06, limit 0.027).
    e = noise(torch.zeros(128, 128), torch.ones(128, 128))
    if mean_is_off(e):
        fail(f"At m = 0, v = 1 the samples average {float(e.mean()):.2f}; about 0 was expected.")
    if variance_is_off(e):
        fail(f"At m = 0, v = 1 the samples have variance {float(e.square().mean()):.2f}; about 1 was expected.")
    if shape_is_off(e) or e.abs().max() > normal_limit(e.numel()):
        fail("At m = 0, v = 1 the samples have mean 0 and variance 1, but not the shape of N(0, 1).")


@number("4.4")
@weight(2)
def test_sample_follows_every_entry():
    seed(4)
    rows, columns = torch.meshgrid(torch.arange(100), torch.arange(70), indexing="ij")
    variances = [0.01, 0.25, 1.0, 9.0, 100.0]
    v = torch.tensor(variances)[(rows + columns) % 5]
    m = torch.tensor([-3.0, -1.0, 0.0, 2.0, 5.0, 8.0, 11.0])[(rows + 2 * columns) % 7]
    e = noise(m, v)
    # 35 groups of 200: variances are tested to a factor of 2.2 up and 5 down, means to 0.6 deviations.
    for variance in variances:
        for mean in m.unique():
            group = e[(v == variance) & (m == mean)]
            spread = float(group.square().mean().sqrt() * variance**0.5)
            if mean_is_off(group, 70) or variance_is_off(group, 70):
                fail(
                    f"Where m = {mean:g} and v = {variance:g} the samples lay about {spread:.3g} from m; the "
                    f"standard deviation there is sqrt(v) = {variance**0.5:g}, and their mean is m."
                )


@number("4.5")
@weight(1)
def test_entries_have_noise_of_their_own():
    seed(5)
    # 256 numbers a row: equal rows give x_i . x_j / |x_j| = 16, and the limit is below 9.
    for name, e in (
        ("rows", noise(torch.zeros(16, 256), torch.ones(16, 256))),
        ("columns", noise(torch.zeros(256, 16), torch.ones(256, 16)).T),
    ):
        if rows_depend(e):
            fail(f"Two {name} of a sample share their noise; every entry should have noise of its own.")


@number("4.6")
@weight(1)
def test_every_call_has_new_noise():
    seed(6)
    m, v = torch.zeros(8, 8), torch.ones(8, 8)
    first, second = sample(m, v), sample(m, v)
    # Two float32 normals are equal with a chance below 1e-6, so half of 64 are with less than 1e-170.
    if (first == second).sum() > 32:
        fail("Two calls of sample_gaussian gave the same sample; new noise was expected (is a seed set?).")


@number("4.7")
@weight(2)
@few
@given(any_images)
def test_gradients_flow_through_the_sample(mv):
    seed(7)
    m, v = (tensor.detach().clone().requires_grad_() for tensor in mv)
    z = sample(m, v)
    towards = torch.linspace(0.5, 1.5, z.numel()).reshape(z.shape)
    if not z.requires_grad:
        fail("No gradient leads from the sample back to m and v; z was expected to be computed from them.")
    dm, dv = torch.autograd.grad((towards * z).sum(), (m, v), allow_unused=True)
    for name, gradient in (("m", dm), ("v", dv)):
        if gradient is None:
            fail(f"No gradient leads from the sample back to {name}; z was expected to be computed from it.")
    # z = m + sqrt(v) e, so dz/dm = 1 and dz/dv = e / (2 sqrt(v)) = (z - m) / (2 v).
    z, m, v, towards = (tensor.detach().double() for tensor in (z, m, v, towards))
    expected = towards * (z - m) / (2 * v)
    # A handful of operations (16 U); and z - m cancels, so that z's rounding U|z| counts in full. With
    # sqrt(v + EPSILON) or sqrt(v) + EPSILON it is smaller by the share EPSILON / v or EPSILON / sqrt(v).
    share = 16 * U + EPSILON * (1 / v + 1 / v.sqrt())
    if not ((dm.double() - towards).abs() <= 16 * U * towards).all():
        fail("The derivative of the sample with respect to m was expected to be 1 in every entry; it is not.")
    if not ((dv.double() - expected).abs() <= share * expected.abs() + 4 * U * (z.abs() + m.abs()) / v).all():
        fail("The derivative of the sample with respect to v was expected to be (z - m) / (2 v); it is not.")


# ------------------------------------------------------------------------------------ negative_elbo_bound


@number("4.8")
@weight(1)
@few
@given(any_images)
def test_bound_returns_three_finite_scalars(mv):
    seed(8)
    returned = Bound(*mv).returned
    if len(returned) != 3:
        fail(f"negative_elbo_bound(x) returned {len(returned)} values; three were expected: nelbo, kl, rec.")
    for position, value in zip(("first", "second", "third"), returned, strict=True):
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            seen = (
                f"has shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"is {type(value).__name__}"
            )
            fail(f"The {position} value of negative_elbo_bound(x) {seen}; a scalar tensor was expected.")
        if not torch.isfinite(value):
            fail(f"The {position} value of negative_elbo_bound(x) is {float(value.detach())}, not finite.")


@number("4.9")
@weight(3)
@few
@given(one_image)
def test_kl_term(mv):
    seed(9)
    bound = Bound(*mv)
    expected = bound.divergence(sampled=True)
    if not any(close(value, expected) for value in bound.values[1:]):
        fail(
            f"For one image with m = {rounded(mv[0])}, v = {rounded(mv[1])} the KL from q(z|x) to the "
            f"prior is {expected[0][0]:.3f}; the two terms that negative_elbo_bound returned are "
            f"{bound.values[1]:.3f} and {bound.values[2]:.3f}."
        )


@number("4.10")
@weight(1)
def test_kl_is_in_closed_form():
    # Two Gaussians have an exact KL (utils has it); an estimate from z would be different at every call.
    m, v = gaussians(3, 4, 10)
    seed(10)
    for _ in range(2):
        bound = Bound(m, v)
        if not any(close(value, bound.divergence(sampled=False)) for value in bound.values[1:]):
            fail("The KL term was expected to be exact, in closed form; it is not, or it depends on z.")


@number("4.11")
@weight(3)
@few
@given(one_image)
def test_reconstruction_term(mv):
    seed(11)
    bound = Bound(*mv)
    expected = bound.reconstruction()
    if not any(close(value, expected) for value in bound.values[1:]):
        fail(
            f"For one image and the z that was decoded, -log p(x|z) is {expected[0][0]:.2f}, summed over all "
            "pixels; the two terms that negative_elbo_bound returned are "
            f"{bound.values[1]:.2f} and {bound.values[2]:.2f}."
        )


@number("4.12")
@weight(2)
@few
@given(any_images)
def test_bound_is_the_sum_of_its_terms(mv):
    seed(12)
    # A decoder that hardly depends on z, so that its term does not drown the KL.
    bound = Bound(*mv, strength=0.1)
    nelbo, one, other = bound.values
    # Each of the three is a float32 sum over pixels and examples, in some order and before or after the KL is
    # added: as many roundings of its size as it has terms.
    count = PIXELS + sum(z.numel() for z in bound.decoder.seen) + 16
    if not abs(nelbo - (one + other)) <= count * U * (abs(nelbo) + abs(one) + abs(other)):
        fail(f"nelbo = {nelbo:.2f} was expected to be kl + rec; the two terms are {one:.2f} and {other:.2f}.")


@number("4.13")
@weight(1)
@few
@given(several_images)
def test_bound_averages_over_the_batch(mv):
    seed(13)
    bound = Bound(*mv)
    kl, rec = bound.divergence(sampled=True), bound.reconstruction()
    total = [(a + b, s + t + 4 * U * (abs(a) + abs(b))) for a, s in kl for b, t in rec]
    batch = len(mv[0])
    shapes = [tuple(value.shape) for value in bound.returned[:3] if isinstance(value, torch.Tensor)]
    if any(math.prod(shape) != 1 for shape in shapes):
        fail(f"For {batch} images negative_elbo_bound returned shapes {shapes}; averages were expected.")
    for name, value, expected in (
        ("nelbo", bound.values[:1], total),
        ("kl", bound.values[1:], kl),
        ("rec", bound.values[1:], rec),
    ):
        if not any(close(one, expected) for one in value):
            seen = " and ".join(f"{one:.2f}" for one in value)
            fail(f"For {batch} images the average {name} is {expected[0][0]:.2f}; what was returned is {seen}.")


@number("4.14")
@weight(1)
def test_gradients_reach_the_encoder():
    seed(14)
    # At m = 0, v = 1 the KL has its minimum, gradient 0: what arrives comes from the reconstruction, through
    # z. With a decoder that ignores z it is the other way round.
    for term, mean, variance, strength in (("reconstruction", 0.0, 1.0, 1.0), ("KL", 2.0, 0.5, 0.0)):
        m, v = (torch.full((3, 4), number, requires_grad=True) for number in (mean, variance))
        nelbo = Bound(m, v, strength=strength).returned[0]
        if not isinstance(nelbo, torch.Tensor) or not nelbo.requires_grad:
            fail("nelbo has no gradient; it was expected to be computed from the encoder's m and v.")
        gradients = torch.autograd.grad(nelbo.sum(), (m, v), allow_unused=True)
        for name, gradient in zip("mv", gradients, strict=True):
            if gradient is None or not torch.isfinite(gradient).all() or not gradient.any(dim=1).all():
                fail(
                    f"The gradient of the {term} term was expected to reach the encoder's {name}; it does "
                    "not. (It flows through z, if sample_gaussian and this function leave it attached.)"
                )


@number("4.15")
@weight(1)
def test_gradients_reach_the_decoder():
    seed(15)
    bound = Bound(*gaussians(3, 4, 15))
    nelbo = bound.returned[0]
    bias = bound.decoder.bias
    gradient = None
    if isinstance(nelbo, torch.Tensor) and nelbo.requires_grad:
        (gradient,) = torch.autograd.grad(nelbo.mean(), bias, allow_unused=True)
    if gradient is None:
        fail("No gradient leads from nelbo to the decoder; its logits were expected to be used as they are.")
    for z in bound.layouts:
        bias64 = bias.detach().double().requires_grad_()
        logits = 3 * torch.tanh(z @ bound.decoder.weight.double() + bias64)
        x = bound.x.double().expand_as(logits)
        rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1).mean()
        (expected,) = torch.autograd.grad(rec, bias64)
        # Averages of (sigmoid(l) - x) 3 (1 - tanh^2): slope below 6 in what the tanh is taken of, whose
        # rounding is as in Bound.reconstruction; 64 U for what follows, 22 EPSILON for one in a logarithm.
        size = 1 + (z.abs() @ bound.decoder.weight.double().abs()).max()
        slack = 6 * U * (z.shape[-1] + 3) * size + (64 + len(bound.x) * len(z)) * 3 * U + 66 * EPSILON
        if (gradient.double() - expected).abs().max() <= slack:
            return
    fail("The gradient of nelbo at the decoder's output was expected to be the average of sigmoid(logits) - x.")


@number("4.16")
@weight(2)
def test_z_is_drawn_from_the_posterior():
    seed(16)
    generator = torch.Generator().manual_seed(160)
    # 256 numbers a row, as in the test of 4.5.
    m = 4 + torch.rand(64, 256, generator=generator)  # far from the prior's mean
    v = 0.1 + 0.3 * torch.rand(64, 256, generator=generator)
    bound = Bound(m.requires_grad_(), v.requires_grad_())
    reasons = []
    for z in bound.layouts:
        e = (z - m.detach().double()) / v.detach().double().sqrt()  # (samples, 64, 256)
        if mean_is_off(e) or variance_is_off(e):
            reasons.append("with the encoder's mean and variance (sqrt(v) as the standard deviation)")
        elif rows_depend(e[0]):
            reasons.append("with noise of its own for every example of the batch")
        elif shape_is_off(e):
            reasons.append("from a normal distribution")
        else:
            return
    fail(f"The z that was decoded was expected to be drawn from q(z|x), {reasons[0]}; it was not.")


def rounded(row):
    """The first entries of a row of numbers, for a message."""
    shown = [f"{float(entry):.2f}" for entry in row.detach()[0][:3]]
    return f"[{', '.join(shown)}{', ...' if row.shape[1] > 3 else ''}]"


# ------------------------------------------------------------------------------------ loss_nonsaturating


class StubGenerator(torch.nn.Module):
    """Images that are known functions of z, and a record of every z."""

    def __init__(self, z_dim):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.z_dim = z_dim
        self.weight = torch.randn(z_dim, PIXELS, generator=generator) / math.sqrt(z_dim)
        self.bias = torch.nn.Parameter(0.5 * torch.randn(PIXELS, generator=generator))
        self.seen, self.known = [], set()

    def forward(self, z):
        self.record(z)
        return self.images(z)

    def record(self, z):
        if not isinstance(z, torch.Tensor) or z.dim() != 2 or z.shape[1] != self.z_dim:
            seen = f"of shape {tuple(z.shape)}" if isinstance(z, torch.Tensor) else f"that is {type(z).__name__}"
            fail(f"The generator was given a z {seen}; the shape (batch, {self.z_dim}) was expected.")
        if z.dtype != torch.float32:
            fail(f"The generator was given a z of {z.dtype}; torch.float32, as of its weights, was expected.")
        digits = z.detach().numpy().tobytes()
        if digits not in self.known:  # the same z twice is drawn once
            self.known.add(digits)
            self.seen.append(z.detach().clone())

    def images(self, z):
        pixels = torch.sigmoid(z @ self.weight.to(z.dtype) + self.bias)  # (batch, PIXELS)
        return pixels.reshape(-1, 1, 28, 28)


class StubDiscriminator(torch.nn.Module):
    """Logits that are known functions of eight pixels of each image."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(6)
        self.weight = torch.nn.Parameter(torch.randn(8, generator=generator))
        self.bias = torch.nn.Parameter(torch.tensor(0.25))

    def forward(self, x):
        score = (x.reshape(-1, PIXELS)[:, ::98] - 0.5) @ self.weight + self.bias  # (batch,)
        # Within +-3.5, where a sigmoid keeps its digits: log(sigmoid(h)) is then a right way to write it.
        return 3.5 * torch.tanh(score)


class LevelGenerator(StubGenerator):
    """Images whose logits have the slope 1 in the one parameter, whatever z is."""

    def __init__(self):
        super().__init__(2)
        self.level = torch.nn.Parameter(torch.zeros(()))

    def images(self, z):
        return torch.cat([torch.zeros(len(z), PIXELS - 1), self.level.expand(len(z), 1)], 1).reshape(-1, 1, 28, 28)


class LevelDiscriminator(torch.nn.Module):
    """One given logit for all real images, whose first pixel is 1, and one for all fakes, where it is 0."""

    def __init__(self, real, fake):
        super().__init__()
        self.real, self.fake = (torch.nn.Parameter(torch.tensor(logit)) for logit in (real, fake))

    def forward(self, x):
        pixels = x.reshape(-1, PIXELS)
        return pixels[:, 0] * self.real + (1 - pixels[:, 0]) * self.fake + pixels[:, -1]


def opponents(g, d):
    """Your GAN with these two networks in the place of its own."""
    module = attempt("importing models/gan.py", gan)
    model = attempt("GAN(z_dim=...)", lambda: module.GAN(z_dim=g.z_dim))
    model.g, model.d = g, d
    return model


def losses(model, x):
    """What `loss_nonsaturating(x_real)` returns, known to be at least two values."""
    returned = attempt("loss_nonsaturating(x_real)", lambda: model.loss_nonsaturating(x.clone(), device="cpu"))
    if not isinstance(returned, tuple | list) or len(returned) < 2:
        fail("loss_nonsaturating(x_real) was to return two scalars: d_loss, g_loss.")
    for value in returned[:2]:
        if not isinstance(value, torch.Tensor | float | int):
            fail(f"loss_nonsaturating(x_real) returned a {type(value).__name__}, not scalars: d_loss, g_loss.")
    if not model.g.seen:
        fail("loss_nonsaturating(x_real) never called self.g(z); both losses need generated images.")
    return returned


def slopes(name, loss, weights):
    """The gradients of one of your losses, summed over whatever shape it has; None where there is none."""
    if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
        return [None] * len(weights)
    gradients = attempt(
        f"The gradient of {name}",
        lambda: torch.autograd.grad(loss.sum(), weights, retain_graph=True, allow_unused=True),
    )
    return [None if gradient is None else gradient.double() for gradient in gradients]


class Duel:
    """One call of your `loss_nonsaturating` on real images x, with all that is known about it."""

    def __init__(self, x, z_dim):
        self.x = x
        self.g, self.d = StubGenerator(z_dim), StubDiscriminator()
        self.exact_g, self.exact_d = copy.deepcopy(self.g).double(), copy.deepcopy(self.d).double()
        self.returned = losses(opponents(self.g, self.d), x)
        # How often an average counts, where it is one, is a sum, or is divided by the batch once more.
        self.factors = {1, len(x), 1 / len(x)}

    @functools.cached_property
    def turned(self):
        """Whether the losses are right in the other order alone. They are read in that one then; 5.1 is about it."""
        d_first, g_second, g_first, d_second = (
            self.fits(position, total(self.returned[place])) for position, place in ((0, 0), (1, 1), (1, 0), (0, 1))
        )
        return g_first and d_second and not (d_first or g_second)

    def loss(self, position):
        """d_loss (0) or g_loss (1), as it was returned."""
        return self.returned[1 - position if self.turned else position]

    def value(self, position):
        return total(self.loss(position))

    def right(self, position):
        return self.fits(position, self.value(position))

    def fits(self, position, value):
        """Whether a number is what a loss should be, up to the factors."""
        return any(
            close(value, [(times * expected, times * slack) for expected, slack in self.expected(position)])
            for times in self.factors
        )

    def fakes(self):
        """The batches of z from which a loss may have been made: of one call, a part of one, or of all calls."""
        batch, found = len(self.x), [torch.cat(self.g.seen)]
        for z in self.g.seen:
            found += [z, *(z.split(batch) if len(z) > batch and len(z) % batch == 0 else [])]
        return [z.double() for z in found]

    def logits(self):
        """The logits of the real images and of each such batch of fakes, in float64: pairs of vectors."""
        return [(self.exact_d(self.x.double()), self.exact_d(self.exact_g.images(z))) for z in self.fakes()]

    def expected(self, position):
        """For each such batch what the loss is, and how far rounding may take it."""
        slack = 2 * (3.5 * self.score_slack() + TERM_SLACK + (len(self.x) + 16) * U * 3.6)
        return [(float(LOSSES[position](real, fake).detach()), slack) for real, fake in self.logits()]

    def score_slack(self):
        """How far rounding may take what the discriminator's tanh is taken of."""
        size = 2 + max(float((z.abs() @ self.exact_g.weight.double().abs()).max()) for z in self.fakes())
        # A dot product of z_dim terms and a bias below 2, through a sigmoid of slope at most 1/4; then a dot product
        # of 8 terms. Each operation errs by U of the terms' sizes; sigmoid and tanh by at most 4 U themselves.
        pixel = (self.g.z_dim + 3) * U * size / 4 + 4 * U
        weights = float(self.d.weight.detach().abs().sum())
        return 11 * U * (1 + weights / 2) + weights * pixel + 4 * U

    def gradient_slack(self):
        """How far rounding may take the derivative of one term by the tanh's argument.

        It is sigmoid(+-h) 3.5 (1 - tanh^2), below 3.5, and its own derivative is below 3.5^2 / 4 + 3.5 * 0.77 < 6.
        """
        return 6 * self.score_slack() + 3.5 * (2 * TERM_SLACK + (len(self.x) + 32) * U)


# -log(p) and -log(1 - p) where |logit| <= 3.5: 1/p < 35 and p errs by 4 U, so they err by 140 U and some roundings;
# 35 EPSILON more where one is added inside of the logarithm.
TERM_SLACK = 160 * U + 35 * EPSILON


def total(loss):
    """One of your losses as a float: the sum, should it be several numbers."""
    return float(torch.as_tensor(loss, dtype=torch.float64).detach().sum())


def d_loss(real, fake):
    """-log D(x) - log(1 - D(G(z))), each averaged over its images: -log sigmoid(h) = softplus(-h)."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def g_loss(real, fake):
    """-log D(G(z)), averaged over the fakes."""
    return F.softplus(-fake).mean()


LOSSES = (d_loss, g_loss)
TWICE = "That is what a sigmoid of a sigmoid gives: self.d returns logits, so one is enough."

# What it may be in place of the loss: a formula of the logits, and a sentence.
INSTEAD_OF_D = (
    (
        lambda real, fake: d_loss(real, fake) / 2,
        "That is half of it: the averages over real and over fake images are added.",
    ),
    (lambda real, fake: -d_loss(real, fake), "The sign is turned: training makes the loss small."),
    (
        lambda real, fake: d_loss(-real, -fake),
        "Real and fake images have changed places: D is to be near 1 for real ones.",
    ),
    (lambda real, fake: d_loss(real, -fake), "The fakes are treated as real ones: their term is -log(1 - D(G(z)))."),
    (lambda real, fake: F.softplus(-real).mean(), "The fakes are missing."),
    (lambda real, fake: F.softplus(fake).mean(), "The real images are missing."),
    (lambda real, fake: d_loss(real.sigmoid(), fake.sigmoid()), TWICE),
)
INSTEAD_OF_G = (
    (
        lambda real, fake: -F.softplus(fake).mean(),
        "That is the minimax loss, log(1 - D(G(z))). Its slope by the logit is -D, which vanishes where the "
        "discriminator recognises the fakes (D(G(z)) near 0), just when the generator has most to learn; "
        "-log D(G(z)) has the slope -(1 - D) there, close to -1.",
    ),
    (lambda real, fake: -g_loss(real, fake), "The sign is turned: training makes the loss small."),
    (lambda real, fake: g_loss(real, -fake), "That is -log(1 - D(G(z))): small when the fakes are recognised."),
    (lambda real, fake: g_loss(real, fake) / 2, "That is half of it."),
    (lambda real, fake: g_loss(real, fake.sigmoid()), TWICE),
)


def instead(duel, position):
    """A sentence for a wrong loss that is well known, or nothing."""
    if not math.isfinite(duel.value(position)):
        return " self.d returns logits, of either sign: D(x) is their sigmoid."
    slack = duel.expected(position)[0][1]
    for formula, sentence in (INSTEAD_OF_D, INSTEAD_OF_G)[position]:
        if any(abs(duel.value(position) - float(formula(*pair).detach())) <= slack for pair in duel.logits()):
            return f" {sentence}"
    return ""


def real_images(batch, number):
    return torch.rand(batch, 1, 28, 28, generator=torch.Generator().manual_seed(number))


one_real = st.builds(real_images, st.just(1), st.integers(0, 999))
several_real = st.builds(real_images, st.integers(3, 9), st.integers(0, 999))
z_dims = st.integers(1, 8)


@number("5.1")
@weight(1)
@few
@given(one_real | several_real, z_dims)
def test_gan_returns_two_finite_scalars(x, z_dim):
    seed(51)
    duel = Duel(x, z_dim)
    returned = duel.returned
    if len(returned) != 2:
        fail(f"loss_nonsaturating(x_real) returned {len(returned)} values; two were expected: d_loss, g_loss.")
    for position, value in zip(("first", "second"), returned, strict=True):
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            seen = (
                f"has shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else f"is {type(value).__name__}"
            )
            fail(f"The {position} value of loss_nonsaturating(x_real) {seen}; a scalar tensor was expected.")
        if not torch.isfinite(value):
            fail(f"The {position} value of loss_nonsaturating(x_real) is {float(value.detach())}, not finite.")
    if duel.turned:
        fail("loss_nonsaturating(x_real) returned g_loss, d_loss; the order d_loss, g_loss was expected.")


@number("5.2")
@weight(3)
@few
@given(one_real, z_dims)
def test_gan_loss_of_the_discriminator(x, z_dim):
    seed(52)
    duel = Duel(x, z_dim)
    if not duel.right(0):
        real, fake = (float(logit.detach().mean()) for logit in duel.logits()[0])
        fail(
            f"For one real image with the logit {real:.3f} and one fake with {fake:.3f}, d_loss is "
            f"-log D(x) - log(1 - D(G(z))) = {duel.expected(0)[0][0]:.3f}; what was returned is "
            f"{duel.value(0):.3f}.{instead(duel, 0)}"
        )


@number("5.3")
@weight(3)
@few
@given(one_real, z_dims)
def test_gan_loss_of_the_generator(x, z_dim):
    seed(53)
    duel = Duel(x, z_dim)
    if not duel.right(1):
        fake = float(duel.logits()[0][1].detach().mean())
        fail(
            f"For one fake with the logit {fake:.3f} g_loss is -log D(G(z)) = {duel.expected(1)[0][0]:.3f}; "
            f"what was returned is {duel.value(1):.3f}.{instead(duel, 1)}"
        )


@number("5.4")
@weight(1)
@few
@given(several_real, z_dims)
def test_gan_losses_average_over_the_batch(x, z_dim):
    seed(54)
    alone, duel = Duel(x[:1], z_dim), Duel(x, z_dim)
    judged = [position for position in (0, 1) if alone.right(position)]
    if not judged:
        fail("Neither d_loss nor g_loss is right for a single image yet, so their averages cannot be judged.")
    for position in judged:
        name, value = LOSSES[position].__name__, torch.as_tensor(duel.loss(position))
        expected = duel.expected(position)
        if value.numel() != 1:
            fail(f"For {len(x)} images {name} has shape {tuple(value.shape)}; their average was expected, a scalar.")
        if not close(float(value.detach()), expected):
            is_sum = close(float(value.detach()) / len(x), expected)
            fail(
                f"For {len(x)} real images and as many fakes the average {name} is {expected[0][0]:.3f}; what was "
                f"returned is {float(value.detach()):.3f}{', their sum' if is_sum else ''}."
            )


@number("5.5")
@weight(1)
@few
@given(one_real | several_real, z_dims)
def test_gan_gradient_to_the_discriminator(x, z_dim):
    seed(55)
    duel = Duel(x, z_dim)
    seen = slopes("d_loss", duel.loss(0), list(duel.d.parameters()))
    if any(gradient is None for gradient in seen):
        fail("No gradient leads from d_loss to the discriminator; d_loss was expected to train it.")
    # Real and fake images have a term each. By the bias it is that of gradient_slack; by a weight times a pixel
    # - 1/2, which is below 1, and known to within score_slack.
    slack = 2 * (duel.gradient_slack() + 3.5 * duel.score_slack())
    if not same_slopes(duel, seen, d_loss, list(duel.exact_d.parameters()), slack):
        fail(
            "The gradient of d_loss at the discriminator's weights was expected to be the average of -(1 - D(x)) "
            "dh/dw over the real images plus that of D(G(z)) dh/dw over the fakes, h being the logit; it is not. "
            "(Both train the discriminator: where fakes are detached, that is before self.d sees them.)"
        )


@number("5.6")
@weight(1)
@few
@given(one_real | several_real, z_dims)
def test_gan_gradient_to_the_generator(x, z_dim):
    seed(56)
    duel = Duel(x, z_dim)
    seen = slopes("g_loss", duel.loss(1), [duel.g.bias])
    if seen[0] is None:
        fail("No gradient leads from g_loss to the generator; g_loss was expected to train it.")
    # As in 5.5, now times the discriminator's weight and the slope of the pixel's sigmoid, at most 1/4.
    slack = float(duel.d.weight.detach().abs().max()) * (duel.gradient_slack() + 3.5 * duel.score_slack())
    if not same_slopes(duel, seen, g_loss, [duel.exact_g.bias], slack):
        fail(
            "The gradient of g_loss at the generator's weights was expected to be the average of "
            "-(1 - D(G(z))) dh/dw over the fakes, h being the logit, through the discriminator and the image; "
            "it is not."
        )


def same_slopes(duel, seen, loss, weights, slack):
    """Whether gradients are those of `loss`, up to the factors."""
    for pair in duel.logits():
        expected = torch.autograd.grad(loss(*pair), weights)
        for times in duel.factors:
            if all(((a - times * b).abs() <= times * slack).all() for a, b in zip(seen, expected, strict=True)):
                return True
    return False


@number("5.7")
@weight(1)
def test_gan_losses_where_the_discriminator_is_sure():
    seed(57)
    model = opponents(LevelGenerator(), None)
    # What is wrong at small logits already is the matter of other tests.
    judged = {what for what, seen, expected, slack in levels(model, 1.5, -0.5) if abs(seen - expected) <= slack}
    for size, real, fake in itertools.product((20.0, 60.0, 100.0), (1, -1), (1, -1)):
        for what, seen, expected, slack in levels(model, real * size, fake * size):
            if not math.isfinite(seen) or (what in judged and not abs(seen - expected) <= slack):
                fail(
                    f"For a real image with the logit {real * size:g} and a fake with {fake * size:g}, {what} was "
                    f"expected to be {expected:.3g}; it is {seen:.3g}. (A sigmoid rounds to 0 or 1 there: take its "
                    "logarithm in one step, from the logit.)"
                )


def levels(model, real, fake):
    """At two given logits: each loss and each slope, as it is, as expected, and how far rounding may take it."""
    x = torch.zeros(1, 1, 28, 28)
    x[0, 0, 0, 0] = 1
    model.d = LevelDiscriminator(real, fake)
    returned = losses(model, x)
    by_real, by_fake = slopes("d_loss", returned[0], [model.d.real, model.d.fake])
    (by_level,) = slopes("g_loss", returned[1], [model.g.level])
    h_real, h_fake = (torch.tensor([logit], dtype=torch.float64) for logit in (real, fake))
    return [
        # A few float32 operations, on logits of this size or on numbers up to 1.
        (
            what,
            0.0 if seen is None else float(torch.as_tensor(seen).detach().sum()),
            float(expected),
            32 * U * (1 + size),
        )
        for what, seen, expected, size in (
            ("d_loss", returned[0], d_loss(h_real, h_fake), abs(real) + abs(fake)),
            ("g_loss", returned[1], g_loss(h_real, h_fake), abs(fake)),
            ("the slope of d_loss by the real image's logit", by_real, -torch.sigmoid(-h_real), 0),
            ("the slope of d_loss by the fake's logit", by_fake, torch.sigmoid(h_fake), 0),
            ("the slope of g_loss by the fake's logit", by_level, -torch.sigmoid(-h_fake), 0),
        )
    ]


def drawn(batch, z_dim):
    """All z (at least batch, z_dim) that one call draws, in float64."""
    z = torch.cat(Duel(real_images(batch, 59), z_dim).g.seen).double()
    if len(z) < batch:
        fail(f"For {batch} real images the generator was given {len(z)} z; one for each was expected.")
    return z


def differences_depend(z):
    """As rows_depend, whatever the mean: the differences of neighbours in a row, over sqrt(2), are as normal and as
    independent as z. There are 256 of them in a row of 512, as in the test of 4.5."""
    pairs = z[:, : z.shape[1] // 2 * 2]
    return rows_depend((pairs[:, ::2] - pairs[:, 1::2]) / math.sqrt(2))


@number("5.8")
@weight(1)
def test_gan_z_is_standard_normal():
    seed(58)
    # 16384 numbers, as in the test of 4.3; and short rows, where it shows if each is scaled to one length.
    for batch, z_dim in ((128, 128), (4096, 2)):
        z = drawn(batch, z_dim).unique(dim=0).unique(dim=1)  # equal rows or columns count once: 5.9 is about them
        if mean_is_off(z, 2):
            fail(f"The z that the generator was given average {float(z.mean()):.2f}; about 0 was expected.")
        if variance_is_off(z, 2) or not z.any():
            fail(f"The z that the generator was given have variance {float(z.square().mean()):.2f}; 1 was expected.")
        if shape_is_off(z) or z.abs().max() > normal_limit(2 * z.numel()):
            fail("The z that the generator was given have mean 0 and variance 1, but not the shape of N(0, 1).")


@number("5.9")
@weight(1)
def test_gan_z_is_new_for_every_row_and_call():
    seed(59)
    for name, z in (("rows", drawn(16, 512)), ("columns", drawn(512, 16).T)):
        if differences_depend(z):
            fail(f"Two {name} of z share their noise; every entry should have noise of its own.")
    model, calls = opponents(StubGenerator(8), StubDiscriminator()), []
    for _ in range(2):
        model.g = StubGenerator(8)
        losses(model, real_images(8, 59))
        calls.append(torch.cat(model.g.seen))
    # Two float32 normals are equal with a chance below 1e-6, so two rows of eight with less than 1e-48.
    if (calls[0][:, None] == calls[1]).all(-1).any():
        fail("Two calls of loss_nonsaturating had the same z; new noise was expected (is a seed set?).")
