"""A page for those who read written answers: one answer at a time, on this machine alone."""
