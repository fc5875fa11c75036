"""Solutions that try to gain by seeds, by what they keep between calls, or by recognising how they are asked.

Each is a formula that is wrong, or noise that is none, made to look right where a grader might look.
"""

from functools import partial

from autograder.audit.reproducing import Cheater
from autograder.audit.variants import Variant, written
from autograder.hw11.solutions import distributions, gan, vae

_sample = partial(written, "cheat-sample", "gan_vae/utils.py")
_bound = partial(written, "cheat-bound", "gan_vae/models/vae.py")
_gan = partial(written, "cheat-gan", "gan_vae/models/gan.py")
_pg = partial(written, "cheat-pg", "policy_gradient.ipynb")
_kl = partial(written, "cheat-kl", "comparing_distributions.ipynb")

CHEATERS = (
    Cheater(
        _sample(
            "seeded",
            "Sets the seed in every call, so that the noise is one and the same.",
            """
            def sample_gaussian(m, v):
                torch.manual_seed(0)
                return m + torch.sqrt(v) * torch.randn_like(m)
            """,
        ),
        loses=("vae.sample.fresh",),
    ),
    Cheater(
        _sample(
            "kept-noise",
            "Keeps the noise of each shape in a cache.",
            """
            def sample_gaussian(m, v):
                return m + torch.sqrt(v) * noise(m.shape)
            """,
            prelude="""
            import functools
            import torch

            @functools.lru_cache
            def noise(shape):
                return torch.randn(shape)
            """,
        ),
        loses=("vae.sample.fresh",),
    ),
    Cheater(
        _sample(
            "standard-only",
            "Right where m is 0 and v is 1, as in a grader's first look, and otherwise v as standard deviation.",
            """
            def sample_gaussian(m, v):
                if (m == 0).all() and (v == 1).all():
                    return m + torch.sqrt(v) * torch.randn_like(m)
                return m + v * torch.randn_like(m)
            """,
        ),
        loses=("vae.sample.parameters", "vae.sample.gradient"),
    ),
    Cheater(
        _sample(
            "large-only",
            "Draws noise for large batches alone, where a grader can tell it from none.",
            """
            def sample_gaussian(m, v):
                return m + torch.sqrt(v) * (torch.randn_like(m) if m.numel() > 1000 else torch.ones_like(m))
            """,
        ),
        loses=("vae.sample.fresh",),
    ),
    Cheater(
        _sample(
            "quantiles",
            "Hands out the quantiles of N(0, 1) in another order each call: their mean and variance are perfect.",
            """
            def sample_gaussian(m, v):
                n = m.numel()
                grid = torch.special.ndtri((torch.arange(n) + 0.5) / n)
                return m + torch.sqrt(v) * grid[torch.randperm(n)].reshape(m.shape)
            """,
        ),
        loses=("vae.sample.fresh",),
    ),
    Cheater(
        _sample(
            "counted",
            "Draws in the first calls and hands out the same noise afterwards.",
            """
            def sample_gaussian(m, v):
                kept.append(torch.randn_like(m))
                same = [e for e in kept[:-1] if e.shape == m.shape]
                return m + torch.sqrt(v) * (same[-1] if len(same) > 4 else kept[-1])
            """,
            prelude="kept = []",
        ),
        loses=("vae.sample.fresh",),
    ),
    Cheater(
        _bound(
            "seeded",
            "Sets the seed before z is drawn.",
            """
            def negative_elbo_bound(self, x):
                torch.manual_seed(0)
                m, v = self.enc.encode(x)
                logits = self.dec.decode(ut.sample_gaussian(m, v))
                kl = ut.kl_normal(m, v, *self.z_prior).mean()
                rec = -ut.log_bernoulli_with_logits(x, logits).mean()
                return kl + rec, kl, rec
            """,
        ),
        loses=("vae.bound.posterior",),
    ),
    Cheater(
        _bound(
            "forked",
            "Puts the generator back after every draw.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                with torch.random.fork_rng():
                    z = ut.sample_gaussian(m, v)
                kl = ut.kl_normal(m, v, *self.z_prior).mean()
                rec = -ut.log_bernoulli_with_logits(x, self.dec.decode(z)).mean()
                return kl + rec, kl, rec
            """,
        ),
        loses=("vae.bound.posterior",),
    ),
    Cheater(
        _bound(
            "kept-by-shape",
            "Keeps the values of the first batch of each shape.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                rec = -ut.log_bernoulli_with_logits(x, self.dec.decode(ut.sample_gaussian(m, v))).mean()
                kl = kept.setdefault(x.shape, ut.kl_normal(m, v, *self.z_prior).mean())
                return kl + rec, kl, rec
            """,
            prelude="kept = {}",
        ),
        loses=("vae.bound.kl", "vae.bound.closed_form"),
    ),
    Cheater(
        _bound(
            "one-example-only",
            "A sum over the batch, which nobody sees in a batch of one.",
            """
            def negative_elbo_bound(self, x):
                m, v = self.enc.encode(x)
                kl = ut.kl_normal(m, v, *self.z_prior).sum()
                rec = -ut.log_bernoulli_with_logits(x, self.dec.decode(ut.sample_gaussian(m, v))).sum()
                return kl + rec, kl, rec
            """,
        ),
        loses=("vae.bound.average",),
    ),
    Cheater(
        _gan(
            "seeded",
            "Sets the seed in every call.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                torch.manual_seed(0)
                fake = self.g(torch.randn(len(x_real), self.g.z_dim, device=device))
                d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(fake.detach())).mean()
                return d_loss, -F.logsigmoid(self.d(fake)).mean()
            """,
        ),
        loses=("gan.fresh",),
    ),
    Cheater(
        _gan(
            "kept-noise",
            "Keeps the z of each batch size.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                shape = (len(x_real), self.g.z_dim)
                fake = self.g(kept.setdefault(shape, torch.randn(shape, device=device)))
                d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(fake.detach())).mean()
                return d_loss, -F.logsigmoid(self.d(fake)).mean()
            """,
            prelude="kept = {}",
        ),
        loses=("gan.fresh",),
    ),
    Cheater(
        _gan(
            "minimax-where-small",
            "The minimax loss, whose value is put right at the logits that it sees first.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                fake = self.g(torch.randn(len(x_real), self.g.z_dim, device=device))
                d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(fake.detach())).mean()
                saturating = F.logsigmoid(-self.d(fake)).mean()
                wanted = -F.logsigmoid(self.d(fake)).mean()
                return d_loss, saturating + (wanted - saturating).detach()
            """,
        ),
        loses=("gan.gradient_generator",),
    ),
    Cheater(
        _pg(
            "kept-by-shape",
            "Keeps the weights of the first batch of each size.",
            """
            def policy_gradient_loss(logprob, predicted, reward):
                kept = policy_gradient_loss.__dict__.setdefault("kept", {})
                predicted, reward = kept.setdefault(len(reward), (predicted.clone(), reward.clone()))
                return -(logprob[range(len(reward)), predicted] * reward).mean()
            """,
        ),
        loses=("policy_gradient.unbiased",),
    ),
    Cheater(
        _pg(
            "known-sizes",
            "Right for small batches, as a grader hands them over, and without the reward otherwise.",
            """
            def policy_gradient_loss(logprob, predicted, reward):
                chosen = logprob[range(len(reward)), predicted]
                return -(chosen * reward).mean() if len(reward) < 40 else -chosen.mean()
            """,
        ),
        loses=("policy_gradient.training",),
    ),
    Cheater(
        _pg(
            "value-only",
            "The right value, with another gradient.",
            """
            def policy_gradient_loss(logprob, predicted, reward):
                right = -(logprob[range(len(reward)), predicted] * reward).mean()
                other = -logprob.max(1).values.mean()
                return other + (right - other).detach()
            """,
        ),
        loses=("policy_gradient.gradient", "policy_gradient.sign"),
    ),
    Cheater(
        _kl(
            "kept-by-length",
            "Keeps the divergence of the first tables of each length.",
            """
            def kl_divergence(p, q):
                if isinstance(p, Gaussian):
                    return float(np.log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5)
                kept = kl_divergence.__dict__.setdefault("kept", {})
                with np.errstate(all="ignore"):
                    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
                    value = float(np.sum(np.where(p > 0, p * np.log(p / q), 0.0)))
                return kept.setdefault(len(p), value)
            """,
        ),
        loses=("distributions.discrete",),
        kept=0.5,  # without zeros every table has a length of its own, and is right
    ),
)
"""What each must lose at least; test_reproducing.py and the audit grade them."""


def _wrong(prefix: str, variants: tuple[Variant, ...], id: str) -> Variant:
    return next(variant for variant in variants if variant.id == f"{prefix}-{id}")


MIXED = (
    _wrong("sample", vae.WRONG, "variance-as-std"),
    _wrong("bound", vae.WRONG, "kl-swapped"),
    _wrong("gan", gan.WRONG, "both-halved"),
    _wrong("kl", distributions.WRONG, "swapped"),
)
"""One wrong solution for each of several files: a submission whose results show all kinds of messages.

Question 6 is right in it, or its notebook would stop before it trains."""
