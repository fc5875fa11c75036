"""The answers that stand in answers.toml, of all questions but the second, whose pairs of distributions have their own.

`reading.py` asks for the file and reads its fields. Each of the others has the checks of one question, for its list.
"""
