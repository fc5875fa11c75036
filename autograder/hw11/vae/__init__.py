"""Question 4: the reparametrised sample and the negative evidence lower bound.

How it is graded. The random part of an answer is taken out first: stub networks of ours record the z that
the student's code drew, and given z nearly every property is an identity that holds up to rounding.
Statistics remain for one question only: is the noise in z iid N(0, 1)?

`sample.py` asks and judges `sample_gaussian`; `reading.py` reads what `negative_elbo_bound` returned, and
`bound.py` asks and judges it. The probes that run beside the student's code are `vae/probes.py` and
`vae/private_probes.py`. Points, names and the order of the checks are here.
"""

from autograder.core import Check, Question
from autograder.hw11 import pictures
from autograder.hw11.vae import answers, bound, sample
from autograder.judging.judges import Exact, Statistical

ALPHA = 1e-11
"""For each statistical check and attempt; five of them make 5e-11, and a fail needs two attempts."""

LARGE = "at 32,768 values: a mean off by 0.07, a variance by 10 %, P(|e| > 3) by a factor of 4"

QUESTION = Question(
    id="vae",
    number=4,
    title="VAE",
    files=("gan_vae/utils.py", "gan_vae/models/vae.py", pictures.FILES["vae"]),
    checks=(
        Check("vae.sample.contract", "sample_gaussian: shape and type", 1, sample.REQUEST, Exact(sample.contract)),
        Check("vae.sample.inputs", "sample_gaussian: inputs left alone", 1, sample.REQUEST, Exact(sample.inputs)),
        Check(
            "vae.sample.noise",
            "sample_gaussian: standard normal noise",
            2,
            sample.REQUEST,
            Statistical(sample.noise, ALPHA, LARGE),
        ),
        Check(
            "vae.sample.parameters",
            "sample_gaussian: follows m and v",
            2,
            sample.REQUEST,
            Statistical(sample.follows, ALPHA, "at 32,768 values: a correlation of 0.07 with m or log v"),
            counterexample=sample.SMALLEST,
        ),
        Check(
            "vae.sample.independence",
            "sample_gaussian: independent entries",
            1,
            sample.REQUEST,
            Statistical(sample.independence, ALPHA, "a correlation of 0.02 shared by all dimensions"),
        ),
        Check(
            "vae.sample.fresh",
            "sample_gaussian: new noise each call",
            1,
            sample.REQUEST,
            Statistical(sample.fresh, ALPHA, "a correlation of 0.2 between two calls"),
        ),
        Check("vae.sample.gradient", "sample_gaussian: gradients", 2, sample.REQUEST, Exact(sample.gradient)),
        Check("vae.bound.contract", "negative_elbo_bound: three scalars", 1, bound.REQUEST, Exact(bound.contract)),
        Check(
            "vae.bound.kl",
            "negative_elbo_bound: KL term",
            3,
            bound.REQUEST,
            Exact(bound.kl),
            counterexample=bound.SMALLEST_KL,
        ),
        Check(
            "vae.bound.closed_form",
            "negative_elbo_bound: KL in closed form",
            1,
            bound.REQUEST,
            Exact(bound.closed_form),
        ),
        Check(
            "vae.bound.reconstruction",
            "negative_elbo_bound: reconstruction term",
            3,
            bound.REQUEST,
            Exact(bound.reconstruction),
            counterexample=bound.SMALLEST_REC,
        ),
        Check("vae.bound.sum", "negative_elbo_bound: sum of the two terms", 2, bound.REQUEST, Exact(bound.adds_up)),
        Check(
            "vae.bound.average", "negative_elbo_bound: average over the batch", 1, bound.REQUEST, Exact(bound.average)
        ),
        Check(
            "vae.bound.gradient_encoder",
            "negative_elbo_bound: gradient to the encoder",
            1,
            bound.REQUEST,
            Exact(bound.gradient_encoder),
        ),
        Check(
            "vae.bound.gradient_decoder",
            "negative_elbo_bound: gradient to the decoder",
            1,
            bound.REQUEST,
            Exact(bound.gradient_decoder),
        ),
        Check(
            "vae.bound.posterior",
            "negative_elbo_bound: z drawn from q(z|x)",
            2,
            bound.REQUEST,
            Statistical(bound.posterior, ALPHA, "at 8,192 values: a mean off by 0.14, a variance by 22 %"),
        ),
        pictures.check("vae", 3),
        *answers.CHECKS,
    ),
)
