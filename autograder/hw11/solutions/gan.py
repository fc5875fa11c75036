"""Wrong, right and half-right solutions for question 5: the GAN's two losses."""

from functools import partial

from autograder.audit.variants import Variant, written

EVERY_CHECK = (
    "gan.contract",
    "gan.discriminator",
    "gan.generator",
    "gan.average",
    "gan.gradient_discriminator",
    "gan.gradient_generator",
    "gan.stable",
    "gan.noise",
    "gan.fresh",
)
WRONG_D_LOSS = ("gan.discriminator", "gan.gradient_discriminator")
WRONG_G_LOSS = ("gan.generator", "gan.gradient_generator")
BOTH_WRONG = (
    "gan.discriminator",
    "gan.generator",
    "gan.average",  # with no right loss there is nothing whose average could be judged
    "gan.gradient_discriminator",
    "gan.gradient_generator",
)


_gan = partial(written, "gan", "gan_vae/models/gan.py")  # GAN.loss_nonsaturating(self, x_real, *, device)

# ----------------------------------------------------------------------------------------------------
# Wrong discriminator losses
# ----------------------------------------------------------------------------------------------------

_WRONG_DISCRIMINATOR = (
    # A term is missing, or is computed on other images.
    _gan(
        "d-fake-ignored",
        "The discriminator is only rewarded for calling real images real.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(x_real.shape[0], self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real = self.d(x_real)
            h_fake = self.d(x_fake)
            d_loss = F.binary_cross_entropy_with_logits(h_real, torch.ones_like(h_real))
            g_loss = F.binary_cross_entropy_with_logits(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_fake_ignored",
    ),
    _gan(
        "d-fake-term-overwritten",
        "The fake term is computed first, and then overwritten by an `=` where `+=` was meant.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(x_real.shape[0], self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(-self.d(x_fake.detach())).mean()
            d_loss = -F.logsigmoid(self.d(x_real)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_fake_ignored",
    ),
    _gan(
        "d-real-ignored",
        "The discriminator sees no real images.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.z_dim, device=device)
            h_fake = self.d(self.g(z))
            d_loss = F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_real_ignored",
    ),
    _gan(
        "d-fake-term-on-real",
        "The second term is copied from the first, and still looks at the real images.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            real_loss = -F.logsigmoid(self.d(x_real)).mean()
            fake_loss = -F.logsigmoid(-self.d(x_real)).mean()
            d_loss = real_loss + fake_loss
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="wrong_images",
    ),
    _gan(
        "d-real-term-on-fake",
        "The first term looks at the fakes too.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = nn.BCEWithLogitsLoss()
            z = torch.randn(len(x_real), self.g.z_dim).to(device)
            x_fake = self.g(z)
            h = self.d(x_fake)
            d_loss = bce(h, torch.ones_like(h)) + bce(h, torch.zeros_like(h))
            g_loss = bce(h, torch.ones_like(h))
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="wrong_images",
    ),
    # The labels or the signs are wrong.
    _gan(
        "d-labels-swapped",
        "Real images are labelled 0 and fakes 1.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = x_real.shape[0]
            z = torch.randn(batch, self.g.z_dim, device=device)
            fake = self.g(z)
            ones, zeros = torch.ones(batch, device=device), torch.zeros(batch, device=device)
            d_loss = F.binary_cross_entropy_with_logits(self.d(x_real), zeros)
            d_loss = d_loss + F.binary_cross_entropy_with_logits(self.d(fake.detach()), ones)
            g_loss = F.binary_cross_entropy_with_logits(self.d(fake), ones)
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="labels_swapped",
    ),
    _gan(
        "d-logit-signs-swapped",
        "The logits' signs belong to the other term each.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(self.d(x_real)).mean() + F.softplus(-self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="labels_swapped",
    ),
    _gan(
        "d-images-swapped",
        "The names of the two logits are swapped.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_fake, h_real = self.d(x_real), self.d(x_fake.detach())
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="labels_swapped",
    ),
    _gan(
        "d-all-labelled-real",
        "Fakes are labelled 1, just as real images are.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            label = torch.ones_like(h_real)
            d_loss = F.binary_cross_entropy_with_logits(h_real, label)
            d_loss += F.binary_cross_entropy_with_logits(h_fake, label)
            g_loss = F.binary_cross_entropy_with_logits(h_fake, label)
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="labels_swapped",
    ),
    _gan(
        "d-all-labelled-fake",
        "Real images are labelled 0, just as fakes are.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = F.softplus(h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="labels_swapped",
    ),
    _gan(
        "d-sign",
        "The objective that the discriminator should climb is returned as the loss to descend.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = F.logsigmoid(h_real).mean() + F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_sign",
    ),
    _gan(
        "d-minus-cross-entropy",
        "Cross entropies, which are losses already, get the formula's minus once more.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            bce = F.binary_cross_entropy_with_logits
            d_loss = -bce(h_real, torch.ones_like(h_real)) - bce(h_fake, torch.zeros_like(h_fake))
            g_loss = bce(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_sign",
    ),
    _gan(
        "d-minus-on-first-term-only",
        "The minus before the sum reaches the real term only.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() + F.logsigmoid(-self.d(x_fake.detach())).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_sign",
    ),
    _gan(
        "d-minus-on-second-term-only",
        "The real term lacks its minus.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake.detach())).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_sign",
    ),
    _gan(
        "d-one-outside-log",
        "log(1 - D) is written as 1 - log(D).",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - (1 - F.logsigmoid(self.d(x_fake))).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="one_outside_log",
    ),
    # The weights or the labels are those of another loss.
    _gan(
        "d-halved",
        "The two terms are averaged, not added.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            real_loss = F.binary_cross_entropy_with_logits(h_real, torch.ones_like(h_real))
            fake_loss = F.binary_cross_entropy_with_logits(h_fake, torch.zeros_like(h_fake))
            d_loss = (real_loss + fake_loss) / 2
            h = self.d(x_fake)
            g_loss = F.binary_cross_entropy_with_logits(h, torch.ones_like(h))
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_halved",
    ),
    _gan(
        "d-halved-by-concatenation",
        "One mean is taken over real images and fakes together, which divides by twice the batch.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = x_real.size(0)
            z = torch.randn(batch, self.g.z_dim, device=device)
            x_fake = self.g(z)
            logits = self.d(torch.cat([x_real, x_fake.detach()], dim=0))
            labels = torch.cat([torch.ones(batch), torch.zeros(batch)]).to(device)
            d_loss = F.binary_cross_entropy_with_logits(logits, labels)
            g_loss = F.binary_cross_entropy_with_logits(self.d(x_fake), labels[:batch])
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_halved",
    ),
    _gan(
        "d-doubled",
        "The sum over real images and fakes together is divided by half a batch.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = x_real.size(0)
            z = torch.randn(batch, self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = 2 * (F.softplus(-h_real) + F.softplus(h_fake)).sum() / batch
            g_loss = F.softplus(-self.d(x_fake)).sum() / batch
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_doubled",
    ),
    _gan(
        "d-fake-term-halved",
        "Only the fake term is halved.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = F.softplus(-h_real).mean() + 0.5 * F.softplus(h_fake).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="term_weighted",
    ),
    _gan(
        "d-one-sided-smoothing",
        "Real images are labelled 0.9, a common trick that the handout does not ask for.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = F.binary_cross_entropy_with_logits(h_real, torch.full_like(h_real, 0.9))
            d_loss = d_loss + F.binary_cross_entropy_with_logits(h_fake, torch.zeros_like(h_fake))
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_label_smoothing",
    ),
    _gan(
        "d-two-sided-smoothing",
        "Real images are labelled 0.9 and fakes 0.1.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = nn.BCEWithLogitsLoss()
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            ones = torch.ones_like(h_real)
            d_loss = bce(h_real, 0.9 * ones) + bce(h_fake, 0.1 * ones)
            g_loss = bce(h_fake, ones)
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="d_label_smoothing",
    ),
    _gan(
        "d-random-labels",
        "The labels of real images are drawn between 0.7 and 1.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = bce(h_real, 0.7 + 0.3 * torch.rand_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            g_loss = bce(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
    ),
    # The images are changed before the discriminator sees them.
    _gan(
        "d-real-rescaled",
        "Real images are rescaled to [-1, 1], as a generator with tanh would need it.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            x_real = 2 * x_real - 1
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="images_changed",
    ),
    _gan(
        "d-real-noisy",
        "Noise is added to the real images.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            noisy = x_real + 0.1 * torch.randn_like(x_real)
            d_loss = -F.logsigmoid(self.d(noisy)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
    ),
    _gan(
        "d-real-binarised",
        "Real images are binarised, as the VAE's are.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            x = torch.bernoulli(x_real.clamp(0, 1))
            z = torch.randn(len(x), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
    ),
    # The formula is another one.
    _gan(
        "d-sigmoid-twice",
        "Probabilities are passed to the discriminator's cross entropy, which expects logits.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            p_real = torch.sigmoid(self.d(x_real))
            p_fake = torch.sigmoid(self.d(x_fake.detach()))
            d_loss = F.binary_cross_entropy_with_logits(p_real, torch.ones_like(p_real))
            d_loss = d_loss + F.binary_cross_entropy_with_logits(p_fake, torch.zeros_like(p_fake))
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="sigmoid_twice",
    ),
    _gan(
        "d-log-missing",
        "The discriminator's loss is made of probabilities without their logarithm.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            p_real, p_fake = torch.sigmoid(self.d(x_real)), torch.sigmoid(self.d(x_fake.detach()))
            d_loss = -p_real.mean() - (1 - p_fake).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="log_missing",
    ),
    _gan(
        "d-critic",
        "The discriminator's loss is the difference of the mean logits.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = self.d(x_fake.detach()).mean() - self.d(x_real).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="log_missing",
    ),
    _gan(
        "d-least-squares",
        "The discriminator's loss is the squared distance of the logits from 1 and 0.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = ((self.d(x_real) - 1) ** 2).mean() + (self.d(x_fake.detach()) ** 2).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="least_squares",
    ),
    _gan(
        "d-hinge",
        "The discriminator's loss is the hinge loss.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.relu(1 - self.d(x_real)).mean() + F.relu(1 + self.d(x_fake.detach())).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="hinge",
    ),
    _gan(
        "d-log-of-average",
        "The logarithm is taken of the average probability, not the average of the logarithms.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            log_p_real = F.logsigmoid(self.d(x_real))
            log_p_fake = F.logsigmoid(-self.d(x_fake.detach()))
            d_loss = -ut.log_mean_exp(log_p_real, dim=0) - ut.log_mean_exp(log_p_fake, dim=0)
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        prelude="import utils as ut",
        diagnosis="log_of_average",
    ),
    _gan(
        "d-gradient-penalty",
        "A penalty on the slope at the real images is added.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            x = x_real.detach().clone().requires_grad_(True)
            h_real, h_fake = self.d(x), self.d(x_fake.detach())
            (slope,) = torch.autograd.grad(h_real.sum(), x, create_graph=True)
            penalty = slope.flatten(1).pow(2).sum(1).mean()
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean() + 5 * penalty
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="gradient_penalty",
    ),
    # The value is wrong, the slope is right.
    _gan(
        "d-minus-log-four",
        "log 4 is subtracted, so that the loss is zero where the discriminator can only guess.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            v = F.logsigmoid(self.d(x_real)).mean() + F.logsigmoid(-self.d(x_fake.detach())).mean()
            d_loss = -(v + math.log(4))
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.discriminator",),
        prelude="import math",
        diagnosis="constant_added",
    ),
    _gan(
        "d-total",
        "The generator's loss is added to the discriminator's as a constant, to show the total.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            g_loss = F.softplus(-self.d(x_fake)).mean()
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            d_loss = d_loss + g_loss.detach()
            return d_loss, g_loss
        """,
        caught_by=("gan.discriminator",),
        diagnosis="g_loss_added",
    ),
    _gan(
        "d-one-minus-logit",
        "1 - h is the logit of the fakes' term, where -h belongs.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(1 - h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="one_minus_logit",
    ),
    _gan(
        "d-gradient-penalty-on-fakes",
        "A penalty on the slope at the fakes is added (R2).",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            x = x_fake.detach().requires_grad_(True)
            h_real, h_fake = self.d(x_real), self.d(x)
            (slope,) = torch.autograd.grad(h_fake.sum(), x, create_graph=True)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            d_loss = d_loss + 0.5 * slope.flatten(1).pow(2).sum(1).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_D_LOSS,
        diagnosis="gradient_penalty",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Wrong generator losses
# ----------------------------------------------------------------------------------------------------

_WRONG_GENERATOR = (
    _gan(
        "g-minimax",
        "The generator minimises E log(1 - D(G(z))), which saturates.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = F.logsigmoid(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="minimax_generator",
    ),
    _gan(
        "g-minus-cross-entropy-with-zeros",
        "The generator climbs the cross entropy of the fakes with label 0.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            fake_loss = bce(h_fake, torch.zeros_like(h_fake))
            d_loss = bce(h_real, torch.ones_like(h_real)) + fake_loss
            g_loss = -fake_loss
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="minimax_generator",
    ),
    _gan(
        "g-minimax-by-probabilities",
        "The generator minimises log(1 - sigmoid), which is infinite where the discriminator is fooled.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = torch.log(1 - torch.sigmoid(self.d(x_fake))).mean()
            return d_loss, g_loss
        """,
        caught_by=(*WRONG_G_LOSS, "gan.stable"),
        diagnosis="minimax_generator",
    ),
    _gan(
        "g-minus-d-loss",
        "The generator's loss is the whole of the discriminator's with the other sign: the zero-sum game.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -d_loss
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="minimax_generator",
    ),
    _gan(
        "g-same-as-d-loss",
        "Both networks are given the discriminator's loss.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            return loss, loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="g_trains_fake",
    ),
    _gan(
        "g-sign",
        "The generator's loss lacks its minus.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="g_sign",
    ),
    _gan(
        "g-minus-cross-entropy",
        "A cross entropy, which is a loss already, gets the formula's minus once more.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = nn.BCEWithLogitsLoss()
            batch = x_real.size(0)
            z = torch.randn(batch, self.g.z_dim, device=device)
            x_fake = self.g(z)
            ones, zeros = torch.ones(batch, device=device), torch.zeros(batch, device=device)
            d_loss = bce(self.d(x_real), ones) + bce(self.d(x_fake.detach()), zeros)
            g_loss = -bce(self.d(x_fake), ones)
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="g_sign",
    ),
    _gan(
        "g-trains-fake",
        "The generator is trained for fakes that are recognised: their label is 0.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = bce(h_real, torch.ones_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            g_loss = bce(h_fake, torch.zeros_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="g_trains_fake",
    ),
    _gan(
        "g-minus-log-one-minus-d",
        "The generator's loss is -log(1 - D) at the fakes.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = -F.logsigmoid(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="g_trains_fake",
    ),
    _gan(
        "g-uses-real",
        "The generator's loss is computed on the real images.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(h_real).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="g_uses_real",
    ),
    _gan(
        "g-halved",
        "The generator's loss is halved.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = 0.5 * F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="g_halved",
    ),
    _gan(
        "g-sigmoid-twice",
        "Probabilities are passed to the generator's cross entropy, which expects logits.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            p_fake = torch.sigmoid(self.d(x_fake))
            g_loss = F.binary_cross_entropy_with_logits(p_fake, torch.ones_like(p_fake))
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="sigmoid_twice",
    ),
    _gan(
        "g-mean-logit",
        "The generator's loss is minus the mean logit.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = -self.d(x_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="log_missing",
    ),
    _gan(
        "g-mean-probability",
        "The generator's loss is minus the mean probability.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -torch.sigmoid(h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="log_missing",
    ),
    _gan(
        "g-least-squares",
        "The generator's loss is the squared distance of the logits from 1.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = F.mse_loss(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="least_squares",
    ),
    _gan(
        "g-log-of-average",
        "The logarithm is taken of the fakes' average probability.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -ut.log_mean_exp(F.logsigmoid(h_fake), dim=0)
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        prelude="import utils as ut",
        diagnosis="log_of_average",
    ),
    _gan(
        "g-minimax-both-terms",
        "The generator is given the value of the minimax game, real images included.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.logsigmoid(self.d(x_real)).mean() + F.logsigmoid(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="minimax_generator",
    ),
    _gan(
        "g-pixels-too",
        "The distance between fakes and real images is added.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(h_fake).mean() + F.mse_loss(x_fake, x_real.view_as(x_fake))
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
    ),
    # The value is wrong, the slope is right.
    _gan(
        "g-both-terms",
        "The generator's loss has the discriminator's real term too, which no weight of its own can change.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            ones, zeros = torch.ones_like(h_real), torch.zeros_like(h_real)
            d_loss = bce(h_real, ones) + bce(h_fake, zeros)
            g_loss = bce(h_real, ones) + bce(h_fake, ones)
            return d_loss, g_loss
        """,
        caught_by=("gan.generator",),
        diagnosis="both_terms",
    ),
    _gan(
        "g-both-terms-by-logsigmoid",
        "The real term is added to both losses.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            real = -F.logsigmoid(self.d(x_real)).mean()
            d_loss = real - F.logsigmoid(-self.d(x_fake.detach())).mean()
            g_loss = real - F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.generator",),
        diagnosis="both_terms",
    ),
    _gan(
        "g-one-minus-log",
        "The generator's loss is 1 - log D.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = (1 - F.logsigmoid(self.d(x_fake))).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.generator",),
        diagnosis="one_outside_log",
    ),
    _gan(
        "g-one-minus-logit",
        "1 - h is the logit, as if the discriminator returned probabilities.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = -F.logsigmoid(1 - h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="one_minus_logit",
    ),
    _gan(
        "g-smoothed",
        "The generator's labels are 0.9.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.binary_cross_entropy_with_logits(h_fake, torch.full_like(h_fake, 0.9))
            return d_loss, g_loss
        """,
        caught_by=WRONG_G_LOSS,
        diagnosis="g_label_smoothing",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Both losses wrong
# ----------------------------------------------------------------------------------------------------

_BOTH_WRONG = (
    _gan(
        "both-labels-swapped",
        "The discriminator calls fakes real, and the generator is trained for fakes with label 0.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            real_label, fake_label = torch.zeros_like(h_real), torch.ones_like(h_fake)
            d_loss = bce(h_real, real_label) + bce(h_fake, fake_label)
            g_loss = bce(h_fake, real_label)
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="labels_swapped",
    ),
    _gan(
        "both-signs",
        "Both losses lack their minus.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.logsigmoid(self.d(x_real)).mean() + F.logsigmoid(-self.d(x_fake.detach())).mean()
            g_loss = F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="d_sign",
    ),
    _gan(
        "both-sigmoid-twice",
        "The discriminator's output is made a probability first, and all cross entropies expect logits.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = nn.BCEWithLogitsLoss()
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            d_real = torch.sigmoid(self.d(x_real))
            d_fake = torch.sigmoid(self.d(self.g(z)))
            d_loss = bce(d_real, torch.ones_like(d_real)) + bce(d_fake, torch.zeros_like(d_fake))
            g_loss = bce(d_fake, torch.ones_like(d_fake))
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="sigmoid_twice",
    ),
    _gan(
        "both-halved",
        "All terms carry a factor one half.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = 0.5 * F.softplus(-h_real).mean() + 0.5 * F.softplus(h_fake).mean()
            g_loss = 0.5 * F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="d_halved",
    ),
    _gan(
        "both-critic",
        "The losses are differences of mean logits, as with a critic whose slope is bounded.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -torch.mean(self.d(x_real)) + torch.mean(self.d(x_fake.detach()))
            g_loss = -torch.mean(self.d(x_fake))
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="log_missing",
    ),
    _gan(
        "both-probabilities",
        "All logarithms are missing.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_real, d_fake = torch.sigmoid(self.d(x_real)), torch.sigmoid(self.d(x_fake))
            d_loss = -(d_real + (1 - d_fake)).mean()
            g_loss = -d_fake.mean()
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="log_missing",
    ),
    _gan(
        "both-least-squares",
        "Cross entropies are replaced by squared errors.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            mse = nn.MSELoss()
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = mse(h_real, torch.ones_like(h_real)) + mse(h_fake, torch.zeros_like(h_fake))
            g_loss = mse(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="least_squares",
    ),
    _gan(
        "both-hinge",
        "The discriminator has the hinge loss, the generator minus the mean logit.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.relu(1.0 - self.d(x_real)).mean() + F.relu(1.0 + self.d(x_fake.detach())).mean()
            g_loss = -self.d(x_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="hinge",
    ),
    _gan(
        "both-arguments-swapped",
        "The labels are passed as logits and the logits as labels.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            ones, zeros = torch.ones_like(h_real), torch.zeros_like(h_real)
            d_loss = bce(ones, h_real) + bce(zeros, h_fake)
            g_loss = bce(ones, h_fake)
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="labels_and_logits_swapped",
    ),
    _gan(
        "both-bits",
        "The logarithms have base two.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -(F.logsigmoid(h_real) + F.logsigmoid(-h_fake)).mean() / math.log(2)
            g_loss = -F.logsigmoid(h_fake).mean() / math.log(2)
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        prelude="import math",
        diagnosis="bits",
    ),
    _gan(
        "both-relativistic",
        "Real images and fakes are compared with each other.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real - h_fake).mean()
            g_loss = -F.logsigmoid(h_fake - h_real).mean()
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
        diagnosis="relativistic",
    ),
    _gan(
        "both-logits-of-noisy-images",
        "Noise is added to all images before the discriminator sees them.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            x_fake = x_fake + 0.1 * torch.randn_like(x_fake)
            x_real = x_real + 0.1 * torch.randn_like(x_real)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
    ),
    _gan(
        "both-fakes-binarised",
        "The fakes are rounded to black and white, which also stops the gradient.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = (self.g(z) > 0.5).float()
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=BOTH_WRONG,
    ),
    _gan(
        "both-labels-and-order-swapped",
        "Real and fake have changed places, and so have the two losses.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.softplus(h_real).mean() + F.softplus(-h_fake).mean()
            g_loss = F.softplus(h_fake).mean()
            return g_loss, d_loss
        """,
        caught_by=("gan.contract", *BOTH_WRONG),
        diagnosis="labels_swapped",
    ),
    _gan(
        "g-minimax-and-order-swapped",
        "The minimax loss, in the wrong place.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.logsigmoid(-h_fake).mean()
            return g_loss, d_loss
        """,
        caught_by=("gan.contract", *WRONG_G_LOSS),
        diagnosis="minimax_generator",
    ),
    _gan(
        "d-sign-and-order-swapped",
        "The discriminator's loss has the wrong sign and the wrong place.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.logsigmoid(h_real).mean() + F.logsigmoid(-h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return g_loss, d_loss
        """,
        caught_by=("gan.contract", *WRONG_D_LOSS),
        diagnosis="d_sign",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Averages over the batch, and the form of what is returned
# ----------------------------------------------------------------------------------------------------

_WRONG_AGGREGATION = (
    _gan(
        "sums",
        "Both losses are sums over the batch.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = -(F.logsigmoid(h_real) + F.logsigmoid(-h_fake)).sum()
            g_loss = -F.logsigmoid(self.d(x_fake)).sum()
            return d_loss, g_loss
        """,
        caught_by=("gan.average",),
        diagnosis="sum_not_mean",
    ),
    _gan(
        "sums-by-reduction",
        "The cross entropies are asked for sums.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = nn.BCEWithLogitsLoss(reduction="sum")
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = bce(h_real, torch.ones_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            g_loss = bce(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=("gan.average",),
        diagnosis="sum_not_mean",
    ),
    _gan(
        "d-sum",
        "The discriminator's loss is a sum, the generator's an average.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).sum() + F.softplus(self.d(x_fake.detach())).sum()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.average",),
        diagnosis="sum_not_mean",
    ),
    _gan(
        "g-sum",
        "The generator's loss is a sum, the discriminator's an average.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = x_real.shape[0]
            z = torch.randn(batch, self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -1 / batch * torch.sum(F.logsigmoid(h_real) + F.logsigmoid(-h_fake))
            g_loss = -1 * torch.sum(F.logsigmoid(h_fake))
            return d_loss, g_loss
        """,
        caught_by=("gan.average",),
        diagnosis="sum_not_mean",
    ),
    _gan(
        "averaged-twice",
        "Means are divided by the batch once more.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = x_real.shape[0]
            z = torch.randn(m, self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = (F.softplus(-h_real).mean() + F.softplus(h_fake).mean()) / m
            g_loss = F.softplus(-self.d(x_fake)).mean() / m
            return d_loss, g_loss
        """,
        caught_by=("gan.average",),
        diagnosis="averaged_twice",
    ),
    _gan(
        "d-averaged-twice",
        "Only the discriminator's mean is divided by the batch once more, as the formula's 1/m suggests.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = x_real.shape[0]
            z = torch.randn(m, self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -1 / m * (F.logsigmoid(h_real) + F.logsigmoid(-h_fake)).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.average",),
        diagnosis="averaged_twice",
    ),
    _gan(
        "g-averaged-twice",
        "Only the generator's cross entropy is divided by the batch once more.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = bce(h_real, torch.ones_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            g_loss = bce(h_fake, torch.ones_like(h_fake)) / len(x_real)
            return d_loss, g_loss
        """,
        caught_by=("gan.average",),
        diagnosis="averaged_twice",
    ),
    _gan(
        "sum-with-wrong-d",
        "The generator's loss is a sum, and the discriminator's is halved besides.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = 0.5 * (F.softplus(-h_real) + F.softplus(h_fake)).mean()
            g_loss = F.softplus(-h_fake).sum()
            return d_loss, g_loss
        """,
        caught_by=("gan.discriminator", "gan.average", "gan.gradient_discriminator"),
        diagnosis="d_halved",
    ),
    _gan(
        "not-averaged",
        "Both losses have one value per example.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)) - F.logsigmoid(-self.d(x_fake.detach()))
            g_loss = -F.logsigmoid(self.d(x_fake))
            return d_loss, g_loss
        """,
        caught_by=("gan.contract", "gan.average"),
        diagnosis="not_averaged",
    ),
    _gan(
        "d-not-averaged",
        "The discriminator's loss has one value per example.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = nn.BCEWithLogitsLoss(reduction="none")
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = bce(h_real, torch.ones_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            g_loss = bce(h_fake, torch.ones_like(h_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.contract", "gan.average"),
        diagnosis="not_averaged",
    ),
    _gan(
        "g-not-averaged",
        "The generator's loss has one value per example.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake))
            return d_loss, g_loss
        """,
        caught_by=("gan.contract", "gan.average"),
        diagnosis="not_averaged",
    ),
)

_WRONG_CONTRACT = (
    _gan(
        "half",
        "Both losses are rounded to half precision.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss.half(), g_loss.half()
        """,
        caught_by=("gan.contract",),
        diagnosis="half_precision",
        sometimes=("gan.discriminator", "gan.generator", "gan.average", "gan.stable"),  # as far as they are rounded
    ),
    _gan(
        "order-swapped",
        "The generator's loss comes first.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return g_loss, d_loss
        """,
        caught_by=("gan.contract",),
        diagnosis="order_swapped",
    ),
    _gan(
        "order-swapped-without-detach",
        "The generator's loss comes first, and both losses reach both networks.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            g_loss = bce(h_fake, torch.ones_like(h_fake))
            d_loss = bce(h_real, torch.ones_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            return g_loss, d_loss
        """,
        caught_by=("gan.contract",),
        diagnosis="order_swapped",
    ),
    _gan(
        "third-value-total",
        "The total of both losses is returned beside them.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss, d_loss + g_loss
        """,
        caught_by=("gan.contract",),
        diagnosis="third_value",
    ),
    _gan(
        "third-value-images",
        "The fakes are returned beside the losses.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss, x_fake.detach()
        """,
        caught_by=("gan.contract",),
        diagnosis="third_value",
    ),
    _gan(
        "item",
        "The losses are returned as numbers, which cannot be differentiated.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss.item(), g_loss.item()
        """,
        caught_by=("gan.contract", "gan.gradient_discriminator", "gan.gradient_generator"),
        diagnosis="item",
    ),
    _gan(
        "item-per-example",
        "The numbers are added up one by one in Python.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = len(x_real)
            z = torch.randn(m, self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss, g_loss = 0.0, 0.0
            for real, fake in zip(h_real, h_fake):
                d_loss -= (F.logsigmoid(real).item() + F.logsigmoid(-fake).item()) / m
                g_loss -= F.logsigmoid(fake).item() / m
            return d_loss, g_loss
        """,
        caught_by=("gan.contract", "gan.gradient_discriminator", "gan.gradient_generator"),
        diagnosis="item",
    ),
    _gan(
        "d-item",
        "The discriminator's loss is returned as a number.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return float(d_loss), g_loss
        """,
        caught_by=("gan.contract", "gan.gradient_discriminator"),
        diagnosis="item",
    ),
    _gan(
        "no-return",
        "The losses are computed, but not returned.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
        """,
        caught_by=(
            "gan.contract",
            "gan.discriminator",
            "gan.generator",
            "gan.average",
            "gan.gradient_discriminator",
            "gan.gradient_generator",
            "gan.stable",
        ),
    ),
    _gan(
        "crash-label-shape",
        "The labels are a column, but the logits are not.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = x_real.shape[0]
            z = torch.randn(batch, self.g.z_dim, device=device)
            ones, zeros = torch.ones(batch, 1, device=device), torch.zeros(batch, 1, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            bce = F.binary_cross_entropy_with_logits
            return bce(h_real, ones) + bce(h_fake, zeros), bce(h_fake, ones)
        """,
        caught_by=EVERY_CHECK,
    ),
    _gan(
        "crash-attribute",
        "The networks are looked up under other names.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.z_dim, device=device)
            x_fake = self.generator(z)
            d_loss = -F.logsigmoid(self.discriminator(x_real)).mean()
            d_loss -= F.logsigmoid(-self.discriminator(x_fake)).mean()
            g_loss = -F.logsigmoid(self.discriminator(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=EVERY_CHECK,
    ),
    _gan(
        "crash-device",
        "The optional argument is read under a name that does not exist.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=self.device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=EVERY_CHECK,
    ),
    _gan(
        "unfilled",
        "The starter code's error still stands before the solution.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            raise NotImplementedError
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=EVERY_CHECK,
    ),
    _gan(
        "dictionary",
        "The losses are returned in a dictionary.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return {'d_loss': d_loss, 'g_loss': g_loss}
        """,
        caught_by=EVERY_CHECK[:-2],
        diagnosis="unusable",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Right values without the right gradient, or only in the middle range
# ----------------------------------------------------------------------------------------------------

_WRONG_GRADIENT = (
    _gan(
        "g-detached",
        "The fakes are detached once, before both losses.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z).detach()
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_generator",),
        diagnosis="detached_generator",
    ),
    _gan(
        "g-no-grad",
        "The fakes are generated under no_grad, and used in both losses.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = F.binary_cross_entropy_with_logits
            with torch.no_grad():
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = bce(h_real, torch.ones_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            g_loss = bce(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_generator",),
        diagnosis="detached_generator",
    ),
    _gan(
        "g-detached-logits-shared",
        "The detached fakes' logits, made for the discriminator, are used again for the generator.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            fake = self.g(z)
            h = self.d(torch.cat([x_real, fake.detach()]))
            h_real, h_fake = h.chunk(2)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_generator",),
        diagnosis="detached_generator",
    ),
    _gan(
        "g-data",
        "The fakes are taken from the graph by `.data`.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = torch.autograd.Variable(self.g(z).data, requires_grad=True)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_generator",),
        diagnosis="detached_generator",
    ),
    _gan(
        "g-through-numpy",
        "The fakes take a detour through numpy.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            images = self.g(z).detach().cpu().numpy()
            x_fake = torch.from_numpy(images).to(device)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_generator",),
        diagnosis="detached_generator",
    ),
    _gan(
        "g-logits-without-history",
        "The generator's loss looks at the logits without their history.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            with torch.no_grad():
                h = self.d(x_fake)
            g_loss = F.softplus(-h).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_generator",),
        diagnosis="detached_generator",
    ),
    _gan(
        "d-fake-logits-detached",
        "The logits of the fakes are detached, not the fakes: the discriminator learns nothing from them.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake.detach()).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_discriminator",),
        diagnosis="logits_detached",
    ),
    _gan(
        "d-fake-logits-no-grad",
        "The discriminator's call on the fakes stands under no_grad together with the generator's.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            with torch.no_grad():
                h_fake = self.d(self.g(z))
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-self.d(self.g(z))).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_discriminator",),
        diagnosis="logits_detached",
    ),
    _gan(
        "d-real-logits-detached",
        "The logits of the real images are detached.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real).detach(), self.d(x_fake.detach())
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_discriminator",),
        diagnosis="logits_detached",
    ),
    _gan(
        "d-detached",
        "The discriminator's loss is detached at the end.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss.detach(), g_loss
        """,
        caught_by=("gan.gradient_discriminator",),
        diagnosis="no_gradient",
    ),
    _gan(
        "d-frozen-too-early",
        "The discriminator is frozen before its own loss is computed.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            self.d.requires_grad_(False)
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            self.d.requires_grad_(True)
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_discriminator",),
    ),
    _gan(
        "g-frozen",
        "The generator is frozen for the whole call, not only for the discriminator's loss.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            self.g.requires_grad_(False)
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            self.g.requires_grad_(True)
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_generator",),
    ),
    _gan(
        "both-without-gradient",
        "Everything is computed under no_grad.",
        """
        @torch.no_grad()
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.gradient_discriminator", "gan.gradient_generator"),
        diagnosis="no_gradient",
    ),
    _gan(
        "both-rewrapped",
        "The losses are made tensors again from their numbers, and have lost their history.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return torch.tensor(d_loss.item(), requires_grad=True), torch.tensor(g_loss.item(), requires_grad=True)
        """,
        caught_by=("gan.gradient_discriminator", "gan.gradient_generator"),
        diagnosis="no_gradient",
    ),
    # Right only in the middle range.
    _gan(
        "half-logits",
        "Large logits, whose loss is nearly a straight line, are rounded to half precision.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = (torch.where(h.abs() > 16, h.half().float(), h) for h in (self.d(x_real), self.d(x_fake)))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.stable",),
        diagnosis="half_precision",
    ),
    _gan(
        "clamped-logits",
        "The logits are clamped to [-10, 10] against overflow, which stops the gradient beyond.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real = self.d(x_real).clamp(-10, 10)
            h_fake = self.d(x_fake).clamp(-10, 10)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.stable",),
        diagnosis="unstable",
    ),
    _gan(
        "exponential-overflows",
        "Softplus is written as log(1 + exp(h)), which overflows for large logits.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.detach())
            d_loss = torch.log(1 + torch.exp(-h_real)).mean() + torch.log(1 + torch.exp(h_fake)).mean()
            g_loss = torch.log(1 + torch.exp(-self.d(x_fake))).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.stable",),
        diagnosis="unstable",
    ),
    _gan(
        "g-unstable",
        "Only the generator's loss takes the logarithm of a sigmoid.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = -torch.log(torch.sigmoid(self.d(x_fake)) + 1e-8).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.stable",),
        diagnosis="unstable",
    ),
)

# ----------------------------------------------------------------------------------------------------
# Wrong noise
# ----------------------------------------------------------------------------------------------------

_WRONG_NOISE = (
    _gan(
        "uniform-noise",
        "The noise is uniform on [0, 1).",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.rand(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake.detach())).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="uniform_noise",
    ),
    _gan(
        "symmetric-uniform-noise",
        "The noise is uniform on [-1, 1).",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = 2 * torch.rand(len(x_real), self.g.z_dim, device=device) - 1
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake.detach())).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="uniform_noise",
    ),
    _gan(
        "uniform-noise-of-unit-variance",
        "The noise is uniform, with mean 0 and variance 1.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = (torch.rand(len(x_real), self.g.z_dim, device=device) - 0.5) * math.sqrt(12)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        prelude="import math",
        diagnosis="uniform_noise",
    ),
    _gan(
        "noise-scaled-down",
        "The noise has standard deviation one tenth.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = 0.1 * torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="noise_scaled",
    ),
    _gan(
        "noise-divided-by-dimension",
        "The noise is divided by the square root of its dimension.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device) / self.g.z_dim ** 0.5
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="noise_scaled",
    ),
    _gan(
        "noise-scaled-up",
        "The noise has standard deviation two.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.distributions.Normal(0.0, 2.0).sample((len(x_real), self.g.z_dim)).to(device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="noise_scaled",
    ),
    _gan(
        "shifted-noise",
        "The noise has mean one.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.normal(1.0, 1.0, size=(len(x_real), self.g.z_dim), device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="shifted_noise",
    ),
    _gan(
        "shifted-noise-ones",
        "`sample_gaussian` is given ones for the mean as well as for the variance.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            ones = torch.ones(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(ut.sample_gaussian(ones, ones))
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="shifted_noise",
        prelude="import utils as ut",
    ),
    _gan(
        "clamped-noise",
        "The noise is clamped to [-1, 1].",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device).clamp(-1, 1)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
    ),
    _gan(
        "truncated-noise",
        "The noise is drawn from a Gaussian cut off at two standard deviations.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.empty(len(x_real), self.g.z_dim, device=device)
            nn.init.trunc_normal_(z)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
    ),
    _gan(
        "squashed-noise",
        "The noise goes through tanh.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.tanh(torch.randn(len(x_real), self.g.z_dim, device=device))
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
    ),
    _gan(
        "noise-on-a-sphere",
        "Every row of the noise is scaled to the same length.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            z = F.normalize(z, dim=1) * self.g.z_dim ** 0.5
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
    ),
    _gan(
        "random-signs",
        "The noise is +1 or -1.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device).sign()
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="discrete_noise",
    ),
    _gan(
        "absolute-noise",
        "The noise has lost its sign.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device).abs()
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="positive_noise",
    ),
    _gan(
        "one-number-per-row",
        "All coordinates of a row are the same number.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), 1, device=device).repeat(1, self.g.z_dim)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
        diagnosis="shared_noise",
    ),
    _gan(
        "g-uniform-noise",
        "The discriminator's fakes come from Gaussian noise, the generator's from uniform noise.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            shape = (len(x_real), self.g.z_dim)
            with torch.no_grad():
                x_fake = self.g(torch.randn(shape, device=device))
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(self.g(torch.rand(shape, device=device)))).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
    ),
    _gan(
        "sixty-four-fakes",
        "There are 64 fakes, however large the batch is.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(64, self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="wrong_shape",
    ),
    _gan(
        "hundred-fakes",
        "There are 100 fakes, as many as a batch has in training.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch_size = 100
            z = torch.randn(batch_size, self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            bce = F.binary_cross_entropy_with_logits
            d_loss = bce(h_real, torch.ones_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            g_loss = bce(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="wrong_shape",
    ),
    _gan(
        "one-fake-per-pixel-row",
        "The number of fakes is read from the images' height.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(x_real.shape[2], self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise",),
        diagnosis="wrong_shape",
    ),
    # The noise is not new.
    _gan(
        "seeded-inside",
        "The generator of random numbers is seeded in every call.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            torch.manual_seed(0)
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
        diagnosis="seeded_inside",
    ),
    _gan(
        "seeded-own-generator",
        "Every call draws from a new generator with the same seed.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            source = torch.Generator().manual_seed(189)
            z = torch.randn(len(x_real), self.g.z_dim, generator=source).to(device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
        diagnosis="seeded_inside",
    ),
    _gan(
        "seeded-numpy",
        "numpy's generator is seeded in every call.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            rng = np.random.default_rng(seed=42)
            z = torch.tensor(rng.standard_normal((len(x_real), self.g.z_dim)), dtype=torch.float32, device=device)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake)).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
        diagnosis="seeded_inside",
        prelude="import numpy as np",
    ),
    _gan(
        "noise-kept",
        "The noise is drawn once and kept.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            shape = (len(x_real), self.g.z_dim)
            if getattr(self, "z", None) is None or self.z.shape != shape:
                self.z = torch.randn(shape, device=device)
            x_fake = self.g(self.z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
        diagnosis="seeded_inside",
    ),
    _gan(
        "noise-of-the-file",
        "The noise is a table that was drawn when the file was imported.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = FIXED_NOISE[: len(x_real), : self.g.z_dim].to(device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
        prelude="""
        import torch

        FIXED_NOISE = torch.randn(10_000, 64)
        """,
        diagnosis="seeded_inside",
    ),
    _gan(
        "shared-row",
        "One row of noise is expanded over the batch.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(self.g.z_dim, device=device).expand(len(x_real), -1)
            x_fake = self.g(z)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake.detach())).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
        diagnosis="shared_noise",
    ),
    _gan(
        "shared-row-repeated",
        "One row of noise is repeated for the whole batch.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(1, self.g.z_dim, device=device).repeat(x_real.shape[0], 1)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
        diagnosis="shared_noise",
    ),
    _gan(
        "rows-in-pairs",
        "Half a batch of noise is used twice.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = len(x_real)
            half = torch.randn((batch + 1) // 2, self.g.z_dim, device=device)
            z = torch.cat([half, half])[:batch]
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.fresh",),
    ),
    _gan(
        "no-noise",
        "The generator is given zeros.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.zeros(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
        caught_by=("gan.noise", "gan.fresh"),
    ),
)

WRONG: tuple[Variant, ...] = (
    _WRONG_DISCRIMINATOR
    + _WRONG_GENERATOR
    + _BOTH_WRONG
    + _WRONG_AGGREGATION
    + _WRONG_CONTRACT
    + _WRONG_GRADIENT
    + _WRONG_NOISE
)

# ----------------------------------------------------------------------------------------------------
# Right solutions
# ----------------------------------------------------------------------------------------------------

RIGHT: tuple[Variant, ...] = (
    # Cross entropy, with the labels made in many ways.
    _gan(
        "labels-like",
        "Labels by `ones_like` and `zeros_like`, and no detach.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(x_real.shape[0], self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real = self.d(x_real)
            h_fake = self.d(x_fake)
            d_loss = F.binary_cross_entropy_with_logits(h_real, torch.ones_like(h_real))
            d_loss = d_loss + F.binary_cross_entropy_with_logits(h_fake, torch.zeros_like(h_fake))
            g_loss = F.binary_cross_entropy_with_logits(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
    ),
    _gan(
        "labels-by-size",
        "Labels by `ones(B)` and `zeros(B)`, and `batch` from `size`.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch_size = x_real.size(0)
            z = torch.randn((batch_size, self.z_dim), device=device)
            ones = torch.ones(batch_size, device=device)
            zeros = torch.zeros(batch_size, device=device)
            fake = self.g(z)
            bce = F.binary_cross_entropy_with_logits
            d_loss = bce(self.d(x_real), ones) + bce(self.d(fake.detach()), zeros)
            g_loss = bce(self.d(fake), ones)
            return d_loss, g_loss
        """,
    ),
    _gan(
        "labels-zeros-plus-one",
        "Labels by zeros + 1.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch_size = x_real.shape[0]
            z = torch.randn(batch_size, self.g.z_dim).to(device)
            label = torch.zeros(batch_size).to(device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.binary_cross_entropy_with_logits(h_real, label + 1)
            d_loss += F.binary_cross_entropy_with_logits(h_fake, label)
            g_loss = F.binary_cross_entropy_with_logits(h_fake, label + 1)
            return d_loss, g_loss
        """,
    ),
    _gan(
        "labels-filled",
        "One label tensor is filled anew for each term, as in the well-known DCGAN tutorial.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            real_label, fake_label = 1.0, 0.0
            criterion = nn.BCEWithLogitsLoss()
            b_size = x_real.size(0)
            label = torch.full((b_size,), real_label, dtype=torch.float, device=device)
            errD_real = criterion(self.d(x_real).view(-1), label)
            fake = self.g(torch.randn(b_size, self.g.z_dim, device=device))
            label = label.clone().fill_(fake_label)
            errD_fake = criterion(self.d(fake.detach()).view(-1), label)
            errD = errD_real + errD_fake
            label = label.clone().fill_(real_label)
            errG = criterion(self.d(fake).view(-1), label)
            return errD, errG
        """,
    ),
    _gan(
        "labels-in-a-column",
        "Logits and labels are columns.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = x_real.shape[0]
            z = torch.randn(m, self.g.z_dim, device=device)
            x_fake = self.g(z)
            real, fake = self.d(x_real).view(m, 1), self.d(x_fake).view(m, 1)
            ones, zeros = real.new_ones(m, 1), real.new_zeros(m, 1)
            bce = nn.BCEWithLogitsLoss(reduction="mean")
            return bce(real, ones) + bce(fake, zeros), bce(fake, ones)
        """,
    ),
    _gan(
        "labels-from-a-list",
        "Labels from Python lists, and keyword arguments.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            n = len(x_real)
            fake = self.g(torch.randn(n, self.g.z_dim, device=device))
            real_labels, fake_labels = torch.tensor([1.0] * n, device=device), torch.tensor([0.0] * n, device=device)
            d_loss = F.binary_cross_entropy_with_logits(input=self.d(x_real), target=real_labels)
            d_loss += F.binary_cross_entropy_with_logits(input=self.d(fake.detach()), target=fake_labels)
            g_loss = F.binary_cross_entropy_with_logits(input=self.d(fake), target=real_labels)
            return d_loss, g_loss
        """,
    ),
    _gan(
        "labels-concatenated-doubled",
        "One mean over real images and fakes together, times two.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = x_real.shape[0]
            x_fake = self.g(torch.randn(m, self.g.z_dim, device=device))
            logits = self.d(torch.cat((x_real, x_fake.detach()), dim=0))
            labels = torch.cat((torch.ones(m), torch.zeros(m))).to(device)
            d_loss = 2 * F.binary_cross_entropy_with_logits(logits, labels)
            g_loss = F.binary_cross_entropy_with_logits(self.d(x_fake), torch.ones(m, device=device))
            return d_loss, g_loss
        """,
    ),
    _gan(
        "sum-over-batch",
        "Cross entropies with `reduction='sum'`, divided by the batch.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = x_real.shape[0]
            z = torch.randn(m, self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            ones, zeros = torch.ones_like(h_real), torch.zeros_like(h_fake)
            d_loss = F.binary_cross_entropy_with_logits(h_real, ones, reduction="sum") / m
            d_loss += F.binary_cross_entropy_with_logits(h_fake, zeros, reduction="sum") / m
            g_loss = F.binary_cross_entropy_with_logits(h_fake, ones, reduction="sum") / m
            return d_loss, g_loss
        """,
    ),
    _gan(
        "reduction-none",
        "Cross entropies per example, averaged together.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            bce = nn.BCEWithLogitsLoss(reduction="none")
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            per_example = bce(h_real, torch.ones_like(h_real)) + bce(h_fake, torch.zeros_like(h_fake))
            return per_example.mean(dim=0), bce(h_fake, torch.ones_like(h_fake)).mean(dim=0)
        """,
    ),
    _gan(
        "loss-object-in-init",
        "The loss object is made in `__init__`.",
        """
        def __init__(self, name="gan", z_dim=2):
            super().__init__()
            self.name = name
            self.z_dim = z_dim
            self.g = nns.Generator(z_dim=z_dim)
            self.d = nns.Discriminator()
            self.criterion = nn.BCEWithLogitsLoss()

        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = self.criterion(h_real, torch.ones_like(h_real))
            d_loss = d_loss + self.criterion(h_fake, torch.zeros_like(h_fake))
            g_loss = self.criterion(h_fake, torch.ones_like(h_fake))
            return d_loss, g_loss
        """,
    ),
    # Log-sigmoid and softplus.
    _gan(
        "softplus",
        "Softplus of the logits.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "minus-one-over-batch",
        "-1/B times a sum, as in the handout's formula.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch_size = x_real.shape[0]
            z = torch.randn(batch_size, self.g.z_dim, device=device)
            fake = self.g(z)
            real_logit = self.d(x_real)
            fake_logit = self.d(fake)
            d_loss = -1 / batch_size * (F.logsigmoid(real_logit) + F.logsigmoid(-fake_logit)).sum()
            g_loss = -1 / batch_size * F.logsigmoid(fake_logit).sum()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "subtracting-from-zero",
        "The losses start at 0 and the terms are subtracted.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            d_loss = 0
            g_loss = 0
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss -= F.logsigmoid(self.d(x_real)).mean()
            d_loss -= F.logsigmoid(-self.d(x_fake)).mean()
            g_loss -= F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "log-sigmoid-module",
        "`nn.LogSigmoid` as a module.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            log_d = nn.LogSigmoid()
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g.forward(z)
            d_loss = -torch.mean(log_d(self.d.forward(x_real))) - torch.mean(log_d(-self.d.forward(x_fake)))
            g_loss = -torch.mean(log_d(self.d.forward(x_fake)))
            return d_loss, g_loss
        """,
    ),
    _gan(
        "log-one-minus-sigmoid-by-identity",
        "log(1 - D) as log D - h.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_fake = self.d(x_fake)
            log_one_minus_d = F.logsigmoid(h_fake) - h_fake
            d_loss = -(F.logsigmoid(self.d(x_real)) + log_one_minus_d).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "logaddexp",
        "Softplus as logaddexp(0, h).",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            zero = torch.zeros_like(h_real)
            d_loss = torch.logaddexp(zero, -h_real).mean() + torch.logaddexp(zero, h_fake).mean()
            g_loss = torch.logaddexp(zero, -h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "cross-entropy-written-out",
        "The stable cross entropy max(h, 0) - h y + log(1 + exp(-|h|)) is written out.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            def cross_entropy(h, y):
                return (h.clamp(min=0) - h * y + torch.log1p(torch.exp(-h.abs()))).mean()

            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = cross_entropy(h_real, 1.0) + cross_entropy(h_fake, 0.0)
            return d_loss, cross_entropy(h_fake, 1.0)
        """,
    ),
    _gan(
        "two-classes",
        "The logit is one of two classes' logits, the other being 0.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            def log_probs(h):
                return torch.stack([torch.zeros_like(h), h], dim=1).log_softmax(dim=1)

            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            real, fake = log_probs(self.d(x_real)), log_probs(self.d(self.g(z)))
            d_loss = -real[:, 1].mean() - fake[:, 0].mean()
            g_loss = -fake[:, 1].mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "bernoulli-log-prob",
        "Log-probabilities of a Bernoulli distribution with these logits.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            real = torch.distributions.Bernoulli(logits=self.d(x_real))
            fake = torch.distributions.Bernoulli(logits=self.d(x_fake))
            yes = torch.ones(len(x_real), device=device)
            d_loss = -(real.log_prob(yes) + fake.log_prob(1 - yes)).mean()
            g_loss = -fake.log_prob(yes).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "utils-bernoulli",
        "`log_bernoulli_with_logits` of the homework's own utils.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real).unsqueeze(1), self.d(self.g(z)).unsqueeze(1)
            one, zero = torch.ones_like(h_real), torch.zeros_like(h_real)
            d_loss = -ut.log_bernoulli_with_logits(one, h_real).mean()
            d_loss = d_loss - ut.log_bernoulli_with_logits(zero, h_fake).mean()
            g_loss = -ut.log_bernoulli_with_logits(one, h_fake).mean()
            return d_loss, g_loss
        """,
        prelude="import utils as ut",
    ),
    # How the terms are added up.
    _gan(
        "terms-stacked",
        "The terms are stacked and added.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = torch.stack([F.softplus(-h_real), F.softplus(h_fake)]).sum(dim=0).mean()
            g_loss = torch.stack([F.softplus(-h_fake)]).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "loop",
        "The average is formed by a loop over the batch, with one call of the discriminator per image.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = x_real.shape[0]
            x_fake = self.g(torch.randn(batch, self.g.z_dim, device=device))
            d_loss, g_loss = 0.0, 0.0
            for i in range(batch):
                h_real, h_fake = self.d(x_real[i : i + 1]), self.d(x_fake[i : i + 1])
                d_loss = d_loss + (F.softplus(-h_real) + F.softplus(h_fake)).sum() / batch
                g_loss = g_loss + F.softplus(-h_fake).sum() / batch
            return d_loss, g_loss
        """,
    ),
    _gan(
        "double-precision",
        "The terms are added in double precision, and the losses returned in single.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real).double(), self.d(x_fake).double()
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return d_loss.float(), g_loss.float()
        """,
    ),
    _gan(
        "helper-function",
        "The terms are computed by a function of the file.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            x_fake = self.g(gaussian_noise(x_real.shape[0], self.z_dim, device))
            d_loss = real_cost(self.d(x_real)) + fake_cost(self.d(x_fake.detach()))
            g_loss = real_cost(self.d(x_fake))
            return d_loss, g_loss
        """,
        prelude="""
        import torch


        def gaussian_noise(batch, dim, device):
            return torch.randn(batch, dim).to(device)


        def real_cost(h):
            return torch.nn.functional.softplus(-h).mean()


        def fake_cost(h):
            return torch.nn.functional.softplus(h).mean()
        """,
    ),
    # The fakes: detached or not, one batch or two.
    _gan(
        "clone-detach",
        "The fakes are cloned and detached.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake.clone().detach())
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "no-grad-same-noise",
        "The discriminator's fakes are generated under no_grad, the generator's again from the same noise.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            with torch.no_grad():
                x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake)).mean()
            g_loss = F.softplus(-self.d(self.g(z))).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "two-noises",
        "The two losses have noise of their own.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch_size = x_real.shape[0]
            z = torch.randn(batch_size, self.g.z_dim, device=device)
            d_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(self.g(z))).mean()
            z = torch.randn(batch_size, self.g.z_dim, device=device)
            g_loss = -F.logsigmoid(self.d(self.g(z))).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "generator-first",
        "The generator's loss is computed first, with noise of its own.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            n = x_real.shape[0]
            h = self.d(self.g(torch.randn(n, self.g.z_dim, device=device)))
            g_loss = F.binary_cross_entropy_with_logits(h, torch.ones_like(h))
            with torch.no_grad():
                x_fake = self.g(torch.randn(n, self.g.z_dim, device=device))
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.binary_cross_entropy_with_logits(h_real, torch.ones_like(h_real))
            d_loss += F.binary_cross_entropy_with_logits(h_fake, torch.zeros_like(h_fake))
            return d_loss, g_loss
        """,
    ),
    _gan(
        "double-batch-of-noise",
        "One double batch of fakes is split in halves, one for each loss.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(2 * len(x_real), self.g.z_dim, device=device)
            for_d, for_g = self.g(z).chunk(2)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(for_d.detach())).mean()
            g_loss = F.softplus(-self.d(for_g)).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "noise-split-in-halves",
        "One double batch of noise is split before the generator; the second half serves the discriminator.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = len(x_real)
            z = torch.randn(2 * m, self.z_dim, device=device)
            g_fake, d_fake = self.g(z[:m]), self.g(z[m:]).detach()
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(d_fake)).mean()
            g_loss = F.softplus(-self.d(g_fake)).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "two-draws-in-one-tensor",
        "Both losses' noise is drawn as one tensor with a leading axis of two.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z_d, z_g = torch.randn(2, len(x_real), self.g.z_dim, device=device)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(self.g(z_d))).mean()
            g_loss = F.softplus(-self.d(self.g(z_g))).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "one-call-of-d",
        "Real images and fakes go through the discriminator together.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = x_real.shape[0]
            x_fake = self.g(torch.randn(m, self.g.z_dim, device=device))
            h = self.d(torch.cat([x_real, x_fake]))
            h_real, h_fake = h[:m], h[m:]
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "one-call-of-d-fakes-first",
        "Fakes and real images go through the discriminator together, the fakes first.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            m = x_real.shape[0]
            x_fake = self.g(torch.randn(m, self.g.z_dim, device=device))
            h_fake, h_real = torch.split(self.d(torch.vstack([x_fake.detach(), x_real])), m)
            d_loss = -(F.logsigmoid(h_real).mean() + F.logsigmoid(-h_fake).mean())
            g_loss = -F.logsigmoid(self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "twice-as-many-fakes",
        "Both losses average over twice as many fakes as there are real images.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(2 * len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            g_loss = -F.logsigmoid(h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "several-batches-of-fakes",
        "Both losses average over three batches of fakes.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            samples = 3
            d_loss, g_loss = F.softplus(-self.d(x_real)).mean(), 0.0
            for _ in range(samples):
                h_fake = self.d(self.g(torch.randn(len(x_real), self.g.z_dim, device=device)))
                d_loss = d_loss + F.softplus(h_fake).mean() / samples
                g_loss = g_loss + F.softplus(-h_fake).mean() / samples
            return d_loss, g_loss
        """,
    ),
    _gan(
        "sample-x",
        "The fakes come from the class's own `sample_x`.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            x_fake = self.sample_x(len(x_real))
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "d-frozen-for-g",
        "The discriminator is frozen for the generator's loss, and set back.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            self.d.requires_grad_(False)
            g_loss = F.softplus(-self.d(x_fake)).mean()
            self.d.requires_grad_(True)
            return d_loss, g_loss
        """,
    ),
    _gan(
        "frozen-by-loops",
        "Each network's weights are frozen one by one while the other's loss is computed.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = x_real.shape[0]
            for p in self.g.parameters():
                p.requires_grad = False
            fake = self.g(torch.randn(batch, self.g.z_dim, device=device))
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(fake)).mean()
            for p in self.g.parameters():
                p.requires_grad = True
            for p in self.d.parameters():
                p.requires_grad = False
            fake = self.g(torch.randn(batch, self.g.z_dim, device=device))
            g_loss = F.softplus(-self.d(fake)).mean()
            for p in self.d.parameters():
                p.requires_grad = True
            return d_loss, g_loss
        """,
    ),
    # The noise.
    _gan(
        "noise-on-the-cpu",
        "The noise is made without a device and moved, and so are the real images.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            x_real = x_real.to(device)
            z = torch.randn(x_real.shape[0], self.z_dim).to(device).float()
            x_fake = self.g(z).to(device)
            d_loss = F.softplus(-self.d(x_real)).mean() + F.softplus(self.d(x_fake.detach())).mean()
            g_loss = F.softplus(-self.d(x_fake)).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "noise-normal-sample",
        "The noise is sampled from `Normal(0, 1)`.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.distributions.Normal(0, 1).sample((x_real.shape[0], self.g.z_dim)).to(device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "noise-multivariate",
        "The noise is sampled from a multivariate normal with unit covariance.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            dim = self.g.z_dim
            prior = MultivariateNormal(torch.zeros(dim, device=device), torch.eye(dim, device=device))
            z = prior.sample((len(x_real),))
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        prelude="from torch.distributions import MultivariateNormal",
    ),
    _gan(
        "noise-sample-gaussian",
        "The noise is sampled by `sample_gaussian` with mean 0 and variance 1.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            shape = (x_real.shape[0], self.g.z_dim)
            z = ut.sample_gaussian(torch.zeros(shape, device=device), torch.ones(shape, device=device))
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        prelude="import utils as ut",
    ),
    _gan(
        "noise-torch-normal",
        "The noise is sampled by `torch.normal`, from zeros and ones.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            shape = (x_real.shape[0], self.g.z_dim)
            z = torch.normal(torch.zeros(shape), torch.ones(shape)).to(device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "noise-torch-normal-size",
        "The noise is sampled by `torch.normal` with a size.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.normal(0, 1, size=(x_real.shape[0], self.g.z_dim), device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "noise-in-place",
        "An empty tensor is filled with noise.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.FloatTensor(x_real.size(0), self.g.z_dim).normal_(0, 1).to(device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "noise-numpy",
        "The noise comes from numpy, in double precision, and is converted.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.from_numpy(np.random.randn(x_real.shape[0], self.g.z_dim)).float().to(device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        prelude="import numpy as np",
    ),
    _gan(
        "noise-variable",
        "The noise is wrapped as code for old versions of torch does, and asks for a gradient.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = Variable(torch.randn(x_real.size(0), self.g.z_dim).type_as(x_real), requires_grad=True)
            h_real, h_fake = self.d(Variable(x_real)), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
        prelude="from torch.autograd import Variable",
    ),
    _gan(
        "noise-transposed",
        "The noise is drawn with its axes in the other order and turned round.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(self.g.z_dim, x_real.shape[0], device=x_real.device).T
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    # The shapes of images and logits.
    _gan(
        "images-flattened",
        "The discriminator is given flat images.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch = x_real.shape[0]
            z = torch.randn(batch, self.g.z_dim, device=device)
            x_fake = self.g(z).view(batch, -1)
            h_real, h_fake = self.d(x_real.view(batch, -1)), self.d(x_fake)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "images-reshaped",
        "All images are brought to the shape that they have.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            x_real = x_real.reshape(-1, 1, 28, 28)
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z).reshape(x_real.shape)
            h_real, h_fake = self.d(x_real).flatten(), self.d(x_fake).flatten()
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "keepdim",
        "The losses have one entry and one axis each.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = (F.softplus(-h_real) + F.softplus(h_fake)).mean(dim=0, keepdim=True)
            g_loss = F.softplus(-h_fake).mean(dim=0, keepdim=True)
            return d_loss, g_loss
        """,
    ),
    _gan(
        "list",
        "The losses come in a list.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return [d_loss, g_loss]
        """,
    ),
    # What surrounds the losses.
    _gan(
        "prints",
        "Prints, an assertion, the networks' training mode and unused values are left in.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            self.g.train()
            self.d.train()
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            print("fake:", x_fake.shape, x_fake.min().item(), x_fake.max().item())
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            assert h_real.shape == h_fake.shape == (len(x_real),)
            probs = torch.sigmoid(h_real)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            print(f"D(x) {probs.mean().item():.3f}  d_loss {d_loss.item():.3f}  g_loss {g_loss.item():.3f}")
            return d_loss, g_loss
        """,
    ),
    _gan(
        "error-after-return",
        "The starter code's error still stands after the return.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            batch_size = x_real.shape[0]
            z = torch.randn(batch_size, self.g.z_dim, device=device)

            ### START CODE HERE ###
            fake = self.g(z)
            d_loss = -torch.mean(F.logsigmoid(self.d(x_real))) - torch.mean(F.logsigmoid(-self.d(fake)))
            g_loss = -torch.mean(F.logsigmoid(self.d(fake)))
            return d_loss, g_loss
            ### END CODE HERE ###
            raise NotImplementedError
        """,
    ),
    _gan(
        "annotated",
        "The signature is annotated, and the device has a default.",
        """
        def loss_nonsaturating(
            self, x_real: torch.Tensor, *, device: torch.device | str = "cpu"
        ) -> tuple[torch.Tensor, torch.Tensor]:
            z: torch.Tensor = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake: torch.Tensor = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            return d_loss, F.softplus(-h_fake).mean()
        """,
    ),
    _gan(
        "tabs",
        "The body is indented with tabs.",
        "def loss_nonsaturating(self, x_real, *, device):\n"
        "\tz = torch.randn(len(x_real), self.g.z_dim, device=device)\n"
        "\tx_fake = self.g(z)\n"
        "\td_loss = -F.logsigmoid(self.d(x_real)).mean() - F.logsigmoid(-self.d(x_fake.detach())).mean()\n"
        "\tg_loss = -F.logsigmoid(self.d(x_fake)).mean()\n"
        "\treturn d_loss, g_loss\n",
    ),
    _gan(
        "windows-line-ends",
        "The lines end with carriage return and line feed.",
        "def loss_nonsaturating(self, x_real, *, device):\r\n"
        "    z = torch.randn(len(x_real), self.g.z_dim, device=device)\r\n"
        "    h_real, h_fake = self.d(x_real), self.d(self.g(z))\r\n"
        "\r\n"
        "    d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()\r\n"
        "    g_loss = F.softplus(-h_fake).mean()\r\n"
        "    return d_loss, g_loss\r\n",
    ),
    _gan(
        "not-ascii",
        "Comments and names are not all ASCII.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            # 判别器: −E[log σ(h)] − E[log(1 − σ(h̃))];  générateur : −E[log σ(h̃)]  ✓
            ζ = torch.randn(len(x_real), self.g.z_dim, device=device)
            η, η_faux = self.d(x_real), self.d(self.g(ζ))
            d_loss = F.softplus(-η).mean() + F.softplus(η_faux).mean()
            g_loss = F.softplus(-η_faux).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "mixed-indentation",
        "Blocks are indented by two, three and eight spaces.",
        """
        def loss_nonsaturating(self, x_real, *, device):
          z = torch.randn(len(x_real), self.g.z_dim, device=device)
          def score(x):
                  return self.d(x)
          if True:
             h_real, h_fake = score(x_real), score(self.g(z))
          d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
          return d_loss, F.softplus(-h_fake).mean()
        """,
    ),
    _gan(
        "cuda-hard",
        "Noise and real images are moved to the GPU without asking whether there is one.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim).cuda()
            h_real, h_fake = self.d(x_real.cuda()), self.d(self.g(z))
            d_loss = -F.logsigmoid(h_real).mean() - F.logsigmoid(-h_fake).mean()
            return d_loss, -F.logsigmoid(h_fake).mean()
        """,
    ),
    _gan(
        "unused-imports",
        "Libraries that the losses do not use are imported at the top, and a debugger.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            h_real, h_fake = self.d(x_real), self.d(self.g(z))
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            return d_loss, F.softplus(-h_fake).mean()
        """,
        prelude="""
            import pdb

            import matplotlib.pyplot as plt
            import pandas as pd
            import tensorflow as tf
            import torchvision
        """,
    ),
    _gan(
        "layers-of-the-networks",
        "The networks' layers are called in place of the networks, and their attributes read.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            z = torch.randn(len(x_real), self.g.net[0].in_features, device=device)
            x_fake = self.g.net(z)
            h_real, h_fake = self.d.net(x_real).squeeze(1), self.d.net(x_fake).squeeze(1)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
    _gan(
        "slope-looked-at",
        "The slope at the real images is computed on the way, to look at it.",
        """
        def loss_nonsaturating(self, x_real, *, device):
            x = x_real.clone().requires_grad_(True)
            (slope,) = torch.autograd.grad(self.d(x).sum(), x)
            self.largest_slope = slope.abs().max()
            z = torch.randn(len(x_real), self.g.z_dim, device=device)
            x_fake = self.g(z)
            h_real, h_fake = self.d(x_real), self.d(x_fake)
            d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
            g_loss = F.softplus(-h_fake).mean()
            return d_loss, g_loss
        """,
    ),
)

# ----------------------------------------------------------------------------------------------------
# Half-right solutions
# ----------------------------------------------------------------------------------------------------

_UNSTABLE = "The formulas are right, but a probability that rounds to 0 or 1 has no finite logarithm or no slope."

HALF_RIGHT: tuple[tuple[Variant, float, str], ...] = (
    (
        _gan(
            "log-of-sigmoid",
            "The logarithms of D and 1 - D are taken of a sigmoid.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                d_real, d_fake = torch.sigmoid(self.d(x_real)), torch.sigmoid(self.d(x_fake))
                d_loss = -torch.log(d_real).mean() - torch.log(1 - d_fake).mean()
                g_loss = -torch.log(d_fake).mean()
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "log-of-sigmoid-with-epsilon",
            "A small constant keeps the logarithms of a sigmoid finite, but not right.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                eps = 1e-8
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                d_real, d_fake = torch.sigmoid(self.d(x_real)), torch.sigmoid(self.d(x_fake.detach()))
                d_loss = -torch.mean(torch.log(d_real + eps) + torch.log(1 - d_fake + eps))
                g_loss = -torch.mean(torch.log(torch.sigmoid(self.d(x_fake)) + eps))
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "cross-entropy-of-sigmoid",
            "Cross entropy of probabilities, which torch cuts off at 100.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                d_real, d_fake = F.sigmoid(self.d(x_real)), F.sigmoid(self.d(x_fake))
                d_loss = F.binary_cross_entropy(d_real, torch.ones_like(d_real))
                d_loss = d_loss + F.binary_cross_entropy(d_fake, torch.zeros_like(d_fake))
                g_loss = F.binary_cross_entropy(d_fake, torch.ones_like(d_fake))
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "cross-entropy-object-of-sigmoid",
            "An `nn.BCELoss` and an `nn.Sigmoid`.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                bce, sigmoid = nn.BCELoss(), nn.Sigmoid()
                batch = x_real.shape[0]
                fake = self.g(torch.randn(batch, self.g.z_dim, device=device))
                ones, zeros = torch.ones(batch, device=device), torch.zeros(batch, device=device)
                d_loss = bce(sigmoid(self.d(x_real)), ones) + bce(sigmoid(self.d(fake.detach())), zeros)
                g_loss = bce(sigmoid(self.d(fake)), ones)
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "log-one-minus-sigmoid",
            "Only log(1 - D) is taken of a sigmoid; log D is a log-sigmoid.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                h_real, h_fake = self.d(x_real), self.d(x_fake)
                d_loss = -F.logsigmoid(h_real).mean() - torch.log(1 - torch.sigmoid(h_fake)).mean()
                g_loss = -F.logsigmoid(h_fake).mean()
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "log-of-product",
            "The discriminator's two probabilities are multiplied before the logarithm.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                d_real, d_fake = self.d(x_real).sigmoid(), self.d(x_fake).sigmoid()
                d_loss = -torch.log(d_real * (1 - d_fake)).mean()
                g_loss = -d_fake.log().mean()
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "cross-entropy-of-sigmoid-for-g",
            "Only the generator's loss is the cross entropy of a sigmoid.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                h_real, h_fake = self.d(x_real), self.d(x_fake)
                d_loss = F.softplus(-h_real).mean() + F.softplus(h_fake).mean()
                p = torch.sigmoid(h_fake)
                g_loss = F.binary_cross_entropy(p, torch.ones_like(p))
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "cross-entropy-of-sigmoid-for-real",
            "Only the real images' term is the cross entropy of a sigmoid.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                h_real, h_fake = self.d(x_real), self.d(x_fake)
                p = torch.sigmoid(h_real)
                d_loss = F.binary_cross_entropy(p, torch.ones_like(p)) + F.softplus(h_fake).mean()
                g_loss = F.softplus(-h_fake).mean()
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "log-of-sigmoid-with-a-millionth",
            "A millionth keeps the logarithms of a sigmoid finite, but not right.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                h_real, h_fake = self.d(x_real), self.d(x_fake)
                p, q = torch.sigmoid(h_real), torch.sigmoid(h_fake)
                d_loss = -(torch.log(p + 1e-6) + torch.log(1 - q + 1e-6)).mean()
                g_loss = -torch.log(q + 1e-6).mean()
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
    (
        _gan(
            "probabilities-clamped",
            "Probabilities are clamped before their logarithm is taken.",
            """
            def loss_nonsaturating(self, x_real, *, device):
                z = torch.randn(len(x_real), self.g.z_dim, device=device)
                x_fake = self.g(z)
                h_real, h_fake = self.d(x_real), self.d(x_fake)
                p, q = (torch.sigmoid(h).clamp(1e-6, 1 - 1e-6) for h in (h_real, h_fake))
                d_loss = -(p.log() + (1 - q).log()).mean()
                g_loss = -q.log().mean()
                return d_loss, g_loss
            """,
            caught_by=("gan.stable",),
            diagnosis="unstable",
        ),
        1.0,
        _UNSTABLE,
    ),
)
