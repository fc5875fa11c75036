"""The bank of solutions that the grader is graded with: wrong ones, right ones written differently, half-right ones."""

from autograder.hw11.solutions import continual_learning, distributions, gan, policy_gradient, summarization, vae

_QUESTIONS = (summarization, distributions, continual_learning, vae, gan, policy_gradient)
WRONG = tuple(variant for question in _QUESTIONS for variant in question.WRONG)
RIGHT = tuple(variant for question in _QUESTIONS for variant in question.RIGHT)
HALF_RIGHT = tuple(case for question in _QUESTIONS for case in question.HALF_RIGHT)
