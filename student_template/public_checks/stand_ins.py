"""Stands in for pytest and hypothesis where they are not installed: of each as much as gan_vae/test_public.py uses.

The examples are then drawn, and not made smaller when a check fails; the same in every run.
"""

import importlib
import importlib.util
import random
import sys
import types

EXAMPLES = 12


def install():
    """Puts a stand-in for each of the two packages into sys.modules, unless the package is there."""
    for name, make in (("pytest", _pytest), ("hypothesis", _hypothesis)):
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            make()


def _pytest():
    module = types.ModuleType("pytest")

    class Failed(Exception):
        pass

    def fail(sentence, pytrace=True):
        raise Failed(sentence)

    fail.Exception = Failed
    module.fail = fail
    module.importorskip = lambda name, reason="": importlib.import_module(name)
    sys.modules["pytest"] = module


class Strategy:
    """How to draw a value from a random.Random."""

    def __init__(self, draw):
        self.draw = draw

    def __or__(self, other):
        return Strategy(lambda chance: chance.choice((self, other)).draw(chance))


def _hypothesis():
    module, strategies = types.ModuleType("hypothesis"), types.ModuleType("hypothesis.strategies")

    def builds(target, *arguments):
        return Strategy(lambda chance: target(*(one.draw(chance) for one in arguments)))

    strategies.builds = builds
    strategies.just = lambda value: Strategy(lambda chance: value)
    strategies.integers = lambda low, high: Strategy(lambda chance: chance.randint(low, high))

    def given(*arguments):
        def decorate(test):
            def run():
                chance = random.Random(test.__name__)
                for _ in range(EXAMPLES):
                    test(*(one.draw(chance) for one in arguments))

            run.__name__ = test.__name__
            return run

        return decorate

    module.given = given
    module.settings = lambda **_: lambda test: test
    module.Phase = types.SimpleNamespace(generate=0, shrink=1)
    module.strategies = strategies
    sys.modules["hypothesis"], sys.modules["hypothesis.strategies"] = module, strategies
