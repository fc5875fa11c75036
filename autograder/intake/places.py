"""Names of files beside run_autograder that say what is graded here, and how."""

COURSE = "course.toml"
"""A course's settings."""
ONLY = "only"
"""The part that a bundle was packed for, a selector a line."""
LEADERBOARD = "leaderboard"
"""Turns the leaderboard on; it is empty."""
