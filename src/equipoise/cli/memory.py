"""How the process of the service deals with memory that it needs for a moment, or for good."""

import ctypes
import gc
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_LARGE_BYTES: Final = 128 * 1024
"""The C library's own beginning, which it raises up to 32 MiB whenever something larger is freed, unless it is set."""


def give_back_what_is_freed() -> None:
    """Let every large piece of memory go back to the kernel as soon as it is freed.

    Checking a password takes 19 MiB for a moment, and sending everything to a started Envoy several. From the second
    time on the C library would keep such pieces, with small things in between that are needed for longer. To be called
    before they are made; without a C library that can be told, nothing changes.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def set_apart_what_stays() -> None:
    """Let the collector of garbage pass over what was loaded and made until now: the process keeps it.

    To look through it again and again took a fifth of the time that the metrics of 1,000 load balancers cost.
    """
    gc.collect()
    gc.freeze()
