"""Question 1: a Transformer's layer and stack with their caches, greedy and beam search, and the notebook's log.

`layer.py`, `stack.py`, `decoding.py` and `work.py` ask and judge the functions; `transformer.py` computes what is
right, with a bound on rounding. `log.py` judges submission_log.json. The probes that run beside the student's code are
in `probes.py` and `private_probes.py`. Points, names and the order of the checks are here.
"""

from autograder.core import Check, Question
from autograder.hw11.summarization import answers, decoding, layer, log, stack, work
from autograder.judging.judges import Exact

QUESTION = Question(
    id="summarization",
    number=1,
    title="Summarization",
    files=("summarization.ipynb", "submission_log.json"),
    checks=(
        Check(
            "summarization.layer",
            "TransformerLayer: no cache",
            3,
            layer.REQUEST,
            Exact(layer.plain),
            counterexample=layer.SMALLEST_PLAIN,
        ),
        Check(
            "summarization.layer_cached",
            "TransformerLayer: step by step",
            4,
            layer.REQUEST,
            Exact(layer.step_by_step),
            counterexample=layer.SMALLEST_STEP,
        ),
        Check(
            "summarization.layer_cache",
            "TransformerLayer: contents of the cache",
            2,
            layer.REQUEST,
            Exact(layer.cache),
            counterexample=layer.SMALLEST_CACHE,
        ),
        Check(
            "summarization.layer_training",
            "TransformerLayer: gradients and dropout",
            1,
            layer.REQUEST,
            Exact(layer.training),
        ),
        Check("summarization.layer_work", "TransformerLayer: work per token", 1, work.REQUEST, Exact(work.linear)),
        Check(
            "summarization.stack",
            "TransformerStack: no cache",
            2,
            stack.REQUEST,
            Exact(stack.plain),
            counterexample=stack.SMALLEST_PLAIN,
        ),
        Check(
            "summarization.stack_cached",
            "TransformerStack: step by step",
            4,
            stack.REQUEST,
            Exact(stack.step_by_step),
            counterexample=stack.SMALLEST_STEP,
        ),
        Check(
            "summarization.stack_cache",
            "TransformerStack: contents of the caches",
            2,
            stack.REQUEST,
            Exact(stack.cache),
            counterexample=stack.SMALLEST_CACHE,
        ),
        Check("summarization.stack_work", "TransformerStack: work per token", 1, stack.REQUEST, Exact(stack.work)),
        Check(
            "summarization.greedy",
            "greedy_decode: tokens",
            4,
            decoding.GREEDY,
            Exact(decoding.greedily),
            counterexample=decoding.SMALLEST_GREEDY,
        ),
        Check("summarization.greedy_work", "greedy_decode: work", 1, decoding.GREEDY, Exact(decoding.greedy_work)),
        Check(
            "summarization.beam",
            "beam_search: tokens",
            4,
            decoding.BEAM,
            Exact(decoding.beamed),
            counterexample=decoding.SMALLEST_BEAM,
        ),
        Check("summarization.beam_work", "beam_search: work", 1, decoding.BEAM, Exact(decoding.beam_work)),
        Check("summarization.log_modules", "submission_log.json: module outputs", 1, log.LOG, Exact(log.modules)),
        Check("summarization.log_rouge", "submission_log.json: ROUGE scores recomputed", 1, log.LOG, Exact(log.rouge)),
        Check("summarization.log_better", "submission_log.json: fine-tuning helps", 1, log.LOG, Exact(log.better)),
        *answers.CHECKS,
    ),
)
