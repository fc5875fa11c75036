"""Question 3: permuted pixels, elastic weight consolidation and rehearsal, each for itself and all of it together.

`data.py` asks and judges permute_mnist and rehearsal_set, `fisher.py` on_task_update, `penalty.py` ewc_penalty and
train_ewc, `behaviour.py` what comes of them; `classifier.py` has the gradients that they compare with. The probes, and
the small classifier that the notebook's functions are tried on, are in `continual_learning/probes.py`. Points, names
and the order of the checks are here.
"""

from autograder.core import Check, Question
from autograder.hw11.answers import written
from autograder.hw11.continual_learning import behaviour, data, fisher, penalty
from autograder.judging.judges import Exact, Statistical

QUESTION = Question(
    id="continual_learning",
    number=3,
    title="Continual learning",
    files=("continual_learning.ipynb",),
    checks=(
        Check("continual_learning.permute", "permute_mnist: one permutation", 1, data.PERMUTE, Exact(data.permute)),
        Check(
            "continual_learning.fisher",
            "on_task_update: Fisher information",
            2,
            fisher.REQUEST,
            Exact(fisher.fisher),
            counterexample=fisher.SMALLEST,
        ),
        Check(
            "continual_learning.fisher_parameters",
            "on_task_update: old parameters",
            1,
            fisher.REQUEST,
            Exact(fisher.parameters),
        ),
        Check(
            "continual_learning.penalty",
            "ewc_penalty: value and gradient",
            2,
            penalty.PENALTY,
            Exact(penalty.penalty),
            counterexample=penalty.SMALLEST,
        ),
        Check("continual_learning.train_ewc", "train_ewc: every step", 2, penalty.TRAINING, Exact(penalty.training)),
        Check(
            "continual_learning.rehearsal",
            "rehearsal_set: all tasks",
            1,
            data.REHEARSAL,
            Statistical(data.rehearsal, data.BLOCKS, "the images of each task are kept together"),
        ),
        Check(
            "continual_learning.behaviour",
            "EWC and rehearsal: less is forgotten",
            1,
            behaviour.REQUEST,
            Exact(behaviour.behaviour),
        ),
        *written.CONTINUAL_LEARNING,
    ),
    optional=True,
)
