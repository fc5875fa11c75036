"""From whatever a student uploads to a safe copy in the homework's layout, and what the course says about it."""
