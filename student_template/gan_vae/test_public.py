"""Checks of question 4 that need no solution to compare with: run `pytest test_public.py` in this folder.

Where the randomness can be taken out, it is: small networks below record which z your code drew, and given z
everything else is known exactly, up to rounding. What remains random is tested with bounds: a right answer
fails one of them in less than one of 10^11 runs (ALPHA). The grader asks alike, with other numbers.
"""

import functools
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
            # 1/p < 22, and p errs by a few U; 22e-8 more where 1e-8 is added inside of the logarithm.
            # The logits, of z_dim + 3 operations, err by 3 U (z_dim + 3)(1 + |z||w|), with slope at most 1.
            size = 1 + (z.abs() @ self.decoder.weight.double().abs()).mean()
            count = PIXELS + z.shape[0] * z.shape[1] + 16
            slack = count * U * terms.sum(-1).mean()
            slack += PIXELS * (64 * U + 22e-8 + 3 * U * (z.shape[-1] + 3) * size)
            found.append((float(terms.sum(-1).mean().detach()), float(slack.detach())))
        return found

    def divergence(self, *, sampled):
        """What the average KL is, and how far rounding takes it: in closed form, or also at the z drawn."""
        m, v = self.m.detach().double(), self.v.detach().double()
        q, p = Normal(m, v.sqrt()), Normal(torch.zeros_like(m), 1.0)
        exact = kl_divergence(q, p).sum(-1).mean()
        size = (v + m**2 + 1 + v.log().abs()).sum(-1).mean()  # sum of the terms' sizes
        count = m.numel() + 16  # operations on the way of one term
        found = [(float(exact), float(count * U * size))]
        for z in self.layouts if sampled else []:
            e = (z - m) / v.sqrt()
            value = (q.log_prob(z) - p.log_prob(z)).sum(-1).mean()
            # As above; moreover z - m cancels: z's rounding U|z| is seen as U|z| / sqrt(v) in e, and in e^2
            # with the slope 2|e|.
            size = (e**2 + z**2 + v.log().abs() + 4).sum(-1).mean()
            cancelled = (2 * e.abs() * (z.abs() + m.abs()) / v.sqrt()).sum(-1).mean()
            found.append((float(value), float((count + len(z)) * U * size + 4 * U * cancelled)))
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
    # A handful of operations (16 U); and z - m cancels, so that z's rounding U|z| counts in full.
    if not ((dm.double() - towards).abs() <= 16 * U * towards).all():
        fail("The derivative of the sample with respect to m was expected to be 1 in every entry; it is not.")
    if not ((dv.double() - expected).abs() <= 16 * U * expected.abs() + 4 * U * (z.abs() + m.abs()) / v).all():
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
        if not isinstance(value, torch.Tensor) or value.dim() != 0:
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
    if any(shapes):
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
        # rounding is as in Bound.reconstruction; 64 U for what follows, 22e-8 for a 1e-8 in a logarithm.
        size = 1 + (z.abs() @ bound.decoder.weight.double().abs()).max()
        slack = 6 * U * (z.shape[-1] + 3) * size + (64 + len(bound.x) * len(z)) * 3 * U + 66e-8
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
