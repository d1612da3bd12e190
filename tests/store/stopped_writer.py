"""A service that stops, as by SIGSTOP, inside a transaction: it has the turn of all writers, and does not say why."""

import asyncio
import signal
import threading

from equipoise.store import nodes
from equipoise.store.database import Database, StoreUnavailable, Transaction


def stop(url: str) -> None:
    """Stop until somebody sends SIGCONT; then end with status 0 if the write has failed as one that is not stored."""
    try:
        asyncio.run(_write(url))
    except StoreUnavailable:
        return
    raise AssertionError("a transaction that the server ended was told as stored")


async def _write(url: str) -> None:
    database = Database(url)
    database.start()
    try:
        await database.write(_stop_in_the_middle)
    finally:
        await database.stop()


def _stop_in_the_middle(tx: Transaction) -> None:
    nodes.attach(tx, "stopped")
    # To this thread: sent to the process, another one could take it, and this one go on for a moment.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
