"""submission_log.json, which question 1 and the answers of question 1 both read."""
