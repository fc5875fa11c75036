"""Many submissions: who handed in what, grading all of it without losing any, the gradebook and the report."""
