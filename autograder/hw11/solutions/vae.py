"""Wrong, right and half-right solutions for question 4: the VAE's sampler and its negative bound."""

from functools import partial

from autograder.audit.variants import Variant, written

EVERY_SAMPLE_CHECK = (
    "vae.sample.contract",
    "vae.sample.inputs",
    "vae.sample.noise",
    "vae.sample.parameters",
    "vae.sample.independence",
    "vae.sample.fresh",
    "vae.sample.gradient",
)
EVERY_BOUND_CHECK = (
    "vae.bound.contract",
    "vae.bound.kl",
    "vae.bound.closed_form",
    "vae.bound.reconstruction",
    "vae.bound.sum",
    "vae.bound.average",
    "vae.bound.gradient_encoder",
    "vae.bound.gradient_decoder",
    "vae.bound.posterior",
)
WRONG_KL = ("vae.bound.kl", "vae.bound.closed_form", "vae.bound.gradient_encoder")
WRONG_RECONSTRUCTION = (
    "vae.bound.reconstruction",
    "vae.bound.gradient_encoder",
    "vae.bound.gradient_decoder",
)


_sampler = partial(written, "sample", "gan_vae/utils.py")  # sample_gaussian(m, v)
_bound = partial(written, "bound", "gan_vae/models/vae.py")  # VAE.negative_elbo_bound(self, x)

# ----------------------------------------------------------------------------------------------------
# Wrong samplers
# ----------------------------------------------------------------------------------------------------

_WRONG_SAMPLERS = (
    # The scale is misread.
    _sampler(
        "variance-as-std",
        "The variance multiplies the noise as if it were the standard deviation.",
        """
        def sample_gaussian(m, v):
            return m + v * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_as_std",
    ),
    _sampler(
        "normal-takes-std",
        "`Normal(m, v)` is given the variance, but expects the standard deviation.",
        """
        def sample_gaussian(m, v):
            return torch.distributions.Normal(m, v).rsample()
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_as_std",
    ),
    _sampler(
        "torch-normal-takes-std",
        "`torch.normal(m, v)` is given the variance for the standard deviation, and passes no gradient on.",
        """
        def sample_gaussian(m, v):
            return torch.normal(m, v)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_as_std",
    ),
    _sampler(
        "variance-as-log-variance",
        "The variance is exponentiated as other tutorials do, whose encoders return its logarithm.",
        """
        def sample_gaussian(m, v):
            std = torch.exp(0.5 * v)
            return m + std * torch.randn_like(std)
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_as_log_variance",
    ),
    _sampler(
        "variance-as-log-std",
        "The variance is taken for the logarithm of the standard deviation.",
        """
        def sample_gaussian(m, v):
            return m + v.exp() * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_as_log_std",
    ),
    _sampler(
        "softplus-twice",
        "The variance goes through softplus again, although `gaussian_parameters` has done so.",
        """
        def sample_gaussian(m, v):
            return m + F.softplus(v).sqrt() * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="softplus_twice",
    ),
    _sampler(
        "root-of-root",
        "The square root of the variance is taken twice.",
        """
        def sample_gaussian(m, v):
            std = torch.sqrt(v)
            return m + torch.sqrt(std) * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="root_of_std",
    ),
    _sampler(
        "variance-squared",
        "The noise is scaled with the square of the variance.",
        """
        def sample_gaussian(m, v):
            return m + v ** 2 * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_squared",
    ),
    _sampler(
        "inverse-scale",
        "The noise is divided by the standard deviation, as one does to standardise.",
        """
        def sample_gaussian(m, v):
            return m + torch.randn_like(m) / torch.sqrt(v)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="inverse_scale",
    ),
    _sampler(
        "variance-ignored",
        "Unit noise is added to the mean, and the variance is never used.",
        """
        def sample_gaussian(m, v):
            return m + torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_ignored",
    ),
    _sampler(
        "mean-variance",
        "All entries share the square root of the average variance.",
        """
        def sample_gaussian(m, v):
            std = v.mean().sqrt()
            return m + std * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_averaged",
    ),
    _sampler(
        "batch-mean-variance",
        "The variance is averaged over the batch, so that every example gets the same one.",
        """
        def sample_gaussian(m, v):
            std = v.mean(dim=0, keepdim=True).sqrt()
            return m + std * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="variance_averaged",
    ),
    _sampler(
        "first-variance",
        "The first example's variance serves for the whole batch.",
        """
        def sample_gaussian(m, v):
            return m + v[0].sqrt() * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="first_example_only",
    ),
    _sampler(
        "std-of-batch",
        "The noise is scaled with the spread of the means over the batch in place of the given variance.",
        """
        def sample_gaussian(m, v):
            std = m.std(dim=0, unbiased=False, keepdim=True)
            return m + std * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
    ),
    _sampler(
        "variance-clamped-below",
        "The variance is kept above 0.01, so that small ones are lost.",
        """
        def sample_gaussian(m, v):
            std = torch.sqrt(v.clamp(min=1e-2))
            return m + std * torch.randn_like(m)
        """,
        caught_by=("vae.sample.parameters",),
    ),
    _sampler(
        "variance-clamped-above",
        "The variance is kept below 1, so that large ones are lost.",
        """
        def sample_gaussian(m, v):
            std = torch.sqrt(torch.clamp(v, max=1.0))
            return m + std * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
    ),
    _sampler(
        "epsilon-too-large",
        "An epsilon of 0.01 is added to the variance, which drowns small ones.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v + 1e-2) * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="epsilon_too_large",
    ),
    _sampler(
        "epsilon-outside-root",
        "An epsilon of 0.01 is added to the standard deviation.",
        """
        def sample_gaussian(m, v):
            return m + (torch.sqrt(v) + 1e-2) * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="epsilon_too_large",
    ),
    # The mean is misused.
    _sampler(
        "mean-subtracted",
        "The mean is subtracted in place of added.",
        """
        def sample_gaussian(m, v):
            return torch.randn_like(m) * torch.sqrt(v) - m
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="mean_subtracted",
    ),
    _sampler(
        "mean-forgotten",
        "The scaled noise is returned without its mean.",
        """
        def sample_gaussian(m, v):
            return torch.randn_like(m) * torch.sqrt(v)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="mean_ignored",
    ),
    _sampler(
        "mean-scaled-too",
        "The standard deviation multiplies the mean together with the noise.",
        """
        def sample_gaussian(m, v):
            return (m + torch.randn_like(m)) * torch.sqrt(v)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="mean_scaled",
    ),
    _sampler(
        "mean-of-means",
        "Every entry is centred at the average of all means.",
        """
        def sample_gaussian(m, v):
            return m.mean() + torch.sqrt(v) * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.parameters",
            "vae.sample.gradient",
        ),
        diagnosis="mean_averaged",
    ),
    _sampler(
        "mean-and-std-swapped",
        "The noise multiplies the mean, and the standard deviation is added.",
        """
        def sample_gaussian(m, v):
            return torch.sqrt(v) + m * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
        diagnosis="mean_and_std_swapped",
    ),
    # There is no noise, or it has another distribution.
    _sampler(
        "mean-only",
        "The mean is returned, and no noise is added.",
        """
        def sample_gaussian(m, v):
            return m
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
        diagnosis="no_noise",
    ),
    _sampler(
        "mean-plus-std",
        "The standard deviation is added to the mean without any noise.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v)
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
        ),
        diagnosis="no_noise",
    ),
    _sampler(
        "uniform",
        "The noise is uniform on [0, 1): `rand` was written for `randn`.",
        """
        def sample_gaussian(m, v):
            eps = torch.rand_like(m)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="uniform_noise",
    ),
    _sampler(
        "uniform-symmetric",
        "The noise is uniform on [-1, 1).",
        """
        def sample_gaussian(m, v):
            eps = torch.empty_like(m).uniform_(-1, 1)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="uniform_noise",
    ),
    _sampler(
        "uniform-unit-variance",
        "The noise is uniform, with the right mean and the right variance.",
        """
        def sample_gaussian(m, v):
            eps = (torch.rand_like(m) - 0.5) * 12 ** 0.5
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="uniform_noise",
    ),
    _sampler(
        "laplace",
        "The noise is Laplace with unit variance.",
        """
        def sample_gaussian(m, v):
            eps = torch.distributions.Laplace(0.0, 0.5 ** 0.5).sample(m.shape)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
    ),
    _sampler(
        "student-t",
        "The noise is Student's t with five degrees of freedom, scaled to unit variance.",
        """
        def sample_gaussian(m, v):
            eps = torch.distributions.StudentT(5.0).sample(m.shape) * (3 / 5) ** 0.5
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
    ),
    _sampler(
        "logistic",
        "The noise is logistic with unit variance.",
        """
        def sample_gaussian(m, v):
            u = torch.rand_like(m).clamp(1e-7, 1 - 1e-7)
            eps = torch.log(u / (1 - u)) * 3 ** 0.5 / np.pi
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
    ),
    _sampler(
        "signs",
        "The noise is a random sign, which has the right mean and the right variance.",
        """
        def sample_gaussian(m, v):
            eps = 2 * torch.bernoulli(torch.full_like(m, 0.5)) - 1
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="discrete_noise",
    ),
    _sampler(
        "rounded",
        "The normal noise is rounded to integers.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m).round()
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="discrete_noise",
    ),
    _sampler(
        "three-uniforms",
        "Three uniforms are summed in the hope of the central limit theorem.",
        """
        def sample_gaussian(m, v):
            uniforms = torch.rand(3, *m.shape)
            eps = (uniforms.sum(dim=0) - 1.5) * 2
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
    ),
    _sampler(
        "clamped-at-two",
        "The noise is clamped to two standard deviations.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m).clamp(-2, 2)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="truncated_noise",
    ),
    _sampler(
        "sample-clamped",
        "The sample itself is clamped, so that its mean, its variance and its gradient suffer, too.",
        """
        def sample_gaussian(m, v):
            return torch.clamp(m + torch.sqrt(v) * torch.randn_like(m), -1, 1)
        """,
        caught_by=("vae.sample.noise", "vae.sample.parameters", "vae.sample.gradient"),
        diagnosis="truncated_noise",
    ),
    _sampler(
        "clamped-at-three",
        "The noise is clamped to three standard deviations.",
        """
        def sample_gaussian(m, v):
            eps = torch.clamp(torch.randn_like(m), -3.0, 3.0)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="truncated_noise",
    ),
    _sampler(
        "truncated-at-three",
        "Noise beyond three standard deviations is drawn again.",
        """
        def sample_gaussian(m, v):
            eps = torch.nn.init.trunc_normal_(torch.empty(m.shape), 0.0, 1.0, -3.0, 3.0)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="truncated_noise",
    ),
    _sampler(
        "absolute",
        "Only positive noise is added.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m).abs()
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="positive_noise",
    ),
    _sampler(
        "shifted",
        "The noise has mean 0.5.",
        """
        def sample_gaussian(m, v):
            eps = torch.normal(0.5, 1.0, size=m.shape)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="shifted_noise",
    ),
    _sampler(
        "damped",
        "The noise is damped to a tenth, to make the reconstructions sharper.",
        """
        def sample_gaussian(m, v):
            eps = 0.1 * torch.randn_like(m)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="noise_scaled",
    ),
    _sampler(
        "mean-of-ten",
        "Ten samples are averaged into one, whose variance is then a tenth.",
        """
        def sample_gaussian(m, v):
            samples = [m + torch.sqrt(v) * torch.randn_like(m) for _ in range(10)]
            return torch.stack(samples).mean(dim=0)
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="noise_scaled",
    ),
    _sampler(
        "product-of-normals",
        "Two normals are multiplied, so that the noise is heavy-tailed with unit variance.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m) * torch.randn_like(v)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.noise",),
    ),
    # The noise of different entries depends on one another.
    _sampler(
        "shared-over-batch",
        "One noise vector is shared by all examples.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn(m.shape[-1])
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
        diagnosis="shared_noise",
    ),
    _sampler(
        "shared-over-dimensions",
        "One noise value an example is shared by all of its dimensions.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m[..., :1])
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
        diagnosis="shared_noise",
    ),
    _sampler(
        "shared-scalar",
        "A single noise value serves for the whole tensor.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn(1)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
        diagnosis="shared_noise",
    ),
    _sampler(
        "shared-python-scalar",
        "NumPy's `np.random.normal()` without a size gives one noise value for the whole tensor.",
        """
        def sample_gaussian(m, v):
            eps = np.random.normal(0, 1)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
        diagnosis="shared_noise",
    ),
    _sampler(
        "antithetic-batch",
        "The second half of the batch gets the first half's noise with the opposite sign.",
        """
        def sample_gaussian(m, v):
            n = m.shape[0]
            half = torch.randn_like(m[:(n + 1) // 2])
            eps = torch.cat([half, -half])[:n]
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
        diagnosis="antithetic_noise",
    ),
    _sampler(
        "antithetic-dimensions",
        "The second half of the dimensions gets the first half's noise with the opposite sign.",
        """
        def sample_gaussian(m, v):
            n = m.shape[-1]
            half = torch.randn_like(m[..., :(n + 1) // 2])
            eps = torch.cat([half, -half], dim=-1)[..., :n]
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
        diagnosis="antithetic_noise",
    ),
    _sampler(
        "sorted-over-batch",
        "The noise is sorted over the batch.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m).sort(dim=0).values
            return m + torch.sqrt(v) * eps
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.independence",
            "vae.sample.fresh",
        ),
        diagnosis="sorted_noise",
    ),
    _sampler(
        "sorted-over-dimensions",
        "The noise of each example is sorted.",
        """
        def sample_gaussian(m, v):
            eps, _ = torch.sort(torch.randn_like(m), dim=-1)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.independence",
            "vae.sample.fresh",
        ),
        diagnosis="sorted_noise",
    ),
    _sampler(
        "smoothed",
        "Each entry's noise is shared with its neighbour's, scaled to unit variance.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m)
            eps = (eps + eps.roll(1, dims=-1)) / 2 ** 0.5
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
    ),
    _sampler(
        "common-component",
        "A tenth of the noise's variance is common to all dimensions of an example.",
        """
        def sample_gaussian(m, v):
            own = torch.randn_like(m)
            common = torch.randn_like(m[..., :1])
            eps = 0.9 ** 0.5 * own + 0.1 ** 0.5 * common
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
    ),
    _sampler(
        "centred-rows",
        "The noise of each example is centred, so that its values sum to zero.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m)
            eps = eps - eps.mean(dim=-1, keepdim=True)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.independence",),
    ),
    _sampler(
        "shuffled-quantiles",
        "A fixed grid of normal quantiles is shuffled, so that the values fill the bell too evenly.",
        """
        def sample_gaussian(m, v):
            n = m.numel()
            grid = torch.special.ndtri((torch.arange(n) + 0.5) / n)
            eps = grid[torch.randperm(n)].reshape(m.shape)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=(
            "vae.sample.noise",
            "vae.sample.independence",
            "vae.sample.fresh",
        ),
        diagnosis="noise_from_grid",
    ),
    # The noise repeats from call to call.
    _sampler(
        "constant-quantiles",
        "The noise is a fixed grid of normal quantiles, the same in every call.",
        """
        def sample_gaussian(m, v):
            n = m.numel()
            grid = torch.special.ndtri((torch.arange(n) + 0.5) / n)
            return m + torch.sqrt(v) * grid.reshape(m.shape)
        """,
        caught_by=("vae.sample.noise", "vae.sample.independence", "vae.sample.fresh"),
        diagnosis="seeded_inside",
    ),
    _sampler(
        "seeded-torch",
        "`torch.manual_seed` is called inside, so that every call repeats its noise.",
        """
        def sample_gaussian(m, v):
            torch.manual_seed(0)
            return m + torch.sqrt(v) * torch.randn_like(m)
        """,
        caught_by=("vae.sample.fresh",),
        diagnosis="seeded_inside",
    ),
    _sampler(
        "seeded-numpy",
        "`np.random.seed` is called inside, so that every call repeats its noise.",
        """
        def sample_gaussian(m, v):
            np.random.seed(42)
            eps = torch.from_numpy(np.random.randn(*m.shape)).float()
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.fresh",),
        diagnosis="seeded_inside",
    ),
    _sampler(
        "seeded-by-clock",
        "The seed is the time in seconds, so that all calls within one second repeat their noise.",
        """
        def sample_gaussian(m, v):
            import time
            torch.manual_seed(int(time.time()))
            return m + torch.sqrt(v) * torch.randn_like(m)
        """,
        caught_by=("vae.sample.fresh",),
        diagnosis="seeded_inside",
    ),
    _sampler(
        "new-generator",
        "A new `torch.Generator` is made in every call, which always starts from the same seed.",
        """
        def sample_gaussian(m, v):
            generator = torch.Generator()
            eps = torch.randn(m.shape, generator=generator)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.fresh",),
        diagnosis="seeded_inside",
    ),
    _sampler(
        "cached-noise",
        "The noise is drawn once for every shape and then used again.",
        """
        def sample_gaussian(m, v):
            if m.shape not in NOISE:
                NOISE[m.shape] = torch.randn(m.shape)
            return m + torch.sqrt(v) * NOISE[m.shape]
        """,
        caught_by=("vae.sample.fresh",),
        diagnosis="seeded_inside",
        prelude="""
        NOISE = {}
        """,
    ),
    _sampler(
        "cached-sample",
        "The decorator `lru_cache` over the noise turns it into a constant.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v) * standard_normal(tuple(m.shape))
        """,
        caught_by=("vae.sample.fresh",),
        diagnosis="seeded_inside",
        prelude="""
        from functools import lru_cache

        import torch

        @lru_cache(maxsize=None)
        def standard_normal(shape):
            return torch.randn(shape)

        """,
    ),
    # The gradient is lost, in whole or in part.
    _sampler(
        "detached",
        "The sample is detached.",
        """
        def sample_gaussian(m, v):
            z = m + torch.sqrt(v) * torch.randn_like(m)
            return z.detach()
        """,
        caught_by=("vae.sample.gradient",),
        diagnosis="detached_sample",
    ),
    _sampler(
        "no-grad",
        "The sample is computed under `torch.no_grad`.",
        """
        def sample_gaussian(m, v):
            with torch.no_grad():
                return m + torch.sqrt(v) * torch.randn_like(m)
        """,
        caught_by=("vae.sample.gradient",),
        diagnosis="detached_sample",
    ),
    _sampler(
        "torch-normal",
        "`torch.normal(m, s)` has the right distribution and passes no gradient on.",
        """
        def sample_gaussian(m, v):
            return torch.normal(m, torch.sqrt(v))
        """,
        caught_by=("vae.sample.gradient",),
        diagnosis="detached_sample",
    ),
    _sampler(
        "distribution-sample",
        "`Normal.sample` is used where `rsample` keeps the gradient.",
        """
        def sample_gaussian(m, v):
            return torch.distributions.Normal(m, torch.sqrt(v)).sample()
        """,
        caught_by=("vae.sample.gradient",),
        diagnosis="detached_sample",
    ),
    _sampler(
        "data-attribute",
        "The old `.data` attribute cuts the gradients of both inputs.",
        """
        def sample_gaussian(m, v):
            return m.data + torch.sqrt(v.data) * torch.randn_like(m)
        """,
        caught_by=("vae.sample.gradient",),
        diagnosis="detached_sample",
    ),
    _sampler(
        "variance-detached",
        "The gradient reaches the mean, not the variance.",
        """
        def sample_gaussian(m, v):
            std = torch.sqrt(v).detach()
            return m + std * torch.randn_like(m)
        """,
        caught_by=("vae.sample.gradient",),
        diagnosis="no_gradient_to_v",
    ),
    _sampler(
        "mean-detached",
        "The gradient reaches the variance, not the mean.",
        """
        def sample_gaussian(m, v):
            return m.detach() + torch.sqrt(v) * torch.randn_like(m)
        """,
        caught_by=("vae.sample.gradient",),
        diagnosis="no_gradient_to_m",
    ),
    _sampler(
        "numpy-arithmetic",
        "The arithmetic is done in NumPy, through which no gradient flows.",
        """
        def sample_gaussian(m, v):
            mean, std = m.detach().numpy(), np.sqrt(v.detach().numpy())
            z = mean + std * np.random.randn(*mean.shape)
            return torch.tensor(z, dtype=torch.float32)
        """,
        caught_by=("vae.sample.gradient",),
        diagnosis="detached_sample",
    ),
    # The inputs are changed.
    _sampler(
        "variance-in-place",
        "The caller's variance is overwritten with its square root.",
        """
        def sample_gaussian(m, v):
            std = v.sqrt_()
            return m + std * torch.randn_like(m)
        """,
        caught_by=("vae.sample.inputs",),
        diagnosis="in_place",
    ),
    _sampler(
        "mean-in-place",
        "The noise is added to the caller's mean itself.",
        """
        def sample_gaussian(m, v):
            m += torch.sqrt(v) * torch.randn_like(m)
            return m
        """,
        caught_by=("vae.sample.inputs",),
        diagnosis="in_place",
    ),
    _sampler(
        "both-in-place",
        "The caller's variance becomes the standard deviation, and the caller's mean the sample.",
        """
        def sample_gaussian(m, v):
            v.sqrt_()
            m.add_(v * torch.randn_like(v))
            return m
        """,
        caught_by=("vae.sample.inputs",),
        diagnosis="in_place",
    ),
    # The contract is broken.
    _sampler(
        "tuple",
        "The noise is returned beside the sample.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m)
            return m + torch.sqrt(v) * eps, eps
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.inputs",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
        diagnosis="unusable",
    ),
    _sampler(
        "double",
        "NumPy's float64 noise makes the sample float64.",
        """
        def sample_gaussian(m, v):
            eps = torch.from_numpy(np.random.standard_normal(tuple(m.shape)))
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.contract",),
        diagnosis="dtype",
    ),
    _sampler(
        "half",
        "The sample is rounded to half precision.",
        """
        def sample_gaussian(m, v):
            return (m + torch.sqrt(v) * torch.randn_like(m)).half()
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.gradient",
        ),
        diagnosis="dtype",
    ),
    _sampler(
        "half-noise",
        "The noise alone is rounded to half precision.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v) * torch.randn_like(m).half()
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="half_precision",
    ),
    _sampler(
        "flattened",
        "The sample is flattened to one dimension.",
        """
        def sample_gaussian(m, v):
            return (m + torch.sqrt(v) * torch.randn_like(m)).flatten()
        """,
        caught_by=("vae.sample.contract",),
        diagnosis="shape",
    ),
    _sampler(
        "extra-axis",
        "The shape is wrapped once more, and the sample gets a leading axis of length one.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn(1, *m.shape)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=("vae.sample.contract",),
        diagnosis="shape",
    ),
    _sampler(
        "pairwise-shape",
        "Noise of shape (batch, 1, dim) broadcasts against (batch, dim) to all pairs of examples.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m).unsqueeze(1)
            return m + torch.sqrt(v) * eps
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
        diagnosis="shape",
    ),
    _sampler(
        "summed",
        "The sample is summed over its dimensions.",
        """
        def sample_gaussian(m, v):
            return (m + torch.sqrt(v) * torch.randn_like(m)).sum(dim=-1)
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
        diagnosis="shape",
    ),
    _sampler(
        "numpy-array",
        "A NumPy array is returned.",
        """
        def sample_gaussian(m, v):
            z = m + torch.sqrt(v) * torch.randn_like(m)
            return z.detach().cpu().numpy()
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.inputs",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
        diagnosis="unusable",
    ),
    _sampler(
        "distribution",
        "The distribution is returned in place of a sample from it.",
        """
        def sample_gaussian(m, v):
            return torch.distributions.Normal(m, torch.sqrt(v))
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.inputs",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
        diagnosis="unusable",
    ),
    _sampler(
        "prints-only",
        "The sample is printed and not returned.",
        """
        def sample_gaussian(m, v):
            z = m + torch.sqrt(v) * torch.randn_like(m)
            print(z)
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.inputs",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
        diagnosis="unusable",
    ),
    _sampler(
        "not-finite",
        "The logarithm of a negative number is taken on the way to the standard deviation.",
        """
        def sample_gaussian(m, v):
            std = torch.exp(0.5 * torch.log(-v))
            return m + std * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
    ),
    _sampler(
        "crash",
        "A tensor is asked for an attribute that it does not have.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn_like(m)
            return m + v.squareroot() * eps
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.inputs",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
    ),
    _sampler(
        "unfilled",
        "The starter code's error still stands before the solution.",
        """
        def sample_gaussian(m, v):
            raise NotImplementedError
            return m + torch.sqrt(v) * torch.randn_like(m)
        """,
        caught_by=(
            "vae.sample.contract",
            "vae.sample.inputs",
            "vae.sample.noise",
            "vae.sample.parameters",
            "vae.sample.independence",
            "vae.sample.fresh",
            "vae.sample.gradient",
        ),
    ),
    # Found by grading what others write.
    _sampler(
        "normal-shifted-again",
        "`torch.normal` is given the moments, and its result is scaled and shifted by them as if it were noise.",
        """
        def sample_gaussian(m, v):
            eps = torch.normal(m, v)
            return eps * v + m
        """,
        caught_by=("vae.sample.parameters", "vae.sample.gradient"),
        diagnosis="moments_used_twice",
    ),
    _sampler(
        "normal-shifted-again-by-the-root",
        "The same with the standard deviation in both places.",
        """
        def sample_gaussian(m, v):
            std = torch.sqrt(v)
            return m + std * torch.normal(m, std)
        """,
        caught_by=("vae.sample.parameters",),
        diagnosis="moments_used_twice",
    ),
    _sampler(
        "rsample-shifted-again",
        "A distribution's `rsample` has the mean already, and the mean is added once more.",
        """
        def sample_gaussian(m, v):
            noise = torch.distributions.Normal(m, v.sqrt()).rsample()
            return m + noise
        """,
        caught_by=("vae.sample.parameters", "vae.sample.gradient"),
        diagnosis="moments_used_twice",
    ),
    _sampler(
        "variance-halved",
        "The variance is halved where its root belongs, as half of a log-variance is in other tutorials.",
        """
        def sample_gaussian(m, v):
            return m + (v / 2) * torch.randn_like(m)
        """,
        caught_by=("vae.sample.noise", "vae.sample.parameters", "vae.sample.gradient"),
        diagnosis="variance_halved",
    ),
    _sampler(
        "noise-times-everything",
        "Brackets are missing a place: the noise multiplies the mean as well.",
        """
        def sample_gaussian(m, v):
            return (m + torch.sqrt(v)) * torch.randn_like(m)
        """,
        caught_by=("vae.sample.parameters", "vae.sample.gradient"),
        diagnosis="mean_times_noise",
    ),
    _sampler(
        "epsilon-of-a-thousandth",
        "An epsilon of 0.001 is added to the variance, a thousand times what is harmless.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v + 1e-3) * torch.randn_like(m)
        """,
        caught_by=("vae.sample.parameters", "vae.sample.gradient"),
        diagnosis="epsilon_too_large",
    ),
    _sampler(
        "whole-numbers",
        "The noise is made by `randint`.",
        """
        def sample_gaussian(m, v):
            eps = torch.randint(-3, 4, m.shape).to(m.dtype)
            return m + v.sqrt() * eps
        """,
        caught_by=("vae.sample.noise",),
        diagnosis="discrete_noise",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Wrong bounds
# ----------------------------------------------------------------------------------------------------

_WRONG_BOUNDS = (
    # The KL term is wrong.
    _bound(
        "kl-swapped",
        "The two distributions of the KL divergence are swapped: KL(p || q).",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(self.z_prior_m, self.z_prior_v, m, v).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_swapped",
    ),
    _bound(
        "kl-negated",
        "The KL term has the wrong sign everywhere.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = -ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.kl", "vae.bound.gradient_encoder"),
        diagnosis="kl_sign",
    ),
    _bound(
        "kl-without-half",
        "The KL divergence's factor of one half is missing.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = (m ** 2 + v - torch.log(v) - 1).sum(dim=-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_without_half",
    ),
    _bound(
        "kl-without-one",
        "The KL divergence's constant -1 is missing, which its gradient cannot show.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = 0.5 * (m ** 2 + v - torch.log(v)).sum(dim=-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=(
            "vae.bound.kl",
            "vae.bound.closed_form",
        ),
        diagnosis="kl_without_minus_one",
    ),
    _bound(
        "kl-without-log",
        "The KL divergence's logarithm is forgotten, so that the variance shrinks to zero.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = 0.5 * (m.pow(2) + v - 1).sum(dim=-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_without_log",
    ),
    _bound(
        "kl-without-mean",
        "The KL divergence ignores the mean, since the prior is centred at it.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, m, torch.ones_like(v)).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_without_mean",
    ),
    _bound(
        "kl-mean-not-squared",
        "The mean enters the KL divergence without its square.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = -0.5 * torch.sum(1 + torch.log(v) - m - v, dim=1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_mean_not_squared",
    ),
    _bound(
        "kl-of-std",
        "`kl_normal` is given standard deviations, but expects variances.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, torch.sqrt(v), self.z_prior_m, torch.sqrt(self.z_prior_v)).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="std_as_variance",
    ),
    _bound(
        "kl-variance-as-std",
        "A formula for standard deviations is applied to variances.",
        """
        def negative_elbo_bound(self, x):
            mu, sigma = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(mu, sigma))
            kl = -0.5 * torch.sum(1 + torch.log(sigma ** 2) - mu ** 2 - sigma ** 2, dim=1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="variance_as_std",
    ),
    _bound(
        "kl-distributions-variance-as-std",
        "`Normal(m, v)` in the KL divergence is given the variance, but expects the standard deviation.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            q = torch.distributions.Normal(m, v)
            p = torch.distributions.Normal(torch.zeros_like(m), torch.ones_like(v))
            kl = torch.distributions.kl_divergence(q, p).sum(-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="variance_as_std",
    ),
    _bound(
        "kl-variance-as-log-variance",
        "The well-known formula for a log-variance is applied to the variance.",
        """
        def negative_elbo_bound(self, x):
            mu, logvar = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(mu, logvar))
            kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="variance_as_log_variance",
    ),
    _bound(
        "kl-log-of-std",
        "The KL divergence's logarithm is halved twice.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = 0.5 * (m ** 2 + v - torch.log(torch.sqrt(v)) - 1).sum(-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_log_of_std",
    ),
    _bound(
        "kl-mean-over-dimensions",
        "The KL divergence is averaged over the latent dimensions in place of summed.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = torch.mean(0.5 * (m ** 2 + v - torch.log(v) - 1))
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_mean_over_dimensions",
    ),
    _bound(
        "kl-to-prior-draw",
        "The KL divergence is taken to a Gaussian centred at a draw from the prior.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            prior = torch.randn_like(m)
            kl = ut.kl_normal(m, v, prior, torch.ones_like(v)).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_of_samples",
    ),
    _bound(
        "kl-of-samples",
        "`F.kl_div` compares the softmax of a sample with the softmax of a prior draw.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            prior = torch.softmax(torch.randn_like(z), dim=-1)
            kl = F.kl_div(F.log_softmax(z, dim=-1), prior, reduction='batchmean')
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_of_samples",
    ),
    _bound(
        "kl-log-density-only",
        "The prior's negative log-density at the sample stands for the whole KL term, without the entropy.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            prior = torch.distributions.Normal(0.0, 1.0)
            kl = -prior.log_prob(z).sum(dim=-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_without_entropy",
    ),
    _bound(
        "kl-monte-carlo-negated",
        "The Monte-Carlo estimate of the KL divergence has its two log-densities swapped.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            log_q = torch.distributions.Normal(m, v.sqrt()).log_prob(z).sum(-1)
            log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
            kl = (log_p - log_q).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_sign",
    ),
    # The reconstruction term is wrong.
    _bound(
        "rec-sign",
        "The minus before the log-likelihood is missing, in the part and in the sum.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="rec_sign",
    ),
    _bound(
        "bce-mean",
        "The cross entropy's default reduction averages over the pixels too.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.binary_cross_entropy_with_logits(logits, x)
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="mean_over_pixels",
    ),
    _bound(
        "mean-over-pixels",
        "The log-likelihood is divided by the number of pixels.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -(ut.log_bernoulli_with_logits(x, logits) / x.shape[1]).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="mean_over_pixels",
    ),
    _bound(
        "sigmoid-twice",
        "Probabilities are passed where logits belong, so that the sigmoid acts twice.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            probs = torch.sigmoid(self.dec.decode(z))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, probs).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="sigmoid_twice",
    ),
    _bound(
        "bce-with-logits-of-probabilities",
        "The cross entropy with logits is given probabilities.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            x_hat = self.dec.decode(ut.sample_gaussian(m, v)).sigmoid()
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.binary_cross_entropy_with_logits(x_hat, x, reduction='sum') / x.shape[0]
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="sigmoid_twice",
    ),
    _bound(
        "bce-of-logits",
        "The cross entropy for probabilities is given logits, and refuses them.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            x_hat = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.binary_cross_entropy(x_hat, x, reduction='sum') / x.shape[0]
            return kl + rec, kl, rec
        """,
        caught_by=EVERY_BOUND_CHECK,
        diagnosis="raised",
    ),
    _bound(
        "sampled-pixels",
        "Pixels are sampled from the decoder and passed where logits belong.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            x_hat = torch.bernoulli(torch.sigmoid(logits))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, x_hat).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="rec_of_samples",
    ),
    _bound(
        "mse",
        "The reconstruction is a squared error in place of a Bernoulli log-likelihood.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            x_hat = torch.sigmoid(self.dec.decode(ut.sample_gaussian(m, v)))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.mse_loss(x_hat, x, reduction='sum') / x.shape[0]
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="mse_reconstruction",
    ),
    _bound(
        "mse-of-logits",
        "The squared error compares the pixels with the logits.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            x_hat = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ((x_hat - x) ** 2).sum(dim=-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="mse_reconstruction",
    ),
    _bound(
        "x-and-logits-swapped",
        "The data and the logits are passed in each other's place.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(logits, x).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="x_and_logits_swapped",
    ),
    _bound(
        "background-ignored",
        "Only the pixels that are on enter the likelihood.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -(x * F.logsigmoid(logits)).sum(dim=-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="only_ones",
    ),
    _bound(
        "softmax",
        "The pixels compete in a softmax in place of being independent.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -(x * F.log_softmax(logits, dim=-1)).sum(dim=-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="softmax_over_pixels",
    ),
    _bound(
        "logits-clamped",
        "The logits are clamped to [0, 1], as if they were probabilities.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v)).clamp(0, 1)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="logits_clamped",
    ),
    _bound(
        "importance-weighted",
        "The likelihood is averaged over ten samples inside the logarithm, which is another bound.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            logps = []
            for _ in range(10):
                logits = self.dec.decode(ut.sample_gaussian(m, v))
                logps.append(ut.log_bernoulli_with_logits(x, logits))
            rec = -ut.log_mean_exp(torch.stack(logps), 0).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        # Its name depends on the draw: where one sample outweighs the others, other readings explain as much.
        sometimes=("vae.bound.contract", "vae.bound.sum"),
    ),
    # The sum is wrong.
    _bound(
        "kl-subtracted",
        "The parts are right, but the KL term is subtracted.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = rec - kl
            return nelbo, kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder"),
        diagnosis="kl_subtracted",
    ),
    _bound(
        "rec-subtracted",
        "The parts are right, but the reconstruction term is subtracted.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = kl - rec
            return nelbo, kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder", "vae.bound.gradient_decoder"),
        diagnosis="rec_subtracted",
    ),
    _bound(
        "elbo-not-negated",
        "The bound itself is returned, not its negative; the parts are right.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            elbo = -rec - kl
            return elbo, kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder", "vae.bound.gradient_decoder"),
        diagnosis="elbo_not_negated",
    ),
    _bound(
        "elbo-and-log-likelihood",
        "The bound and the log-likelihood are returned, neither of them negated.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ut.log_bernoulli_with_logits(x, logits).mean()
            return rec - kl, kl, rec
        """,
        caught_by=(
            "vae.bound.reconstruction",
            "vae.bound.sum",
            "vae.bound.gradient_encoder",
            "vae.bound.gradient_decoder",
        ),
        diagnosis="elbo_not_negated",
    ),
    _bound(
        "everything-negated",
        "All three values have the wrong sign.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = -ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=(
            "vae.bound.kl",
            "vae.bound.reconstruction",
            "vae.bound.gradient_encoder",
            "vae.bound.gradient_decoder",
        ),
        diagnosis="elbo_not_negated",
    ),
    _bound(
        "kl-ignored",
        "The loss is the reconstruction term alone.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = rec
            return nelbo, kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder"),
        diagnosis="kl_ignored",
    ),
    _bound(
        "rec-ignored",
        "The loss is the KL term alone.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = kl
            return nelbo, kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder", "vae.bound.gradient_decoder"),
        diagnosis="rec_ignored",
    ),
    _bound(
        "kl-weighted",
        "The KL term has the weight 0.5, as in a beta-VAE.",
        """
        def negative_elbo_bound(self, x):
            beta = 0.5
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return rec + beta * kl, kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder"),
        diagnosis="kl_weighted",
    ),
    _bound(
        "rec-weighted",
        "The reconstruction term has the weight 10 in the loss.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + 10 * rec, kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder", "vae.bound.gradient_decoder"),
        diagnosis="rec_weighted",
    ),
    _bound(
        "nelbo-per-pixel",
        "The loss is divided by the number of pixels, the parts are not.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return (kl + rec) / x.shape[1], kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder", "vae.bound.gradient_decoder"),
        diagnosis="mean_over_pixels",
    ),
    # The negative bound is right, and a part has the wrong sign.
    _bound(
        "rec-part-negative",
        "The negative bound is right, but the log-likelihood is returned as the reconstruction term.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = -(rec - kl)
            return nelbo, kl, rec
        """,
        caught_by=("vae.bound.reconstruction",),
        diagnosis="wrong_signed_part",
    ),
    _bound(
        "rec-part-negative-handout-order",
        "The log-likelihood is returned as the reconstruction term, in the handout's order.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ut.log_bernoulli_with_logits(x, logits).mean()
            return kl - rec, rec, kl
        """,
        caught_by=("vae.bound.reconstruction",),
        diagnosis="wrong_signed_part",
    ),
    _bound(
        "kl-part-negative",
        "The negative bound is right, but the KL term is returned with a minus.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = -ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return rec - kl, kl, rec
        """,
        caught_by=("vae.bound.kl",),
        diagnosis="wrong_signed_part",
    ),
    _bound(
        "both-parts-negative",
        "The negative bound is right, but both parts are returned with a minus.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = -ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ut.log_bernoulli_with_logits(x, logits).mean()
            elbo = kl + rec
            return -elbo, kl, rec
        """,
        caught_by=(
            "vae.bound.kl",
            "vae.bound.reconstruction",
        ),
        diagnosis="wrong_signed_part",
    ),
    # The batch is not averaged.
    _bound(
        "kl-summed",
        "The KL term is summed over the batch.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).sum()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.average",),
        diagnosis="sum_not_mean",
    ),
    _bound(
        "rec-summed",
        "The reconstruction term is summed over the batch.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).sum()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.average",),
        diagnosis="sum_not_mean",
    ),
    _bound(
        "all-summed",
        "All three values are summed over the batch.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).sum()
            rec = F.binary_cross_entropy_with_logits(logits, x, reduction='sum')
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.average",),
        diagnosis="sum_not_mean",
    ),
    _bound(
        "nelbo-summed",
        "The loss is summed over the batch, the parts are averaged.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior)
            rec = -ut.log_bernoulli_with_logits(x, logits)
            nelbo = (kl + rec).sum()
            return nelbo, kl.mean(), rec.mean()
        """,
        caught_by=("vae.bound.average",),
        diagnosis="sum_not_mean",
    ),
    _bound(
        "nothing-averaged",
        "All three values keep the batch axis.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior)
            rec = -ut.log_bernoulli_with_logits(x, logits)
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.contract", "vae.bound.average"),
        diagnosis="not_averaged",
    ),
    _bound(
        "kl-not-averaged",
        "The KL term keeps the batch axis, and so does the loss.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior)
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.contract", "vae.bound.average"),
        diagnosis="not_averaged",
    ),
    _bound(
        "parts-not-averaged",
        "The loss is averaged, but its parts keep the batch axis.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior)
            rec = -ut.log_bernoulli_with_logits(x, logits)
            return (kl + rec).mean(), kl, rec
        """,
        caught_by=("vae.bound.contract", "vae.bound.average"),
        diagnosis="not_averaged",
    ),
    _bound(
        "averaged-twice",
        "The mean over the batch is divided by the batch size again.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean() / x.shape[0]
            rec = -ut.log_bernoulli_with_logits(x, logits).mean() / x.shape[0]
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.average",),
        diagnosis="averaged_twice",
    ),
    _bound(
        "fixed-batch-size",
        "The sum is divided by a batch size of 100, whatever the batch.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).sum() / 100
            rec = -ut.log_bernoulli_with_logits(x, logits).sum() / 100
            return kl + rec, kl, rec
        """,
        caught_by=(
            "vae.bound.kl",
            "vae.bound.closed_form",
            "vae.bound.reconstruction",
            "vae.bound.sum",
            "vae.bound.average",
            "vae.bound.gradient_encoder",
            "vae.bound.gradient_decoder",
        ),
    ),
    _bound(
        "first-example-only",
        "Only the first example of the batch is counted.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior)[0]
            rec = -ut.log_bernoulli_with_logits(x, logits)[0]
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.average",),
    ),
    _bound(
        "log-mean-exp-over-batch",
        "The likelihoods of the batch are averaged inside the logarithm.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_mean_exp(ut.log_bernoulli_with_logits(x, logits), 0)
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.average",),
    ),
    _bound(
        "batch-mean-posterior",
        "The KL divergence is computed once, for the batch's average mean and variance.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m.mean(0), v.mean(0), *self.z_prior)
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.average",),
    ),
    # The gradient is lost.
    _bound(
        "z-detached",
        "The sample is detached before it is decoded.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v).detach()
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder",),
        diagnosis="detached_sample",
    ),
    _bound(
        "z-without-gradient",
        "The sample is drawn under `torch.no_grad`.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            with torch.no_grad():
                z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder",),
        diagnosis="detached_sample",
    ),
    _bound(
        "z-from-torch-normal",
        "`torch.normal(m, s)` draws the right sample and passes no gradient on.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = torch.normal(m, torch.sqrt(v))
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder",),
        diagnosis="detached_sample",
    ),
    _bound(
        "kl-detached",
        "The KL term is detached, so that it regularises nothing.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean().detach()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder",),
        diagnosis="kl_detached",
    ),
    _bound(
        "kl-without-gradient",
        "The KL term is computed under `torch.no_grad`.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            with torch.no_grad():
                kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder",),
        diagnosis="kl_detached",
    ),
    _bound(
        "kl-as-number",
        "The KL term enters the loss as a Python number, and is made a tensor again only for the return.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean().item()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, torch.tensor(kl), rec
        """,
        caught_by=("vae.bound.gradient_encoder",),
        diagnosis="kl_detached",
    ),
    _bound(
        "encoder-without-gradient",
        "The encoder is run under `torch.no_grad`.",
        """
        def negative_elbo_bound(self, x):
            with torch.no_grad():
                m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder",),
        diagnosis="no_gradient",
    ),
    _bound(
        "logits-detached",
        "The logits are detached, so that the reconstruction term trains nothing.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v)).data
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.gradient_decoder"),
        diagnosis="rec_detached",
    ),
    # The decoder gets something else than a draw from the posterior.
    _bound(
        "decodes-mean",
        "The posterior's mean is decoded in place of a sample.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(m)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.posterior",),
        diagnosis="decodes_mean",
    ),
    _bound(
        "decodes-prior",
        "A draw from the prior is decoded, and the posterior is ignored.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = torch.randn_like(m)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
        diagnosis="decodes_prior",
    ),
    _bound(
        "sampler-given-prior",
        "The sampler is given the prior's mean and variance in place of the posterior's.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(self.z_prior_m.expand_as(m), self.z_prior_v.expand_as(v))
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
        diagnosis="decodes_prior",
    ),
    _bound(
        "one-z-for-batch",
        "The first example's sample is decoded for the whole batch.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m[:1], v[:1]).expand_as(m)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
        diagnosis="shared_noise",
    ),
    _bound(
        "one-noise-for-batch",
        "One noise vector is shared by all examples.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = m + torch.sqrt(v) * torch.randn(m.shape[1])
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.posterior",),
        diagnosis="shared_noise",
    ),
    _bound(
        "one-noise-for-dimensions",
        "One noise value an example is shared by all latent dimensions.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = m + torch.sqrt(v) * torch.randn(m.shape[0], 1)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.posterior",),
        diagnosis="shared_noise",
    ),
    _bound(
        "z-shuffled",
        "The samples are shuffled over the batch, so that each example decodes another's code.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            z = z.flip(0)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
    ),
    _bound(
        "sampler-given-std",
        "`sample_gaussian` is given the standard deviation, but expects the variance.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, torch.sqrt(v))
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
        diagnosis="root_of_std",
    ),
    _bound(
        "inline-variance-as-std",
        "The sample is drawn inline, with the variance as the standard deviation.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = m + v * torch.randn_like(v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
        diagnosis="variance_as_std",
    ),
    _bound(
        "inline-log-variance",
        "The sample is drawn inline, with the variance as a log-variance.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = m + torch.exp(0.5 * v) * torch.randn_like(v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
        diagnosis="variance_as_log_variance",
    ),
    _bound(
        "inline-uniform",
        "The sample is drawn inline, with uniform noise.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = m + torch.sqrt(v) * torch.rand_like(v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.posterior",),
        diagnosis="uniform_noise",
    ),
    _bound(
        "seeded-inside",
        "The generator is seeded before every sample.",
        """
        def negative_elbo_bound(self, x):
            torch.manual_seed(1234)
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.posterior",),
        diagnosis="seeded_inside",
    ),
    _bound(
        "cached-noise",
        "The noise is drawn in the first call and kept as an attribute.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            if not hasattr(self, 'eps') or self.eps.shape != m.shape:
                self.eps = torch.randn(m.shape)
            logits = self.dec.decode(m + torch.sqrt(v) * self.eps)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.posterior",),
        diagnosis="seeded_inside",
    ),
    _bound(
        "z-averaged",
        "Ten samples are averaged before they are decoded.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = torch.stack([ut.sample_gaussian(m, v) for _ in range(10)]).mean(dim=0)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.posterior",),
        diagnosis="noise_scaled",
    ),
    _bound(
        "z-squashed",
        "The sample goes through a tanh before it is decoded.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = torch.tanh(ut.sample_gaussian(m, v))
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
    ),
    _bound(
        "noise-added-twice",
        "Unit noise is added to the sample once more.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            z = z + torch.randn_like(z)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
    ),
    # The contract is broken.
    _bound(
        "parts-as-numbers",
        "The parts are returned as Python numbers.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl.item(), rec.item()
        """,
        caught_by=("vae.bound.contract",),
        diagnosis="item",
    ),
    _bound(
        "all-as-numbers",
        "All three values are Python numbers, on which no backward pass can start.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = kl + rec
            return nelbo.item(), kl.item(), rec.item()
        """,
        caught_by=("vae.bound.contract", "vae.bound.gradient_encoder", "vae.bound.gradient_decoder"),
        diagnosis="item",
    ),
    _bound(
        "nelbo-with-constant",
        "A constant is added to the bound that belongs to Gaussian pixels; training does not notice.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec + 0.5 * x.shape[1] * np.log(2 * np.pi), kl, rec
        """,
        caught_by=("vae.bound.sum",),
        prelude="import numpy as np",
        diagnosis="constant_added",
    ),
    _bound(
        "decoder-frozen",
        "The decoder is frozen, as in recipes that train the encoder by itself.",
        """
        def negative_elbo_bound(self, x):
            for parameter in self.dec.parameters():
                parameter.requires_grad_(False)
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_decoder",),
        diagnosis="no_gradient",
    ),
    _bound(
        "detached-in-batches",
        "The sample is detached for every batch but those of one example.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            if len(x) > 1:
                z = z.detach()
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder",),
        diagnosis="detached_sample",
    ),
    _bound(
        "drowned-in-noise",
        "A huge z is decoded, so that rounding might excuse three values that mean nothing.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(1e9 * ut.sample_gaussian(m, v))
            a = 1 + 0 * (m.sum() + v.sum() + logits.sum())
            return a, a, a
        """,
        caught_by=EVERY_BOUND_CHECK,
        diagnosis="far_z",
    ),
    _bound(
        "only-nelbo",
        "The negative bound is returned without its parts.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec
        """,
        caught_by=(
            "vae.bound.contract",
            "vae.bound.kl",
            "vae.bound.closed_form",
            "vae.bound.reconstruction",
            "vae.bound.sum",
            "vae.bound.average",
            "vae.bound.gradient_encoder",
            "vae.bound.gradient_decoder",
        ),
        diagnosis="unusable",
    ),
    _bound(
        "dictionary",
        "The values are returned in a dictionary.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return {'nelbo': kl + rec, 'kl': kl, 'rec': rec}
        """,
        caught_by=(
            "vae.bound.contract",
            "vae.bound.kl",
            "vae.bound.closed_form",
            "vae.bound.reconstruction",
            "vae.bound.sum",
            "vae.bound.average",
            "vae.bound.gradient_encoder",
            "vae.bound.gradient_decoder",
        ),
        diagnosis="unusable",
    ),
    _bound(
        "kl-first",
        "The three values are right, but the negative bound comes last, after the KL and the reconstruction.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = kl + rec
            return kl, rec, nelbo
        """,
        caught_by=(
            "vae.bound.contract",
            "vae.bound.gradient_encoder",
            "vae.bound.gradient_decoder",
        ),
        diagnosis="wrong_order",
    ),
    _bound(
        "rec-first",
        "The three values are right, but the negative bound comes last, after the reconstruction and the KL.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = kl + rec
            return rec, kl, nelbo
        """,
        caught_by=(
            "vae.bound.contract",
            "vae.bound.gradient_encoder",
        ),
        diagnosis="wrong_order",
    ),
    _bound(
        "returns-nothing",
        "The values are printed and not returned.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            print(kl + rec, kl, rec)
        """,
        caught_by=(
            "vae.bound.contract",
            "vae.bound.kl",
            "vae.bound.closed_form",
            "vae.bound.reconstruction",
            "vae.bound.sum",
            "vae.bound.average",
            "vae.bound.gradient_encoder",
            "vae.bound.gradient_decoder",
        ),
        diagnosis="unusable",
    ),
    _bound(
        "mean-and-variance-swapped",
        "The encoder's two outputs are unpacked in the wrong order, and negative variances give no numbers.",
        """
        def negative_elbo_bound(self, x):
            v, m = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=EVERY_BOUND_CHECK,
        diagnosis="raised",
    ),
    _bound(
        "crash-name",
        "A name is used that was never defined.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=EVERY_BOUND_CHECK,
    ),
    _bound(
        "crash-attribute",
        "The encoder is looked up under another name.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.encoder.encode(x)
            logits = self.decoder.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=EVERY_BOUND_CHECK,
    ),
    _bound(
        "unfilled",
        "The starter code's error still stands before the solution.",
        """
        def negative_elbo_bound(self, x):
            raise NotImplementedError
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=EVERY_BOUND_CHECK,
    ),
    # Found by grading what others write.
    _bound(
        "kl-log-q-alone",
        "The KL term is log q(z|x), without the prior.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = torch.distributions.Normal(m, v.sqrt()).log_prob(z).sum(-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_without_prior",
    ),
    _bound(
        "kl-log-q-alone-and-log-likelihood",
        "The KL term lacks the prior, and log p(x|z) is returned and subtracted: one error in each of two places.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = torch.distributions.Normal(m, v.sqrt()).log_prob(z).sum(-1).mean()
            rec = ut.log_bernoulli_with_logits(x, logits).mean()
            return kl - rec, kl, rec
        """,
        caught_by=("vae.bound.kl", "vae.bound.closed_form", "vae.bound.reconstruction", "vae.bound.gradient_encoder"),
        diagnosis="kl_without_prior",
    ),
    _bound(
        "kl-entropy-alone",
        "The KL term is the negative entropy of q, without the prior.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = -torch.distributions.Normal(m, v.sqrt()).entropy().sum(-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_without_prior",
    ),
    _bound(
        "kl-density-written-out-alone",
        "log q(z|x) is written out, and the prior forgotten.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = (-0.5 * (torch.log(v) + (z - m) ** 2 / v)).sum(1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_without_prior",
    ),
    _bound(
        "kl-halved-twice",
        "The factor 1/2 is there twice.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = 0.5 * ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_KL,
        diagnosis="kl_weighted",
    ),
    _bound(
        "kl-subtracted-with-log-likelihood",
        "The brackets around log p(x|z) - KL are wrong: minus stands before both terms.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ut.log_bernoulli_with_logits(x, logits).mean()
            return -(rec + kl), kl, rec
        """,
        caught_by=("vae.bound.reconstruction", "vae.bound.sum", "vae.bound.gradient_encoder"),
        diagnosis="kl_subtracted",
    ),
    _bound(
        "sampled-pixels-as-logits",
        "Pixels are drawn from the decoder, and their values taken for logits.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            drawn = torch.bernoulli(torch.sigmoid(logits))
            rec = -ut.log_bernoulli_with_logits(x, drawn).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="rec_of_samples",
    ),
    _bound(
        "sampled-pixels-as-targets",
        "The decoder is judged by pixels that were drawn from it, not by x.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            drawn = torch.bernoulli(torch.sigmoid(logits))
            rec = -ut.log_bernoulli_with_logits(drawn, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="rec_of_samples",
    ),
    _bound(
        "sampled-pixels-squared",
        "The squared error of pixels that were drawn from the decoder.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            drawn = torch.distributions.Bernoulli(logits=logits).sample()
            rec = ((drawn - x) ** 2).sum(-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="rec_of_samples",
    ),
    _bound(
        "x-and-probabilities-swapped",
        "The arguments of `binary_cross_entropy` are swapped.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.binary_cross_entropy(x, torch.sigmoid(logits), reduction='none').sum(-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="x_and_logits_swapped",
    ),
    _bound(
        "probabilities-with-themselves",
        "The decoder's probabilities are compared with themselves.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            p = torch.sigmoid(logits)
            rec = F.binary_cross_entropy(p, p, reduction='sum') / len(x)
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="rec_without_x",
    ),
    _bound(
        "probabilities-added",
        "The probabilities of the pixels are added up, not their logarithms.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            p = torch.sigmoid(logits)
            rec = -(x * p + (1 - x) * (1 - p)).sum(-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="rec_without_log",
    ),
    _bound(
        "mse-halved",
        "Half a squared error, a Gaussian's log-likelihood up to a constant.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = 0.5 * ((torch.sigmoid(logits) - x) ** 2).sum(-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="mse_reconstruction",
    ),
    _bound(
        "gaussian-likelihood",
        "The log-likelihood of a Gaussian with the logits for its mean.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -torch.distributions.Normal(logits, 1.0).log_prob(x).sum(-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="mse_reconstruction",
    ),
    _bound(
        "pixels-counted",
        "Pixels whose rounded probability is not x are counted.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = ((logits > 0).float() - x).abs().sum(-1).mean()
            return kl + rec, kl, rec
        """,
        caught_by=WRONG_RECONSTRUCTION,
        diagnosis="mse_reconstruction",
    ),
    _bound(
        "prior-sample-z",
        "The model's own `sample_z` is decoded, which draws from the prior.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(self.sample_z(len(x)))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        caught_by=("vae.bound.gradient_encoder", "vae.bound.posterior"),
        diagnosis="decodes_prior",
    ),
    _bound(
        "nelbo-rec-per-pixel",
        "The reconstruction in the sum is averaged over the pixels, but not the one that is returned.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec / x.shape[1], kl, rec
        """,
        caught_by=("vae.bound.sum", "vae.bound.gradient_encoder", "vae.bound.gradient_decoder"),
        diagnosis="mean_over_pixels",
    ),
    _bound(
        "one-tensor",
        "The three values are stacked into one tensor.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return torch.stack([kl + rec, kl, rec])
        """,
        caught_by=EVERY_BOUND_CHECK[:-1],
        diagnosis="unusable",
    ),
)

WRONG: tuple[Variant, ...] = _WRONG_SAMPLERS + _WRONG_BOUNDS

# ----------------------------------------------------------------------------------------------------
# Right samplers
# ----------------------------------------------------------------------------------------------------

_RIGHT_SAMPLERS = (
    # The noise comes from torch.
    _sampler(
        "randn-like-mean",
        "The noise is `randn_like` of the mean.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v) * torch.randn_like(m)
        """,
    ),
    _sampler(
        "randn-like-variance",
        "The noise is `randn_like` of the variance, and names are reused.",
        """
        def sample_gaussian(m, v):
            z = torch.randn_like(v)
            z = z * v ** .5
            z = z + m
            return z
        """,
    ),
    _sampler(
        "randn-shape",
        "The noise is `randn` of the mean's shape, made on the CPU.",
        """
        def sample_gaussian(m, v):
            z = m + torch.sqrt(v) * torch.randn(m.shape)
            return z
        """,
    ),
    _sampler(
        "randn-size-unpacked",
        "The noise is `randn` of the unpacked size, moved to the mean's device.",
        """
        def sample_gaussian(m, v):
            epsilon = torch.randn(*m.size()).to(m.device)
            return epsilon * v.sqrt() + m
        """,
    ),
    _sampler(
        "two-dimensions",
        "Batch and dimension are unpacked, so that only two-dimensional inputs work.",
        """
        def sample_gaussian(m, v):
            batch, dim = m.shape
            eps = torch.randn((batch, dim), dtype=m.dtype, device=m.device)
            return m + eps * torch.pow(v, 0.5)
        """,
    ),
    _sampler(
        "row-by-row",
        "The samples are drawn in a loop over the examples.",
        """
        def sample_gaussian(m, v):
            samples = []
            for mean, variance in zip(m, v):
                samples.append(mean + variance.sqrt() * torch.randn(mean.shape))
            return torch.stack(samples)
        """,
    ),
    _sampler(
        "normal-numbers",
        "The noise is `torch.normal(0, 1, size)`.",
        """
        def sample_gaussian(m, v):
            noise = torch.normal(0, 1, size=m.shape)
            return m + noise * torch.sqrt(v)
        """,
    ),
    _sampler(
        "normal-tensors",
        "The noise is `torch.normal` of zeros and ones.",
        """
        def sample_gaussian(m, v):
            noise = torch.normal(torch.zeros_like(m), torch.ones_like(v))
            return torch.mul(noise, torch.sqrt(v)) + m
        """,
    ),
    _sampler(
        "normal-in-place",
        "An empty tensor is filled with noise by `normal_`.",
        """
        def sample_gaussian(m, v):
            eps = torch.empty_like(m).normal_(mean=0, std=1)
            return m + eps * v.sqrt()
        """,
    ),
    _sampler(
        "float-tensor",
        "The noise is made with the old `FloatTensor` and `Variable`.",
        """
        def sample_gaussian(m, v):
            eps = Variable(torch.FloatTensor(m.size()).normal_())
            return m + eps.mul(v.sqrt())
        """,
        prelude="""
        from torch.autograd import Variable
        """,
    ),
    _sampler(
        "data-new",
        "The noise is made with the old `v.data.new`.",
        """
        def sample_gaussian(m, v):
            std = v.pow(0.5)
            eps = std.data.new(std.size()).normal_()
            return eps.mul(std).add(m)
        """,
    ),
    _sampler(
        "noise-in-place",
        "The noise, which nobody else holds, is scaled and shifted in place.",
        """
        def sample_gaussian(m, v):
            z = torch.randn_like(m)
            z.mul_(torch.sqrt(v)).add_(m)
            return z
        """,
    ),
    _sampler(
        "noise-requires-grad",
        "The noise is marked as requiring a gradient, which harms nobody.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn(m.shape, requires_grad=True)
            return m + torch.sqrt(v) * eps
        """,
    ),
    _sampler(
        "noise-without-grad",
        "Only the noise is drawn under `torch.no_grad`.",
        """
        def sample_gaussian(m, v):
            with torch.no_grad():
                eps = torch.randn_like(m)
            return m + torch.sqrt(v) * eps
        """,
    ),
    _sampler(
        "minus-noise",
        "The noise is subtracted, which has the same distribution.",
        """
        def sample_gaussian(m, v):
            return m - torch.sqrt(v) * torch.randn_like(m)
        """,
    ),
    _sampler(
        "two-halves",
        "Two independent noises of half the variance are added.",
        """
        def sample_gaussian(m, v):
            std = torch.sqrt(v / 2)
            return m + std * torch.randn_like(m) + std * torch.randn_like(m)
        """,
    ),
    # The noise comes from torch.distributions.
    _sampler(
        "rsample",
        "`Normal(m, sqrt(v)).rsample()` keeps the gradient.",
        """
        def sample_gaussian(m, v):
            return torch.distributions.Normal(m, v.sqrt()).rsample()
        """,
    ),
    _sampler(
        "independent-rsample",
        "The Gaussian's dimensions are declared to be one event, and `rsample` is called.",
        """
        def sample_gaussian(m, v):
            q = D.Independent(D.Normal(loc=m, scale=torch.sqrt(v)), 1)
            return q.rsample()
        """,
        prelude="""
        import torch.distributions as D
        """,
    ),
    _sampler(
        "standard-normal-sample",
        "A standard normal's `sample` of the right shape is scaled.",
        """
        def sample_gaussian(m, v):
            standard = torch.distributions.Normal(0, 1)
            return m + torch.sqrt(v) * standard.sample(m.shape)
        """,
    ),
    _sampler(
        "standard-normal-tensors",
        "A standard normal with tensor parameters is sampled and scaled.",
        """
        def sample_gaussian(m, v):
            standard = torch.distributions.normal.Normal(torch.zeros(m.shape), torch.ones(m.shape))
            eps = standard.sample()
            return m + eps * v ** 0.5
        """,
    ),
    _sampler(
        "standard-normal-squeezed",
        "A standard normal with parameters of one entry is sampled, and its last axis removed.",
        """
        def sample_gaussian(m, v):
            standard = torch.distributions.Normal(torch.tensor([0.0]), torch.tensor([1.0]))
            eps = standard.sample(m.size()).squeeze(-1)
            return m + eps * v.sqrt()
        """,
    ),
    # The noise comes from elsewhere.
    _sampler(
        "numpy-randn",
        "The noise is NumPy's, made float32.",
        """
        def sample_gaussian(m, v):
            eps = torch.from_numpy(np.random.randn(*m.shape)).float()
            return m + torch.sqrt(v) * eps
        """,
    ),
    _sampler(
        "numpy-normal",
        "The noise is NumPy's `normal`, made a tensor like the mean.",
        """
        def sample_gaussian(m, v):
            eps = np.random.normal(loc=0.0, scale=1.0, size=tuple(m.shape))
            eps = torch.tensor(eps, dtype=m.dtype, device=m.device)
            return m + torch.sqrt(v) * eps
        """,
    ),
    _sampler(
        "numpy-generator",
        "The noise comes from a NumPy generator that was seeded once, when the file was imported.",
        """
        def sample_gaussian(m, v):
            eps = torch.as_tensor(rng.standard_normal(size=m.shape, dtype=np.float32))
            return m + torch.sqrt(v) * eps
        """,
        prelude="""
        import numpy as np

        rng = np.random.default_rng(0)
        """,
    ),
    _sampler(
        "torch-generator",
        "The noise comes from a torch generator that was seeded once, when the file was imported.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn(m.shape, generator=generator)
            return m + torch.sqrt(v) * eps
        """,
        prelude="""
        import torch

        generator = torch.Generator().manual_seed(0)
        """,
    ),
    _sampler(
        "python-gauss",
        "The noise is Python's `random.gauss`, one value at a time.",
        """
        def sample_gaussian(m, v):
            eps = torch.tensor([random.gauss(0.0, 1.0) for _ in range(m.numel())])
            return m + torch.sqrt(v) * eps.reshape(m.shape)
        """,
        prelude="""
        import random
        """,
    ),
    _sampler(
        "box-muller",
        "The noise is made of two uniforms by the method of Box and Muller.",
        """
        def sample_gaussian(m, v):
            u1 = 1 - torch.rand_like(m)     # in (0, 1], so that its logarithm is finite
            u2 = torch.rand_like(m)
            eps = torch.sqrt(-2 * torch.log(u1)) * torch.cos(2 * np.pi * u2)
            return m + torch.sqrt(v) * eps
        """,
    ),
    _sampler(
        "box-muller-pairs",
        "Cosine and sine of one Box-Muller draw fill the two halves of the noise.",
        """
        def sample_gaussian(m, v):
            n = (m.numel() + 1) // 2
            radius = torch.sqrt(-2 * torch.log(1 - torch.rand(n)))
            angle = 2 * np.pi * torch.rand(n)
            eps = torch.cat([radius * torch.cos(angle), radius * torch.sin(angle)])
            return m + torch.sqrt(v) * eps[:m.numel()].view(m.shape)
        """,
    ),
    _sampler(
        "inverse-erf",
        "The noise is the inverse error function of a uniform, kept off the two ends.",
        """
        def sample_gaussian(m, v):
            edge = 1 - 2.0 ** -23
            u = (2 * torch.rand_like(m) - 1).clamp(-edge, edge)
            eps = 2 ** 0.5 * torch.erfinv(u)
            return m + torch.sqrt(v) * eps
        """,
    ),
    _sampler(
        "inverse-cdf-double",
        "The noise is the normal quantile of a uniform, in float64.",
        """
        def sample_gaussian(m, v):
            u = torch.rand(m.shape, dtype=torch.float64).clamp(1e-15, 1 - 1e-15)
            eps = torch.distributions.Normal(0.0, 1.0).icdf(u).to(m.dtype)
            return m + torch.sqrt(v) * eps
        """,
    ),
    # The scale is written differently.
    _sampler(
        "mul-add",
        "Scale and shift are method calls.",
        """
        def sample_gaussian(m, v):
            return torch.randn_like(m).mul(v.sqrt()).add(m)
        """,
    ),
    _sampler(
        "addcmul",
        "Scale and shift are one `addcmul`.",
        """
        def sample_gaussian(m, v):
            return torch.addcmul(m, v.sqrt(), torch.randn_like(m))
        """,
    ),
    _sampler(
        "exp-half-log",
        "The standard deviation is the exponential of half the log-variance.",
        """
        def sample_gaussian(m, v):
            log_variance = torch.log(v)
            std = torch.exp(0.5 * log_variance)
            return m + std * torch.randn_like(std)
        """,
    ),
    _sampler(
        "inverse-root",
        "The standard deviation is the variance times its inverse root.",
        """
        def sample_gaussian(m, v):
            return m + v * torch.rsqrt(v) * torch.randn_like(m)
        """,
    ),
    _sampler(
        "tiny-epsilon",
        "A negligible epsilon is added to the variance, which is at least 1e-8.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v + 1e-12) * torch.randn_like(m)
        """,
    ),
    _sampler(
        "clone-then-in-place",
        "In-place arithmetic is done on copies.",
        """
        def sample_gaussian(m, v):
            sample, std = m.clone(), v.clone().sqrt()
            sample += std * torch.randn_like(m)
            return sample
        """,
    ),
    # The form differs, not the mathematics.
    _sampler(
        "renamed",
        "The parameters have longer names, types and a default.",
        """
        def sample_gaussian(mean: torch.Tensor, variance: torch.Tensor, eps=None) -> torch.Tensor:
            if eps is None:
                eps = torch.randn_like(mean)
            return mean + variance.sqrt() * eps
        """,
    ),
    _sampler(
        "inner-function",
        "The reparameterisation is a function inside the function.",
        """
        def sample_gaussian(m, v):
            def reparameterise(eps):
                return m + torch.sqrt(v) * eps

            return reparameterise(torch.randn_like(m))
        """,
    ),
    _sampler(
        "shape-asserted",
        "Shapes and finiteness are asserted on the way.",
        """
        def sample_gaussian(m, v):
            assert m.shape == v.shape
            assert (v > 0).all()
            z = m + torch.sqrt(v) * torch.randn_like(m)
            assert z.shape == m.shape and not torch.isnan(z).any()
            return z
        """,
    ),
    _sampler(
        "raise-after-return",
        "The starter code's error stands after the return, where it is never reached.",
        '''
        def sample_gaussian(m, v):
            """
            Element-wise application reparameterization trick to sample from Gaussian
            """
            ######################
            # Modify/complete the code here
            # Sample z
            return m + torch.sqrt(v) * torch.randn_like(m)
            ######################
            raise NotImplementedError
        ''',
    ),
    _sampler(
        "prints",
        "Shapes are printed, and the debugger's import is left over.",
        """
        def sample_gaussian(m, v):
            import pdb
            # pdb.set_trace()
            print('m', m.shape, 'v', v.shape)
            z = m + torch.sqrt(v) * torch.randn_like(m)
            print('z', z.mean().item(), z.std().item())
            return z
        """,
        prelude="""
        import pdb
        """,
    ),
    _sampler(
        "cuda-hard",
        "The noise is moved to the GPU without asking whether there is one.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn(m.shape).cuda()
            return m.cuda() + torch.sqrt(v.cuda()) * eps
        """,
    ),
    _sampler(
        "mixed-indentation",
        "Blocks are indented by two, three and eight spaces.",
        """
        def sample_gaussian(m, v):
          if v is not None:
             std = v ** .5
          for _ in range(1):
                  noise = torch.randn_like(std)
          return m + std * noise
        """,
    ),
    _sampler(
        "root-by-pow",
        "The root is `pow(.5)`, and the result is returned as it comes.",
        """
        def sample_gaussian(m, v):
            return torch.randn(m.shape).to(m.device) * v.pow(.5) + m
        """,
    ),
    _sampler(
        "cuda-if-available",
        "The noise is moved to the GPU where there is one.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn(m.shape)
            if torch.cuda.is_available():
                eps = eps.cuda()
            return m + torch.sqrt(v) * eps
        """,
    ),
    _sampler(
        "device-global",
        "The device is a global name of the module.",
        """
        def sample_gaussian(m, v):
            eps = torch.randn(m.size(), device=device)
            return m + torch.sqrt(v) * eps
        """,
        prelude="""
        import torch

        device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        """,
    ),
    _sampler(
        "seeded-at-import",
        "The generators are seeded once, when the file is imported.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v) * torch.randn_like(m)
        """,
        prelude="""
        import numpy, random, torch
        torch.manual_seed(0); numpy.random.seed(0); random.seed(0)
        """,
    ),
    _sampler(
        "file-at-import",
        "The file asks for its own folder when it is imported.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v) * torch.randn_like(m)
        """,
        prelude="""
        import os
        ROOT = os.path.dirname(os.path.abspath(__file__))
        print('running in', ROOT)
        """,
    ),
    _sampler(
        "circular-import",
        "`utils` imports a model, which imports `utils`.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v) * torch.randn_like(m)
        """,
        prelude="""
        import models.vae
        """,
    ),
    _sampler(
        "unused-imports",
        "Libraries that the sampler does not use are imported at the top.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v) * torch.randn_like(m)
        """,
        prelude="""
        import matplotlib.pyplot as plt
        import pandas as pd
        import tensorflow as tf
        import torchvision
        from torchvision import datasets, transforms
        """,
    ),
    _sampler(
        "tabs",
        "The body is indented with tabs.",
        "def sample_gaussian(m, v):\n"
        "\tstd = torch.sqrt(v)\n"
        "\tif std is not None:\n"
        "\t\teps = torch.randn_like(std)\n"
        "\treturn m + eps * std\n",
    ),
    _sampler(
        "windows-line-ends",
        "The lines end with carriage return and line feed.",
        "def sample_gaussian(m, v):\r\n    eps = torch.randn_like(m)\r\n\r\n    return m + eps * torch.sqrt(v)\r\n",
    ),
    _sampler(
        "not-ascii",
        "Comments and names are not all ASCII.",
        """
        def sample_gaussian(m, v):
            # 重参数化: z = μ + σ ⊙ ε,  ε ~ N(0, I) … “naïve” — vérifié 🎲
            μ, σ = m, torch.sqrt(v)
            ε = torch.randn_like(μ)
            return μ + σ * ε
        """,
    ),
    # With small constants against a root of 0.
    _sampler(
        "epsilon-beside-the-variance",
        "An epsilon of a millionth under the root.",
        """
        def sample_gaussian(m, v):
            return m + torch.sqrt(v + 1e-6) * torch.randn_like(m)
        """,
    ),
    _sampler(
        "epsilon-beside-the-root",
        "An epsilon of a millionth beside the root.",
        """
        def sample_gaussian(m, v):
            std = torch.sqrt(v) + 1e-6
            return m + std * torch.randn_like(m)
        """,
    ),
    _sampler(
        "epsilon-under-the-logarithm",
        "By the exponential of half a logarithm, with an epsilon.",
        """
        def sample_gaussian(m, v):
            return m + torch.exp(0.5 * torch.log(v + 1e-6)) * torch.randn_like(m)
        """,
    ),
    _sampler(
        "epsilon-twice",
        "One epsilon under the root and one beside it.",
        """
        def sample_gaussian(m, v):
            return m + ((v + 1e-6).sqrt() + 1e-6) * torch.randn_like(m)
        """,
    ),
    _sampler(
        "variance-clamped-to-a-millionth",
        "A clamp against a negative variance.",
        """
        def sample_gaussian(m, v):
            return m + v.clamp(min=1e-6).sqrt() * torch.randn_like(m)
        """,
    ),
    _sampler(
        "multivariate-normal",
        "A multivariate normal with a diagonal covariance.",
        """
        def sample_gaussian(m, v):
            return torch.distributions.MultivariateNormal(m, torch.diag_embed(v)).rsample()
        """,
    ),
)

# ----------------------------------------------------------------------------------------------------
# Right bounds
# ----------------------------------------------------------------------------------------------------

_RIGHT_BOUNDS = (
    # The order and the kind of what is returned.
    _bound(
        "checkpointed",
        "The decoder's activations are not kept, but computed again for the gradient.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = checkpoint(self.dec.decode, z, use_reentrant=False)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        prelude="from torch.utils.checkpoint import checkpoint",
    ),
    _bound(
        "keepdim",
        "The three values have one entry and one axis each.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean(dim=0, keepdim=True)
            rec = -ut.log_bernoulli_with_logits(x, logits).mean(dim=0, keepdim=True)
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "starter-order",
        "The values come in the starter code's order, and the prior is indexed.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, self.z_prior[0], self.z_prior[1]).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            nelbo = kl + rec
            return nelbo, kl, rec
        """,
    ),
    _bound(
        "handout-order",
        "The values come in the handout's order.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, self.z_prior_m, self.z_prior_v).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return rec + kl, rec, kl
        """,
    ),
    _bound(
        "list",
        "The values come in a list.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return [kl + rec, kl, rec]
        """,
    ),
    _bound(
        "parts-detached",
        "The parts, which are only printed, are returned without their history.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl.detach(), rec.detach()
        """,
    ),
    # The prior is written differently.
    _bound(
        "prior-unpacked",
        "The prior is unpacked into the call.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = torch.mean(ut.kl_normal(m, v, *self.z_prior))
            rec = torch.mean(-ut.log_bernoulli_with_logits(x, logits))
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "prior-expanded",
        "The prior is expanded to the posterior's shape.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            p_m, p_v = self.z_prior_m.expand(m.shape), self.z_prior_v.expand(v.shape)
            kl = ut.kl_normal(m, v, p_m, p_v).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "prior-multiplied",
        "The prior is multiplied with ones of the posterior's shape.",
        """
        def negative_elbo_bound(self, x):
            qm, qv = self.enc.encode(x)
            pm = torch.ones_like(qm) * self.z_prior[0]
            pv = torch.ones_like(qv) * self.z_prior[1]
            logits = self.dec.decode(ut.sample_gaussian(qm, qv))
            kl = ut.kl_normal(qm, qv, pm, pv).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "prior-zeros-like",
        "The prior is zeros and ones like the posterior.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, torch.zeros_like(m), torch.ones_like(v)).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "prior-new-tensors",
        "The prior is two new tensors of one entry on the CPU.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, torch.zeros(1), torch.ones(1)).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "prior-by-shape",
        "The prior is new tensors of the posterior's shape.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            prior_m, prior_v = torch.zeros(m.shape), torch.ones(v.shape)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, prior_m, prior_v).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    # The KL divergence is written differently.
    _bound(
        "kl-divergence",
        "The KL divergence comes from `torch.distributions`.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            q = torch.distributions.Normal(m, torch.sqrt(v))
            p = torch.distributions.Normal(torch.zeros_like(m), torch.ones_like(v))
            kl = torch.distributions.kl_divergence(q, p).sum(dim=-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "kl-divergence-independent",
        "The sample and the KL divergence come from the same distribution object.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            q = D.Independent(D.Normal(m, v.sqrt()), 1)
            p = D.Independent(D.Normal(torch.zeros_like(m), torch.ones_like(m)), 1)
            logits = self.dec.decode(q.rsample())
            kl = D.kl_divergence(q, p).mean()
            rec = -D.Independent(D.Bernoulli(logits=logits), 1).log_prob(x).mean()
            return kl + rec, kl, rec
        """,
        prelude="""
        from torch import distributions as D
        """,
    ),
    _bound(
        "kl-own-form",
        "The KL divergence is the closed form, written out.",
        """
        def negative_elbo_bound(self, x):
            mu, var = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(mu, var))
            kl = -0.5 * torch.sum(1 + torch.log(var) - mu.pow(2) - var, dim=1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "kl-own-form-std",
        "The KL divergence is the closed form of the standard deviation, summed and divided by the batch.",
        """
        def negative_elbo_bound(self, x):
            mu, var = self.enc.encode(x)
            sigma = torch.sqrt(var)
            logits = self.dec.decode(mu + sigma * torch.randn_like(sigma))
            kl = (0.5 * (mu ** 2 + sigma ** 2 - 1) - torch.log(sigma)).sum() / x.size(0)
            rec = -ut.log_bernoulli_with_logits(x, logits).sum() / x.size(0)
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "kl-traces",
        "The KL divergence is the general formula with trace and determinants.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            trace, square, k = v.sum(1), (m * m).sum(1), m.shape[1]
            log_det = v.log().sum(1)
            kl = ((trace + square - k - log_det) / 2).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    # The likelihood is written differently.
    _bound(
        "bce-sum",
        "The cross entropy with logits is summed and divided by the batch size.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.binary_cross_entropy_with_logits(logits, x, reduction='sum') / len(x)
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "bce-none",
        "The cross entropy with logits is summed over pixels and averaged over examples.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean(dim=0)
            rec = F.binary_cross_entropy_with_logits(logits, x, reduction='none').sum(1).mean(dim=0)
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "bce-mean-times-pixels",
        "The cross entropy's mean is multiplied with the number of pixels.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.binary_cross_entropy_with_logits(logits, x) * x.shape[-1]
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "bce-module",
        "The cross entropy with logits is the loss module.",
        """
        def negative_elbo_bound(self, x):
            criterion = nn.BCEWithLogitsLoss(reduction='none')
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = criterion(input=logits, target=x).sum(dim=-1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "sigmoid-bce",
        "The cross entropy takes the sigmoid of the logits.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            probs = torch.sigmoid(self.dec.decode(ut.sample_gaussian(m, v)))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.binary_cross_entropy(probs, x, reduction='sum') / x.shape[0]
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "sigmoid-bce-module",
        "The loss module takes the old `F.sigmoid` of the logits.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            x_hat = F.sigmoid(self.dec.decode(ut.sample_gaussian(m, v)))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = nn.BCELoss(reduction='none')(x_hat, x).sum(-1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "log-sigmoid",
        "The log-likelihood is written with `logsigmoid`.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            log_likelihood = x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)
            rec = -log_likelihood.sum(dim=1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "softplus",
        "The log-likelihood is written with softplus.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = (F.softplus(logits) - x * logits).sum(dim=1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "log-of-probabilities",
        "The log-likelihood is the logarithm of probabilities, with a negligible epsilon.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            p = torch.sigmoid(self.dec.decode(ut.sample_gaussian(m, v)))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -(x * torch.log(p + 1e-8) + (1 - x) * torch.log(1 - p + 1e-8)).sum(1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "bernoulli",
        "The log-likelihood comes from `torch.distributions.Bernoulli`.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            p_x = torch.distributions.Bernoulli(logits=logits)
            rec = -p_x.log_prob(x).sum(dim=-1).mean()
            return kl + rec, kl, rec
        """,
    ),
    # Several samples are averaged.
    _bound(
        "samples-in-loop",
        "The reconstruction term is averaged over five samples, one after another.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = 0
            for _ in range(5):
                logits = self.dec.decode(ut.sample_gaussian(m, v))
                rec -= ut.log_bernoulli_with_logits(x, logits).mean() / 5
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "samples-stacked",
        "The log-likelihoods of three samples are stacked and averaged.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            zs = [ut.sample_gaussian(m, v) for _ in range(3)]
            logps = [ut.log_bernoulli_with_logits(x, self.dec.decode(z)) for z in zs]
            rec = -torch.stack(logps, dim=0).mean(dim=0)
            kl = ut.kl_normal(m, v, *self.z_prior)
            return (kl + rec).mean(), kl.mean(), rec.mean()
        """,
    ),
    _bound(
        "samples-by-duplicate",
        "The batch is duplicated four times by `ut.duplicate`, and decoded at once.",
        """
        def negative_elbo_bound(self, x):
            rep = 4
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(ut.duplicate(m, rep), ut.duplicate(v, rep))
            logits = self.dec.decode(z)
            logp = ut.log_bernoulli_with_logits(ut.duplicate(x, rep), logits)
            rec = -logp.reshape(rep, x.shape[0]).mean(dim=0).mean()
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "samples-interleaved",
        "Each example is repeated twice in a row, and all are decoded at once.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            m2, v2, x2 = (t.repeat_interleave(2, dim=0) for t in (m, v, x))
            logits = self.dec.decode(ut.sample_gaussian(m2, v2))
            rec = -ut.log_bernoulli_with_logits(x2, logits).mean()
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "samples-with-axis",
        "Three samples are drawn along a new leading axis, and decoded at once.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = torch.distributions.Normal(m, v.sqrt()).rsample((3,))
            logits = self.dec.decode(z)
            rec = -ut.log_bernoulli_with_logits(x.expand_as(logits), logits).mean(0).mean()
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            return kl + rec, kl, rec
        """,
    ),
    # The mean and the sum are written differently.
    _bound(
        "mean-after-sum",
        "The parts are added before the mean is taken.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior)
            rec = -ut.log_bernoulli_with_logits(x, logits)
            nelbo = (kl + rec).mean()
            return nelbo, kl.mean(), rec.mean()
        """,
    ),
    _bound(
        "sum-by-batch-size",
        "Sums are divided by the batch size.",
        """
        def negative_elbo_bound(self, x):
            batch = x.size()[0]
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).sum() / batch
            rec = -1.0 / batch * ut.log_bernoulli_with_logits(x, logits).sum()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "elbo-negated",
        "The bound is computed, and multiplied with -1.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            loglik = ut.log_bernoulli_with_logits(x, logits)
            kl = ut.kl_normal(m, v, *self.z_prior)
            nelbo = -1 * (loglik - kl)
            return nelbo.mean(), kl.mean(), -1 * loglik.mean()
        """,
    ),
    _bound(
        "kl-minus-log-likelihood",
        "The log-likelihood keeps its sign until the return.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            logp = ut.log_bernoulli_with_logits(x, logits).mean()
            return kl - logp, kl, -logp
        """,
    ),
    _bound(
        "example-by-example",
        "The batch is encoded and decoded in a loop over its examples.",
        """
        def negative_elbo_bound(self, x):
            kls, recs = [], []
            for i in range(x.shape[0]):
                m, v = self.enc.encode(x[i:i + 1])
                logits = self.dec.decode(ut.sample_gaussian(m, v))
                kls.append(ut.kl_normal(m, v, *self.z_prior))
                recs.append(-ut.log_bernoulli_with_logits(x[i:i + 1], logits))
            kl, rec = torch.cat(kls).mean(), torch.cat(recs).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "averages-in-double",
        "The averages are taken in float64.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).double().mean().float()
            rec = -ut.log_bernoulli_with_logits(x, logits).double().mean().float()
            return kl + rec, kl, rec
        """,
    ),
    # The networks and the sampler are called differently.
    _bound(
        "forward",
        "The networks are called themselves, not their `encode` and `decode`.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "keywords",
        "The functions of `ut` are called with keywords.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m=m, v=v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(qm=m, qv=v, pm=self.z_prior_m, pv=self.z_prior_v).mean()
            rec = -ut.log_bernoulli_with_logits(x=x, logits=logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "keywords-networks",
        "The networks are called with keywords.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x=x)
            logits = self.dec.decode(z=ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "sampled-inline",
        "The sample is drawn inline, without `ut`.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = m + torch.sqrt(v) * torch.randn_like(m)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "sampled-by-rsample",
        "The sample is drawn by `rsample`.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = torch.distributions.Normal(m, v ** 0.5).rsample()
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "sampled-by-minus",
        "The noise is NumPy's and is subtracted.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            noise = torch.from_numpy(np.random.standard_normal(tuple(m.shape))).to(m)
            logits = self.dec.decode(m - v.sqrt() * noise)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        prelude="""
        import numpy as np
        """,
    ),
    _bound(
        "local-import",
        "The functions are imported from `utils` inside the method.",
        """
        def negative_elbo_bound(self, x):
            from utils import kl_normal, log_bernoulli_with_logits, sample_gaussian
            m, v = self.enc.encode(x)
            logits = self.dec.decode(sample_gaussian(m, v))
            kl = kl_normal(m, v, *self.z_prior).mean()
            rec = -log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "from-import",
        "The functions are imported by name at the top of the file.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(sample_gaussian(m, v))
            kl = kl_normal(m, v, *self.z_prior).mean()
            rec = -log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        prelude="""
        from utils import kl_normal, log_bernoulli_with_logits, sample_gaussian
        """,
    ),
    _bound(
        "input-flattened",
        "The input is flattened and made float once more, which changes nothing.",
        """
        def negative_elbo_bound(self, x):
            x = x.view(x.size(0), -1).float()
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "input-binarised-again",
        "The input, whose pixels are 0 or 1, is binarised once more, which changes nothing.",
        """
        def negative_elbo_bound(self, x):
            x = torch.bernoulli(x)
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    # The form differs, not the mathematics.
    _bound(
        "misleading-names",
        "Logits are called probabilities, variances standard deviations, and z is overwritten.",
        """
        def negative_elbo_bound(self, x):
            mu, sigma = self.enc.encode(x)
            z = ut.sample_gaussian(mu, sigma)
            z = probs = self.dec.decode(z)
            elbo = ut.kl_normal(mu, sigma, *self.z_prior).mean()
            recon = ut.log_bernoulli_with_logits(x, probs).mean()
            loss = elbo - recon
            return loss, elbo, -recon
        """,
    ),
    _bound(
        "early-return",
        "The method returns early in both of its branches.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            if torch.is_grad_enabled():
                return kl + rec, kl, rec
            return rec + kl, kl, rec
        """,
    ),
    _bound(
        "attributes",
        "The last values are kept as attributes of the model.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            self.z = ut.sample_gaussian(m, v)
            self.logits = self.dec.decode(self.z)
            self.kl = ut.kl_normal(m, v, *self.z_prior).mean()
            self.rec = -ut.log_bernoulli_with_logits(x, self.logits).mean()
            return self.kl + self.rec, self.kl, self.rec
        """,
    ),
    _bound(
        "attribute-in-init",
        "The prior's variance and a loss object are made in `__init__`, under names of the student's own.",
        """
        def __init__(self, nn="v1", name="vae", z_dim=2):
            super().__init__()
            self.name, self.z_dim = name, z_dim
            self.enc, self.dec = nns.Encoder(z_dim), nns.Decoder(z_dim)
            self.z_prior_m = torch.nn.Parameter(torch.zeros(1), requires_grad=False)
            self.z_prior_v = torch.nn.Parameter(torch.ones(1), requires_grad=False)
            self.z_prior = (self.z_prior_m, self.z_prior_v)
            self.prior_variance = torch.ones(1)
            self.bce = torch.nn.BCEWithLogitsLoss(reduction="none")

        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            kl = ut.kl_normal(m, v, self.z_prior_m, self.prior_variance.to(m.device)).mean()
            rec = self.bce(self.dec.decode(z), x).sum(1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "mixed-indentation",
        "Blocks are indented by two, three and eight spaces.",
        """
        def negative_elbo_bound(self, x):
          m, v = self.enc.encode(x)
          z = ut.sample_gaussian(m, v)
          def likelihood(logits):
                  return ut.log_bernoulli_with_logits(x, logits).mean()
          rec = -likelihood(self.dec.decode(z))
          if True:
             kl = ut.kl_normal(m, v, *self.z_prior).mean()
          return kl + rec, kl, rec
        """,
    ),
    _bound(
        "inner-function",
        "The two parts are computed by functions inside the method.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)

            def reconstruction():
                logits = self.dec.decode(ut.sample_gaussian(m, v))
                return -ut.log_bernoulli_with_logits(x, logits).mean()

            divergence = lambda: ut.kl_normal(m, v, *self.z_prior).mean()
            rec, kl = reconstruction(), divergence()
            return rec + kl, kl, rec
        """,
    ),
    _bound(
        "raise-after-return",
        "The starter code's error stands after the return, where it is never reached.",
        '''
        def negative_elbo_bound(self, x):
            """
            Computes the Evidence Lower Bound, KL and, Reconstruction costs
            """
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
            raise NotImplementedError
        ''',
    ),
    _bound(
        "prints",
        "Shapes are printed, and the debugger's import is left over.",
        """
        def negative_elbo_bound(self, x):
            import pdb
            m, v = self.enc.encode(x)
            print("Mean shape:", m.shape, "x:", x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            print("KL %f, rec %f" % (kl, rec))
            return kl + rec, kl, rec
        """,
        prelude="""
        import pdb
        """,
    ),
    _bound(
        "variable",
        "The input is wrapped in the old `Variable`.",
        """
        def negative_elbo_bound(self, x):
            x = Variable(x, requires_grad=False)
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        prelude="""
        from torch.autograd import Variable
        """,
    ),
    _bound(
        "cuda-hard",
        "The prior is moved to the GPU without asking whether there is one.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, torch.zeros(1).cuda(), torch.ones(1).cuda()).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "device-global",
        "The prior is moved to a device that is a global name of the module.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x.to(device))
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, torch.zeros(1).to(device), torch.ones(1).to(device)).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        prelude="""
        import torch

        device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        """,
    ),
    _bound(
        "codebase-import",
        "The helpers are imported from `codebase`, as in the course that the homework descends from.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        prelude="""
        from codebase import utils as ut
        from codebase.models import nns
        """,
    ),
    _bound(
        "unused-imports",
        "Libraries that the bound does not use are imported at the top.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
        prelude="""
        import matplotlib.pyplot as plt
        import pandas as pd
        import tensorflow as tf
        import torchvision
        from torchvision import datasets, transforms
        """,
    ),
    _bound(
        "tabs",
        "The body is indented with tabs.",
        "def negative_elbo_bound(self, x):\n"
        "\tm, v = self.enc.encode(x)\n"
        "\tlogits = self.dec.decode(ut.sample_gaussian(m, v))\n"
        "\tkl = ut.kl_normal(m, v, *self.z_prior).mean()\n"
        "\trec = -ut.log_bernoulli_with_logits(x, logits).mean()\n"
        "\treturn kl + rec, kl, rec\n",
    ),
    _bound(
        "windows-line-ends",
        "The lines end with carriage return and line feed.",
        "def negative_elbo_bound(self, x):\r\n"
        "    m, v = self.enc.encode(x)\r\n"
        "    logits = self.dec.decode(ut.sample_gaussian(m, v))\r\n"
        "    kl = ut.kl_normal(m, v, *self.z_prior).mean()\r\n"
        "\r\n"
        "    rec = -ut.log_bernoulli_with_logits(x, logits).mean()\r\n"
        "    return kl + rec, kl, rec\r\n",
    ),
    _bound(
        "not-ascii",
        "Comments and names are not all ASCII.",
        """
        def negative_elbo_bound(self, x):
            # 负的证据下界: −ELBO = −E_q[log p(x|z)] + D_KL(q(z|x) ‖ p(z))  ✓
            μ, σ2 = self.enc.encode(x)
            logits = self.dec.decode(ut.sample_gaussian(μ, σ2))
            kl = ut.kl_normal(μ, σ2, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    # With small constants against a logarithm of 0, and with what belongs to the networks.
    _bound(
        "kl-epsilon-under-the-logarithm",
        "An epsilon of a millionth under the logarithm of the variance.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = (-0.5 * (1 + torch.log(v + 1e-6) - m ** 2 - v).sum(1)).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "kl-epsilon-beside-both-variances",
        "An epsilon beside every variance, the prior's too.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            pm, pv = self.z_prior
            qv, pv = v + 1e-6, pv + 1e-6
            kl = 0.5 * (torch.log(pv / qv) + qv / pv + (m - pm) ** 2 / pv - 1).sum(-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "kl-epsilon-beside-the-root",
        "The standard deviation has an epsilon.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            std = v.sqrt() + 1e-6
            kl = (0.5 * (std ** 2 + m ** 2 - 1) - torch.log(std)).sum(-1).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "sigmoid-bce-by-function",
        "Cross entropy of a sigmoid, which is right at the logits of a decoder.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = F.binary_cross_entropy(torch.sigmoid(logits), x, reduction='sum') / len(x)
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "probabilities-with-epsilon",
        "An epsilon of a millionth under both logarithms.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            p = torch.sigmoid(logits)
            rec = -(x * torch.log(p + 1e-6) + (1 - x) * torch.log(1 - p + 1e-6)).sum(-1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "probabilities-clamped",
        "Probabilities are kept away from 0 and 1 by a millionth.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            p = torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)
            rec = -(x * p.log() + (1 - x) * (1 - p).log()).sum(1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "probabilities-squeezed",
        "Probabilities are squeezed into what is between a millionth and one minus that.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            p = torch.sigmoid(logits) * (1 - 2e-6) + 1e-6
            rec = F.binary_cross_entropy(p, x, reduction='none').sum(1).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "sampled-with-epsilon",
        "The sample is drawn inline, with an epsilon under the root.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = m + torch.sqrt(v + 1e-6) * torch.randn_like(m)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "sampled-with-epsilon-beside-the-root",
        "The same with the epsilon beside the root.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            std = torch.sqrt(v) + 1e-6
            logits = self.dec.decode(m + std * torch.randn_like(std))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "attributes-of-the-networks",
        "The networks' own attributes are read.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            assert m.shape[1] == self.enc.z_dim == self.dec.z_dim == self.dec.net[0].in_features
            logits = self.dec.decode(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "layers-of-the-networks",
        "The networks' layers are called in place of their methods.",
        """
        def negative_elbo_bound(self, x):
            m, v = ut.gaussian_parameters(self.enc.net(x), dim=1)
            logits = self.dec.net(ut.sample_gaussian(m, v))
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return kl + rec, kl, rec
        """,
    ),
    _bound(
        "named-tuple",
        "The three values are returned in a named tuple.",
        """
        def negative_elbo_bound(self, x):
            from collections import namedtuple

            Bound = namedtuple('Bound', 'nelbo kl rec')
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            return Bound(kl + rec, kl, rec)
        """,
    ),
    _bound(
        "slope-looked-at",
        "The slope at the sample is computed on the way, to look at it.",
        """
        def negative_elbo_bound(self, x):
            m, v = self.enc.encode(x)
            z = ut.sample_gaussian(m, v)
            logits = self.dec.decode(z)
            kl = ut.kl_normal(m, v, *self.z_prior).mean()
            rec = -ut.log_bernoulli_with_logits(x, logits).mean()
            (slope,) = torch.autograd.grad(rec, z, retain_graph=True)
            self.largest_slope = slope.abs().max()
            return kl + rec, kl, rec
        """,
    ),
)

RIGHT: tuple[Variant, ...] = _RIGHT_SAMPLERS + _RIGHT_BOUNDS

# ----------------------------------------------------------------------------------------------------
# Half-right solutions
# ----------------------------------------------------------------------------------------------------

_MONTE_CARLO = "An unbiased estimate of the KL divergence is right, but noisier than the closed form at hand."
_FOURTH_VALUE = "The three values are right, but a caller that unpacks three cannot take four."

HALF_RIGHT: tuple[tuple[Variant, float, str], ...] = (
    # The KL term is a Monte-Carlo estimate.
    (
        _bound(
            "kl-monte-carlo",
            "The KL term is log q - log p at the sample.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                z = ut.sample_gaussian(m, v)
                logits = self.dec.decode(z)
                log_q = torch.distributions.Normal(m, v.sqrt()).log_prob(z).sum(dim=-1)
                log_p = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(dim=-1)
                kl = (log_q - log_p).mean()
                rec = -ut.log_bernoulli_with_logits(x, logits).mean()
                return kl + rec, kl, rec
            """,
            caught_by=("vae.bound.closed_form",),
            diagnosis="kl_monte_carlo",
        ),
        1.0,
        _MONTE_CARLO,
    ),
    (
        _bound(
            "kl-monte-carlo-written-out",
            "The KL term is log q - log p at the sample, with the densities written out.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                z = ut.sample_gaussian(m, v)
                logits = self.dec.decode(z)
                log_q = -0.5 * ((z - m) ** 2 / v + torch.log(v)).sum(dim=-1)
                log_p = -0.5 * (z ** 2).sum(dim=-1)
                kl = (log_q - log_p).mean()
                rec = -ut.log_bernoulli_with_logits(x, logits).mean()
                return kl + rec, rec, kl
            """,
            caught_by=("vae.bound.closed_form",),
            diagnosis="kl_monte_carlo",
        ),
        1.0,
        _MONTE_CARLO,
    ),
    (
        _bound(
            "kl-monte-carlo-several",
            "Both terms are averaged over the same five samples.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                q = torch.distributions.Normal(m, torch.sqrt(v))
                p = torch.distributions.Normal(torch.zeros_like(m), torch.ones_like(v))
                kls, recs = [], []
                for _ in range(5):
                    z = q.rsample()
                    kls.append((q.log_prob(z) - p.log_prob(z)).sum(dim=1).mean())
                    recs.append(-ut.log_bernoulli_with_logits(x, self.dec.decode(z)).mean())
                kl, rec = torch.stack(kls).mean(), torch.stack(recs).mean()
                return kl + rec, kl, rec
            """,
            caught_by=("vae.bound.closed_form",),
            diagnosis="kl_monte_carlo",
        ),
        1.0,
        _MONTE_CARLO,
    ),
    (
        _bound(
            "kl-monte-carlo-with-epsilon",
            "The KL term is log q - log p at the sample, with an epsilon beside the variance.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                z = ut.sample_gaussian(m, v)
                logits = self.dec.decode(z)
                log_q = (-0.5 * (z - m) ** 2 / (v + 1e-6) - 0.5 * torch.log(v + 1e-6)).sum(-1)
                log_p = (-0.5 * z ** 2).sum(-1)
                kl = (log_q - log_p).mean()
                rec = -ut.log_bernoulli_with_logits(x, logits).mean()
                return kl + rec, kl, rec
            """,
            caught_by=("vae.bound.closed_form",),
            diagnosis="kl_monte_carlo",
        ),
        1.0,
        _MONTE_CARLO,
    ),
    # A fourth value is returned.
    (
        _bound(
            "fourth-value-sample",
            "The sample is returned beside the right three values.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                z = ut.sample_gaussian(m, v)
                logits = self.dec.decode(z)
                kl = ut.kl_normal(m, v, *self.z_prior).mean()
                rec = -ut.log_bernoulli_with_logits(x, logits).mean()
                return kl + rec, kl, rec, z
            """,
            caught_by=("vae.bound.contract",),
            diagnosis="fourth_value",
        ),
        1.0,
        _FOURTH_VALUE,
    ),
    (
        _bound(
            "fourth-value-scalar",
            "The bound itself is returned beside the right three values, in the handout's order.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                logits = self.dec.decode(ut.sample_gaussian(m, v))
                kl = ut.kl_normal(m, v, *self.z_prior).mean()
                rec = -ut.log_bernoulli_with_logits(x, logits).mean()
                return kl + rec, rec, kl, -(kl + rec)
            """,
            caught_by=("vae.bound.contract",),
            diagnosis="fourth_value",
        ),
        1.0,
        _FOURTH_VALUE,
    ),
)
