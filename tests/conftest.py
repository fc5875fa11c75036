"""Settings for all tests: one thread for torch, and hypothesis without luck."""

from __future__ import annotations

import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("steady", derandomize=True, database=None, deadline=None)
settings.load_profile("steady")
