"""An autograder for homework whose answers are random."""

import sys

if sys.argv[:1] == ["-m"]:  # `python3 -m autograder`: said before the commands are read, which an old Python cannot do
    from autograder import front

    front.turn_back()
