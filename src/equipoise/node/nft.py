"""Hands rules to the kernel with the command `nft`, on its standard input. What they mean is known to those who ask."""

import asyncio
import os
import shutil
import subprocess
from typing import Final

SYSTEM_FOLDERS: Final = "/usr/sbin:/sbin"
"""Where `nft` is, but often not the PATH of somebody who is not root."""

_PATIENCE: Final = 10.0


class KernelRefusedError(Exception):
    """The kernel did not do what it was asked. The message is part of a sentence: why, and what to do."""


async def carry_out(text: str) -> str:
    """Let the kernel carry out `text` as one transaction, all or nothing; returns what it lists.

    Raises:
        KernelRefusedError: nothing was done.
    """
    # In a thread, not by the event loop's own way to start a process: that forks, which gRPC remarks upon in the log,
    # and the standard input of the child was now and then closed before anything was written to it.
    return await asyncio.to_thread(_run, text)


def _run(text: str) -> str:
    command = shutil.which("nft", path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}")
    if command is None:
        raise KernelRefusedError("the command nft is missing; install the package nftables and restart the service")
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command; what it reads is made by those who ask
            [command, "-f", "-"],
            input=text,
            text=True,
            errors="replace",
            capture_output=True,
            env={"LC_ALL": "C"},
            timeout=_PATIENCE,
            check=False,
        )
    except OSError as error:
        raise KernelRefusedError(f"{command} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired:
        raise KernelRefusedError(f"{command} did not end within {_PATIENCE:g} s") from None
    if done.returncode != 0:
        raise KernelRefusedError(_reason(done.stderr))
    return done.stdout


def _reason(said: str) -> str:
    if "not permitted" in said:
        return "the service has no right to change rules of the kernel; give it the capability CAP_NET_ADMIN"
    first = said.strip().partition("\n")[0]
    return f"the kernel of this machine did not take the rules for it (nft: {first or 'no reason given'})"
