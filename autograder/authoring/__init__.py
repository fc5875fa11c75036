"""What the course's staff makes: the students' template and the zips."""
