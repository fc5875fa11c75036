"""Question 5: the losses of a generative adversarial network.

As in question 4 the randomness is taken out first: a stub generator records the z that it is given, a stub
discriminator has analytic logits, and given z both losses and their gradients are known up to rounding.

`reading.py` reads what `loss_nonsaturating` returned, `loss.py` asks and judges it. The probe that runs
beside the student's code is `gan/private_probes.py`. Points, names and the order of the checks are here.
"""

from autograder.core import Check, Question
from autograder.hw11 import pictures
from autograder.hw11.answers import written
from autograder.hw11.gan import loss
from autograder.judging.judges import Exact, Statistical

ALPHA = 1e-11

QUESTION = Question(
    id="gan",
    number=5,
    title="GAN",
    files=("gan_vae/models/gan.py", pictures.FILES["gan"]),
    optional=True,
    checks=(
        Check("gan.contract", "loss_nonsaturating: two scalars", 1, loss.REQUEST, Exact(loss.contract)),
        Check(
            "gan.discriminator",
            "loss_nonsaturating: discriminator's loss",
            3,
            loss.REQUEST,
            Exact(loss.discriminator),
            counterexample=loss.SMALLEST_D,
        ),
        Check(
            "gan.generator",
            "loss_nonsaturating: generator's loss",
            3,
            loss.REQUEST,
            Exact(loss.generator),
            counterexample=loss.SMALLEST_G,
        ),
        Check("gan.average", "loss_nonsaturating: average over the batch", 1, loss.REQUEST, Exact(loss.average)),
        Check(
            "gan.gradient_discriminator",
            "loss_nonsaturating: gradient to the discriminator",
            1,
            loss.REQUEST,
            Exact(loss.gradient_discriminator),
        ),
        Check(
            "gan.gradient_generator",
            "loss_nonsaturating: gradient to the generator",
            1,
            loss.REQUEST,
            Exact(loss.gradient_generator),
        ),
        Check("gan.stable", "loss_nonsaturating: large logits", 1, loss.REQUEST, Exact(loss.stable)),
        Check(
            "gan.noise",
            "loss_nonsaturating: z standard normal",
            1,
            loss.REQUEST,
            Statistical(loss.noise, ALPHA, "at 8,064 values: a mean off by 0.14, a variance by 22 %"),
        ),
        Check(
            "gan.fresh",
            "loss_nonsaturating: new z each time",
            1,
            loss.REQUEST,
            Statistical(loss.fresh, ALPHA, "a correlation of 0.6 between two calls, of 0.77 between two images"),
        ),
        pictures.check("gan", 2),
        *written.GAN,
    ),
)
