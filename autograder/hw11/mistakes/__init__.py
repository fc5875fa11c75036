"""The bank of solutions that the grader is graded with: wrong ones, right ones written differently, half-right ones."""

from autograder.hw11.mistakes import gan, policy_gradient, summarization, vae

WRONG = summarization.WRONG + vae.WRONG + gan.WRONG + policy_gradient.WRONG
RIGHT = summarization.RIGHT + vae.RIGHT + gan.RIGHT + policy_gradient.RIGHT
HALF_RIGHT = summarization.HALF_RIGHT + vae.HALF_RIGHT + gan.HALF_RIGHT + policy_gradient.HALF_RIGHT
