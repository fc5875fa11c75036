"""What the layers of confinement share."""

from __future__ import annotations

from typing import Literal

Sockets = Literal["none", "listen", "connect"]
"""What a worker may do with sockets: nothing; or, of UNIX sockets, bind and accept; or connect."""


class Unavailable(Exception):
    """This layer cannot work on this machine. The sentence says why."""
