"""Banks of wrong and right solutions, one module a question, with which the checks themselves are graded."""
