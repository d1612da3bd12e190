"""What other services write to the same database server. Each write wakes those who wait; the database is the truth.

A notification may be lost, with its connection or by its sender, so the others look at the database every
`LEVEL_SECONDS` as well. The server delivers a notification with its commit and forgets it with a rollback.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from sqlalchemy import URL

from equipoise.store.reachability import CONNECTION_PARAMETERS

CHANNEL: Final = "equipoise_writes"

LEVEL_SECONDS: Final = 2.0
"""How long what a lost notification was about may stay unnoticed."""

_AGAIN_SECONDS: Final = 1.0
"""How long after a connection broke the next one is tried."""


async def foreign_writes(address: URL, own_name: str) -> AsyncIterator[None]:
    """Yield whenever another service may have written; whatever was written before a look is seen by that look.

    Args:
        address: of the database server.
        own_name: with which the payloads of this service begin; it does not wake itself. The
            revision follows, for whoever watches the channel.
    """
    # Imported here: it takes memory that a service on SQLite has no use for.
    from psycopg import AsyncConnection, OperationalError

    conninfo = address.set(drivername="postgresql").render_as_string(hide_password=False)
    while True:
        try:
            async with await AsyncConnection.connect(conninfo, autocommit=True, **CONNECTION_PARAMETERS) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                # For what was written while nobody listened.
                yield
                due = time.monotonic() + LEVEL_SECONDS
                while True:
                    patience = max(0.0, due - time.monotonic())
                    heard = [each async for each in connection.notifies(timeout=patience, stop_after=1)]
                    # Own notifications must not put the look off for ever.
                    if time.monotonic() >= due or any(each.payload.partition(" ")[0] != own_name for each in heard):
                        yield
                        due = time.monotonic() + LEVEL_SECONDS
        except OperationalError:
            # The server is away. Those who write say so; here nothing can be missed but time.
            await asyncio.sleep(_AGAIN_SECONDS)
