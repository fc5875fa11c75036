"""Grading the grader: wrong and right solutions, attacks, false-fail rates, figures."""
