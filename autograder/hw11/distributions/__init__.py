"""Question 2: the Kullback-Leibler divergence, the Gaussian that is nearest in either direction, and two answers.

`kl.py` and `fit.py` ask and judge the notebook's functions, `example.py` the file of answers: a pair of distributions
and which plot is which. The probes are in `distributions/probes.py`, which runs beside the student's code, and
`answers/probes.py`, which reads the file. Points, names and the order of the checks are here.
"""

from autograder.core import Check, Question
from autograder.hw11.answers.fields import FILE, REQUEST
from autograder.hw11.distributions import example, fit, kl
from autograder.judging.judges import Exact

QUESTION = Question(
    id="distributions",
    number=2,
    title="Comparing distributions",
    files=("comparing_distributions.ipynb", FILE),
    checks=(
        Check(
            "distributions.discrete",
            "kl_divergence: tables",
            2,
            kl.REQUEST,
            Exact(kl.discrete),
            counterexample=kl.SMALLEST_TABLE,
        ),
        Check(
            "distributions.gaussian",
            "kl_divergence: Gaussians",
            1,
            kl.REQUEST,
            Exact(kl.gaussian),
            counterexample=kl.SMALLEST_PAIR,
        ),
        Check("distributions.forward", "fit_gaussian: forward", 2, fit.FORWARD, Exact(fit.forward)),
        Check("distributions.reverse", "fit_gaussian: reverse", 2, fit.REVERSE, Exact(fit.reverse)),
        Check("distributions.example", "answers: finite in one direction only", 2, REQUEST, Exact(example.example)),
        Check("distributions.plots", "answers: which plot is which", 1, REQUEST, Exact(example.plots)),
    ),
)
