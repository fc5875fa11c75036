"""The homework's bank, read once for all test files."""

from __future__ import annotations

from autograder.audit import casefiles
from autograder.hw11 import ASSIGNMENT

BANK = casefiles.bank_of(ASSIGNMENT)
RIGHT, WRONG, HALF_RIGHT = BANK.right, BANK.wrong, BANK.half_right
