"""The small homework, solved."""


def twice(x):
    # BEGIN SOLUTION return 2 x
    return 2 * x
    # END SOLUTION


def hello():
    # BEGIN SOLUTION return a greeting
    return "hello"
    # END SOLUTION
