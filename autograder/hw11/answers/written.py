"""The written answers of questions 3 and 5 that stand in answers.toml: a person reads them."""

from types import MappingProxyType

from autograder.core import Check
from autograder.hw11.answers.fields import REQUEST, Passed

LEARNING = MappingProxyType({
    "lambdas": "The values of lambda", "observations": "Forgetting, and the role of lambda",
    "mlp": "An MLP in place of the CNN", "rehearsal": "Rehearsal",
})  # fmt: skip
PROOFS = MappingProxyType({
    "vanishing": "The vanishing gradient", "optimal_discriminator": "The optimal discriminator",
    "divergence": "The divergence that is minimised",
})  # fmt: skip

CONTINUAL_LEARNING = (
    Check(
        "continual_learning.written", "observations", 0, REQUEST, Passed("continual_learning", LEARNING), manual=True
    ),
)
GAN = (Check("gan.written", "proofs", 0, REQUEST, Passed("gan", PROOFS), manual=True),)
