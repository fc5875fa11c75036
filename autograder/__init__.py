"""An autograder for homework whose answers are random."""
