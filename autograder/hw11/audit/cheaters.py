"""Solutions that try to gain by seeds, by what they keep between calls, or by recognising how they are asked."""

from __future__ import annotations

from autograder.audit import casefiles
from autograder.hw11 import ASSIGNMENT, SOLUTIONS

CHEATERS = casefiles.read(SOLUTIONS / "cheaters.cases")
"""What each must lose at least stands in its case; test_reproducing.py and the audit grade them."""

_BANK = casefiles.bank_of(ASSIGNMENT)
MIXED = tuple(_BANK[id] for id in ("sample-variance-as-std", "bound-kl-swapped", "gan-both-halved", "kl-swapped"))
"""One wrong solution for each of several files: a submission whose results show all kinds of messages.

Question 6 is right in it, or its notebook would stop before it trains."""
