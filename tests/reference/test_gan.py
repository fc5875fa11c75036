"""The reference's GAN: the theory on discrete distributions, the two losses, and a training step."""

import importlib.util
import math
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from tests.reference.test_vae import FOLDER, dtypes, few, many, ref, seeds, u

spec = importlib.util.spec_from_file_location("reference_theory", FOLDER / "theory.py")
assert spec is not None and spec.loader is not None
theory = importlib.util.module_from_spec(spec)
spec.loader.exec_module(theory)

U = u(torch.float64)


def sigmoid(h):
    """1 / (1 + exp(-h)) for a float, without overflow."""
    return 1 / (1 + math.exp(-h)) if h >= 0 else math.exp(h) / (1 + math.exp(h))


def softplus(h):
    """log(1 + exp(h)) = -log sigmoid(-h) for a float, without overflow."""
    return max(h, 0.0) + math.log1p(math.exp(-abs(h)))


# ------------------------------------------------------------------------------------ the theory

logits = st.floats(-10, 10) | st.sampled_from([-1e4, -100.0, 100.0, 1e4])
heavy = st.integers(1, 20).map(float)
# Not below 1e-12 of another: where p_data / (p_data + p_theta) rounds to 1, what is left of log(1 - D) is log 0.
masses = heavy | st.sampled_from([0.0, 1e-12, 1e-6, 1e-3])


@st.composite
def distributions(draw, mass=masses):
    """p_data, p_theta (k,) on the same k <= 6 points; with the default mass also points that one or both lack."""
    points = draw(st.integers(1, 6))
    weights = st.lists(mass, min_size=points, max_size=points).filter(any)
    p, q = (torch.tensor(draw(weights), dtype=torch.float64) for _ in range(2))
    return p / p.sum(), q / q.sum()


def rounding(p, size):
    """What rounding does to a sum of two terms a point: 2 k + 32 operations, on terms whose sizes add up to `size`.

    The terms of V(G, D*) and of both KLs add up to 2 at most, since -p log(p / (p + q)) <= p (q / p) = q; that
    the masses sum to 1 only up to k U counts in the same way.
    """
    return (2 * len(p) + 32) * U * size


@many
@given(st.lists(logits, min_size=1, max_size=6))
def test_slopes_of_the_two_generator_losses(listed):
    h = torch.tensor(listed, dtype=torch.float64)
    saturating, nonsaturating = theory.saturating_slope(h), theory.nonsaturating_slope(h)
    assert saturating.shape == nonsaturating.shape == h.shape
    for one, other, logit in zip(saturating.tolist(), nonsaturating.tolist(), listed, strict=True):
        # -D and -(1 - D), each a handful of operations on positive numbers: relatively right.
        assert abs(one + sigmoid(logit)) <= 16 * U * sigmoid(logit)
        assert abs(other + sigmoid(-logit)) <= 16 * U * sigmoid(-logit)
        if logit <= 0:  # D <= 1/2
            assert -other >= 0.5 * (1 - 16 * U)
            assert -one <= math.exp(logit) * (1 + 16 * U)  # D <= exp(h): it vanishes
        assert one <= 0 and other <= 0  # both want larger logits


@many
@given(distributions(), st.data())
def test_no_discriminator_beats_the_optimal_one(pq, data):
    p, q = pq
    best = theory.optimal_discriminator(p, q)
    assert best.shape == p.shape and (best >= 0).all() and (best <= 1).all()
    d = torch.tensor(data.draw(st.lists(st.floats(0, 1), min_size=len(p), max_size=len(p))), dtype=torch.float64)
    top, other = theory.value(p, q, best), theory.value(p, q, d)
    if torch.isfinite(other):
        # Point by point V(D*) - V(d) is p + q times the KL of two coins, at least 2 (D* - d)^2 (Pinsker).
        gap = 2 * ((p + q) * (best - d).square()).sum()
        assert top - other >= gap - rounding(p, 2 + gap + other.abs())
    else:
        assert other == -math.inf and math.isfinite(top)  # certain, and wrong, at some point


@many
@given(distributions(heavy))
def test_value_is_flat_at_the_optimal_discriminator(pq):
    p, q = pq
    d = theory.optimal_discriminator(p, q).requires_grad_()
    (gradient,) = torch.autograd.grad(theory.value(p, q, d), d)
    # p / D - q / (1 - D) = (p + q) - (p + q). D is off by 2 U relatively and so is p / D; 1 - D is off by 3 U,
    # which is 3 U (p + q) / q relatively.
    assert (gradient.abs() <= 8 * U * (p + q) * (1 + (p + q) / q)).all()


@many
@given(distributions())
def test_value_at_the_optimum_is_the_divergence(pq):
    p, q = pq
    top, jsd = theory.value(p, q, theory.optimal_discriminator(p, q)), theory.jensen_shannon(p, q)
    assert abs(top - (2 * jsd - math.log(4))) <= rounding(p, 2 + 2 + math.log(4))


@many
@given(distributions())
def test_divergence_measures_a_distance(pq):
    p, q = pq
    jsd, slack = theory.jensen_shannon(p, q), rounding(p, 2)
    assert torch.equal(jsd, theory.jensen_shannon(q, p))  # sums of the same pairs: exact
    assert theory.jensen_shannon(p, p) == 0  # p / p = 1, exact
    # With the total variation t: t^2 / 2 <= JSD (Pinsker, for both halves) and JSD <= t log 2 (Lin 1991, theorem
    # 3). So it is 0 only where p = q, and log 2 only where they share no point.
    t = (p - q).abs().sum() / 2
    assert t**2 / 2 - slack <= jsd <= t * math.log(2) + slack
    if t > 1e-3:
        assert jsd > 0


@few
@given(distributions(heavy))
def test_divergence_of_disjoint_distributions(pq):
    p, q = pq
    none = torch.zeros_like(p)
    jsd = theory.jensen_shannon(torch.cat([p, none]), torch.cat([none, q]))
    assert abs(jsd - math.log(2)) <= rounding(torch.cat([p, q]), 2)


def test_points_without_mass_add_nothing():
    p, q = torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], dtype=torch.float64)
    best = theory.optimal_discriminator(p, q)
    assert best.tolist() == [1 / 1.5, 0.0, 0.5]
    shorter = theory.value(p[:2], q[:2], best[:2])
    assert theory.value(p, q, best) == shorter
    assert theory.value(p, q, torch.tensor([1 / 1.5, 0.0, 1.0], dtype=torch.float64)) == shorter


@few
@given(distributions(heavy), st.integers(1, 300))
def test_descent_approaches_the_optimal_discriminator(pq, steps):
    p, q = pq
    best = theory.optimal_discriminator(p, q)
    found = theory.discriminator_by_descent(p, q, steps=steps)
    # With a rate r of at most 1 / curvature, n steps come within |start - best|^2 / (2 r n) of the minimum of a
    # convex function (Nesterov 2018, section 2.1.5). Here r = 2, the curvature is at most 1/2, the start is 0.
    gap = torch.logit(best).square().sum() / (2 * 2 * steps)
    assert -rounding(p, 4) <= theory.value(p, q, best) - theory.value(p, q, found) <= gap + rounding(p, 4)


def test_the_tables_show_the_three_facts(capsys):
    theory.main()
    text = capsys.readouterr().out
    rows = [line.split() for line in text.splitlines() if line.split() and line.split()[-1].count(".") == 1]
    rows = [[float(cell.rstrip("%")) for cell in row] for row in rows if row[0][-1] in "0123456789%"]
    slopes, descent, values = rows[:7], rows[7:12], rows[12:]
    assert len(values) == 5 and max(map(len, text.splitlines())) <= 110
    unit = 1.01e-6  # both numbers are printed to six decimals
    for logit, d, saturating, nonsaturating in slopes:
        assert abs(d - sigmoid(logit)) <= unit and abs(saturating + d) <= unit and abs(nonsaturating + 1 - d) <= unit
    assert all(abs(found - best) <= unit and abs(best - p / (p + q)) <= unit for p, q, found, best in descent)
    assert all(
        abs(one - other) <= unit and abs(one - 2 * jsd + math.log(4)) <= 3 * unit for _, jsd, one, other in values
    )
    assert values[0][1] == 0 and abs(values[-1][1] - math.log(2)) <= unit
    theory.show("Rounding?", ("sum",), [(-1e-17,)], "None.")
    assert capsys.readouterr().out.split()[-2] == "0.000000"


# ------------------------------------------------------------------------------------ the losses


class Known:
    """A generator and a discriminator that give known logits: `real[i]` for image i, `fake[j]` for row j of z.

    The generator's rows have a lever each, at 0, by which the logit of the fake moves with slope 1. More rows
    than `fake` has begin again with the first.
    """

    def __init__(self, real, fake, *, z_dim=3):
        self.real, self.fake = real.requires_grad_(), fake.requires_grad_()
        self.levers = torch.zeros_like(fake).requires_grad_()
        self.seen: list[Any] = []

        def g(z):
            self.seen.append(z)
            rows = torch.arange(len(z)) % len(self.fake)
            return self.images(-1 - rows, self.levers[rows])

        self.g, g.z_dim = g, z_dim  # type: ignore[attr-defined]

    def images(self, numbers, levers):
        """(batch, 1, 28, 28): the first pixel counts real images 1, 2, ... and fakes -1, -2, ...; then the lever."""
        rest = torch.zeros(len(numbers), 782, dtype=levers.dtype)
        return torch.cat([numbers[:, None].to(levers.dtype), levers[:, None], rest], 1).reshape(-1, 1, 28, 28)

    def reals(self):
        return self.images(torch.arange(len(self.real)) + 1, torch.zeros_like(self.real))

    def d(self, x):
        number, lever = x.flatten(1)[:, :2].unbind(1)
        row = number.detach().long()
        known = torch.cat([self.real, self.fake])
        return known[torch.where(row > 0, row - 1, len(self.real) - 1 - row)] + lever

    def losses(self, x=None):
        """d_loss, g_loss of the reference, by default on all real images once."""
        x = self.reals() if x is None else x
        return ref.gan.GAN.loss_nonsaturating(SimpleNamespace(g=self.g, d=self.d), x, device="cpu")


@st.composite
def known(draw, logit=logits, dtype=dtypes):
    """Real and fake logits (batch,) each."""
    batch = draw(st.integers(1, 6))
    dtype = draw(dtype)
    listed = st.lists(logit, min_size=batch, max_size=batch)
    return Known(*(torch.tensor(draw(listed), dtype=dtype) for _ in range(2)))


ordinary = known(logit=st.floats(-10, 10), dtype=st.just(torch.float64))


def near(seen, expected, operations):
    """Whether a number that is a sum of positive terms (or of negative ones) is as expected, but for its roundings.

    Each of the operations errs relatively by u; below `tiny` numbers lose digits, or become 0.
    """
    error = abs(float(seen.detach()) - float(expected))
    return error <= operations * u(seen.dtype) * abs(float(expected)) + torch.finfo(seen.dtype).tiny


@many
@given(known())
def test_losses_are_averages_of_logarithms(pair):
    real, fake = pair.real.tolist(), pair.fake.tolist()
    batch, (d_loss, g_loss) = len(real), pair.losses()
    assert d_loss.shape == g_loss.shape == () and d_loss.dtype == g_loss.dtype == pair.real.dtype
    # -log D = softplus(-h) and -log(1 - D) = softplus(h), all positive: an exponential, a logarithm and a sum of
    # them, each within 4 u, then `batch` additions; softplus above is as good in float64.
    expected = math.fsum(softplus(-h) for h in real) / batch + math.fsum(softplus(h) for h in fake) / batch
    assert near(d_loss, expected, batch + 32)
    assert near(g_loss, math.fsum(softplus(-h) for h in fake) / batch, batch + 32)


@many
@given(known())
def test_gradients_are_those_of_the_theory(pair):
    batch, (d_loss, g_loss) = len(pair.real), pair.losses()
    by_real, by_fake, by_lever = torch.autograd.grad(
        d_loss, (pair.real, pair.fake, pair.levers), retain_graph=True, allow_unused=True
    )
    assert by_lever is None  # d_loss takes the fakes as given
    (of_g,) = torch.autograd.grad(g_loss, pair.levers)
    for row, (real, fake) in enumerate(zip(pair.real.tolist(), pair.fake.tolist(), strict=True)):
        # Sigmoids, relatively right, over the batch.
        assert near(by_real[row], -sigmoid(-real) / batch, 32)
        assert near(by_fake[row], sigmoid(fake) / batch, 32)
        assert near(of_g[row], -sigmoid(-fake) / batch, 32)
    slope = theory.nonsaturating_slope(pair.fake) / batch
    assert all(near(seen, expected, 32) for seen, expected in zip(of_g, slope, strict=True))


@many
@given(known(), st.randoms(use_true_random=False))
def test_the_order_of_the_batch_does_not_matter(pair, random):
    order = list(range(len(pair.real)))
    random.shuffle(order)
    d_loss, g_loss = pair.losses()
    d_shuffled, g_shuffled = pair.losses(pair.reals()[order])
    assert near(d_shuffled, d_loss.detach(), 2 * (len(order) + 32))
    assert torch.equal(g_shuffled, g_loss)  # the same fakes in the same order


@many
@given(known(), st.integers(2, 3))
def test_repeating_the_batch_does_not_matter(pair, times):
    d_loss, g_loss = pair.losses()
    d_repeated, g_repeated = pair.losses(pair.reals().repeat(times, 1, 1, 1))
    operations = 2 * (times * len(pair.real) + 32)
    assert near(d_repeated, d_loss.detach(), operations)
    assert near(g_repeated, g_loss.detach(), operations)
    assert [len(z) for z in pair.seen] == [len(pair.real), times * len(pair.real)]


@many
@given(known())
def test_real_and_fake_may_change_places_with_negated_logits(pair):
    swapped = Known(-pair.fake.detach(), -pair.real.detach())
    assert torch.equal(pair.losses()[0], swapped.losses()[0])  # a + b and b + a of the very same numbers


@many
@given(ordinary, st.floats(0.5, 5))
def test_what_is_added_to_all_logits_does_matter(pair, shift):
    losses = [
        [loss.item() for loss in Known(pair.real.detach() + by, pair.fake.detach() + by).losses()]
        for by in (-shift, 0.0, shift)
    ]
    (d_less, d_here, d_more), (g_less, g_here, g_more) = zip(*losses, strict=True)
    # Every term is convex: softplus(h - c) + softplus(h + c) - 2 softplus(h) is the integral of (c - |t|) times
    # sigmoid's slope at h + t, which for |h + t| <= 15 is at least exp(-15) / 4: at least c^2 exp(-15) / 4. The
    # rounding of four numbers below 40 is a thousand times less.
    margin = 0.25 * math.exp(-15) * shift**2
    assert d_less + d_more - 2 * d_here >= margin  # so it cannot be the same for all three
    assert g_less > g_here > g_more  # the generator gains by every shift upwards


@few
@given(ordinary, st.floats(-10, 10))
def test_real_images_are_none_of_the_generators_business(pair, logit):
    other = Known(torch.full_like(pair.real.detach(), logit), pair.fake.detach())
    assert torch.equal(pair.losses()[1], other.losses()[1])


@many
@given(st.data(), st.integers(1, 4))
def test_the_discriminators_loss_is_the_theorys_value(data, points):
    """On batches in which point j is real[j] and fake[j] times, d_loss is -V(G, D), and smallest at D*."""
    counts = st.lists(st.integers(0, points - 1), min_size=8, max_size=8)
    real, fake = (torch.tensor(data.draw(counts)) for _ in range(2))
    h = torch.tensor(data.draw(st.lists(st.floats(-10, 10), min_size=points, max_size=points)), dtype=torch.float64)
    p, q = (F.one_hot(of, points).double().mean(0) for of in (real, fake))  # eighths: exact
    d_loss, g_loss = (loss.item() for loss in Known(h[real], h[fake]).losses())
    # D is off by 4 U relatively, and log(1 - D) where 1 - D >= exp(-11) by 4 U exp(11); the rest as above.
    slack = rounding(p, 2 * abs(d_loss)) + 8 * U * math.exp(11)
    assert abs(d_loss + float(theory.value(p, q, torch.sigmoid(h)))) <= slack
    assert d_loss >= -float(theory.value(p, q, theory.optimal_discriminator(p, q))) - slack
    assert abs(g_loss - math.fsum(w * softplus(-x) for w, x in zip(q.tolist(), h.tolist(), strict=True))) <= slack


@few
@given(st.integers(1, 5), st.integers(1, 9), seeds)
def test_z_has_the_generators_size_and_is_new(batch, z_dim, seed):
    pair = Known(torch.zeros(batch), torch.zeros(batch), z_dim=z_dim)
    torch.manual_seed(seed)
    pair.losses()
    pair.losses()
    torch.manual_seed(seed)
    pair.losses()
    first, second, again = pair.seen
    assert first.shape == second.shape == (batch, z_dim) and first.dtype == torch.float32
    assert torch.equal(first, again)  # all of it from torch's generator
    # Two float32 normals are equal with a chance below 1e-6: of 90, so 4005 pairs, two are with less than 1e-5.
    values = torch.cat([first, second]).flatten()
    assert len(values.unique()) >= len(values) - 1


def test_equal_zero_logits_give_log_four_and_log_two():
    d_loss, g_loss = Known(torch.zeros(4), torch.zeros(4)).losses()
    # Where nothing is told apart V = -log 4, as in Goodfellow et al. 2014, theorem 1.
    assert near(d_loss, math.log(4), 40)
    assert near(g_loss, math.log(2), 40)


# ------------------------------------------------------------------------------------ small networks


class TinyGenerator(nn.Module):
    """z (batch, 3) -> images (batch, 1, 28, 28), one linear layer and a sigmoid, in float64."""

    def __init__(self):
        super().__init__()
        self.z_dim = 3
        self.net = nn.Sequential(nn.Linear(3, 784), nn.Sigmoid(), nn.Unflatten(1, (1, 28, 28))).double()

    def forward(self, z):
        return self.net(z.double())


class TinyDiscriminator(nn.Module):
    """Images -> logits (batch,), four hidden units, in float64."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(784, 4), nn.Tanh(), nn.Linear(4, 1)).double()

    def forward(self, x):
        return self.net(x).squeeze(1)


def tiny_gan(seed):
    """The reference's GAN with these networks, drawn from the seed."""
    torch.manual_seed(seed)
    with mock.patch.multiple(ref.nns, Generator=lambda z_dim: TinyGenerator(), Discriminator=TinyDiscriminator):
        return ref.gan.GAN(z_dim=3)


def directions(weights):
    """A random direction in the space of some weights, of length about 1."""
    return [torch.randn_like(weight) / sum(other.numel() for other in weights) ** 0.5 for weight in weights]


@few
@given(st.integers(1, 5), seeds)
def test_gradients_are_those_of_finite_differences(batch, seed):
    model = tiny_gan(seed)
    x = torch.rand(batch, 1, 28, 28, dtype=torch.float64)

    def loss(position):
        torch.manual_seed(seed)  # the same z
        return model.loss_nonsaturating(x, device="cpu")[position]

    for position, network in enumerate((model.d, model.g)):
        weights = list(network.parameters())
        towards, step, values = directions(weights), 1e-6, []
        gradients = torch.autograd.grad(loss(position), weights)
        slope = sum(float((g * t).sum()) for g, t in zip(gradients, towards, strict=True))
        for move in (step, -2 * step):
            with torch.no_grad():
                for weight, t in zip(weights, towards, strict=True):
                    weight += move * t
            values.append(loss(position).item())
        # Rounding: values below 10 that err by 1e3 U, over 2e-6: 6e-7. Truncation: step^2 / 6 times the third
        # derivative. In a direction of length 1 a unit's argument moves by |x| <= 28 and the logit, with four
        # weights of at most 1/2, by 56: below 28^3 * 2 * 2 + 56^3 / 10 + mixed terms < 4e5, times 2e-13: 1e-7.
        assert abs((values[0] - values[1]) / (2 * step) - slope) <= 7e-7


def attached(self, x_real, *, device):
    """No detach: d_loss can reach the generator."""
    fake = self.d(self.g(torch.randn(len(x_real), self.g.z_dim, device=device)))
    return -(F.logsigmoid(self.d(x_real)) + F.logsigmoid(-fake)).mean(), -F.logsigmoid(fake).mean()


def called_twice(self, x_real, *, device):
    """Two calls of the generator with the same z, one of them without gradients."""
    z = torch.randn(len(x_real), self.g.z_dim, device=device)
    with torch.no_grad():
        fake = self.g(z)
    d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(fake)).mean()
    return d_loss, F.softplus(-self.d(self.g(z))).mean()


def concatenated(self, x_real, *, device):
    """One call of the discriminator on both kinds of image, and logits that both losses share."""
    batch = len(x_real)
    x_fake = self.g(torch.randn(batch, self.g.z_dim, device=device))
    logits = self.d(torch.cat([x_real, x_fake]))
    targets = torch.cat([torch.ones(batch), torch.zeros(batch)]).to(logits)
    d_loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / batch
    return d_loss, F.binary_cross_entropy_with_logits(logits[batch:], targets[:batch])


def stepped(seed, loss=None):
    """A tiny GAN before and after one step of the trainer, and the images that it saw."""
    model = tiny_gan(seed)
    trainer = ref.train.Trainer(model, iter(()))
    grey = torch.rand(5, 784, dtype=torch.float64)
    before = [weight.detach().clone() for weight in model.parameters()]
    torch.manual_seed(seed)
    with mock.patch.object(ref.gan.GAN, "loss_nonsaturating", loss or ref.gan.GAN.loss_nonsaturating):
        shown = trainer.step(grey)
    return SimpleNamespace(model=model, grey=grey, before=before, after=list(model.parameters()), shown=shown)


# Adam's first step is LEARNING_RATE g / (|g| + 1e-8), whose slope in g is at most LEARNING_RATE * 1e8. Gradients
# here are sums of at most 10 * 784 products, of size below 1 in all, so that another order changes them by less than
# 1e4 U; the step is off by 1e-3 * 1e8 * 1e4 U, a ten-thousandth of itself.
STEP_SLACK = ref.train.LEARNING_RATE * 1e8 * 1e4 * U


@few
@given(seeds)
@pytest.mark.parametrize("loss", [attached, called_twice, concatenated])
def test_a_step_is_the_same_however_the_fakes_are_detached(loss, seed):
    one, other = stepped(seed), stepped(seed, loss)
    assert all(abs(other.shown[name] - value) <= 1e4 * U for name, value in one.shown.items())
    for old, weight, same in zip(one.before, one.after, other.after, strict=True):
        assert (weight - same).abs().max() <= STEP_SLACK
        assert (weight - old).abs().max() >= 100 * STEP_SLACK  # it has moved
    if loss is not called_twice:
        # A step that let d_loss into the generator would be seen above.
        leaked = torch.autograd.grad(loss(one.model, one.grey.reshape(-1, 1, 28, 28), device="cpu")[0], one.after[0])[0]
        assert leaked.abs().max() > 1e-6


@few
@given(seeds)
def test_a_step_moves_each_network_down_its_own_loss_at_the_old_weights(seed):
    moved = stepped(seed)
    fresh = tiny_gan(seed)
    torch.manual_seed(seed)
    d_loss, g_loss = fresh.loss_nonsaturating(moved.grey.reshape(-1, 1, 28, 28), device="cpu")
    assert moved.shown == {"d_loss": d_loss.item(), "g_loss": g_loss.item()}
    gradients = [
        *torch.autograd.grad(g_loss, list(fresh.g.parameters()), retain_graph=True),
        *torch.autograd.grad(d_loss, list(fresh.d.parameters())),
    ]
    for old, new, gradient in zip(moved.before, moved.after, gradients, strict=True):
        step = ref.train.LEARNING_RATE * gradient / (gradient.abs() + 1e-8)
        assert (old - step - new).abs().max() <= STEP_SLACK
