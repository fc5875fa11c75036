"""Question 6: the policy gradient's loss, what comes of training with it, and the notebook that it lives in.

`loss.py` asks and judges the function (or the loss written out in the loop of a notebook without one),
`training.py` a network trained with it and the notebook's whole run. The probes that run beside the
student's code are in `policy_gradient/probes.py`. Points, names and the order of the checks are here.
"""

from autograder.core import Check, Question
from autograder.hw11.policy_gradient import answers, loss, training
from autograder.judging.judges import Exact, Statistical

ALPHA = 1e-11
"""For the one check of luck; training's own bound is stated in training.py."""

QUESTION = Question(
    id="policy_gradient",
    number=6,
    title="Policy gradient",
    files=("policy_gradient.ipynb",),
    checks=(
        Check(
            "policy_gradient.contract",
            "policy_gradient_loss: a scalar with a gradient",
            1,
            loss.REQUEST,
            Exact(loss.contract),
        ),
        Check(
            "policy_gradient.gradient",
            "policy_gradient_loss: reward times score",
            5,
            loss.REQUEST,
            Exact(loss.gradient),
            counterexample=loss.SMALLEST,
        ),
        Check("policy_gradient.sign", "policy_gradient_loss: sign", 2, loss.REQUEST, Exact(loss.sign)),
        Check(
            "policy_gradient.average",
            "policy_gradient_loss: average over the batch",
            2,
            loss.REQUEST,
            Exact(loss.average),
        ),
        Check("policy_gradient.inputs", "policy_gradient_loss: inputs left alone", 1, loss.REQUEST, Exact(loss.inputs)),
        Check(
            "policy_gradient.unbiased",
            "policy_gradient_loss: unbiased with drawn actions",
            3,
            loss.REQUEST,
            Statistical(loss.unbiased, ALPHA, "at 32,768 actions: a bias of 16 % of the exact gradient"),
        ),
        Check(
            "policy_gradient.training",
            "policy_gradient_loss: training with the loss",
            3,
            training.TRAINING,
            Exact(training.training),
        ),
        Check(
            "policy_gradient.notebook",
            "policy_gradient.ipynb: the notebook runs and trains",
            2,
            training.NOTEBOOK,
            Exact(training.notebook),
        ),
        *answers.CHECKS,
    ),
)
