"""The bank of solutions that the grader is graded with: wrong ones, right ones written differently, half-right ones."""

from autograder.hw11.mistakes import vae

WRONG = vae.WRONG
RIGHT = vae.RIGHT
HALF_RIGHT = vae.HALF_RIGHT
