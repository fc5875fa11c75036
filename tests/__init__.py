"""Tests, through the front door and close up."""
