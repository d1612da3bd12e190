"""What the rest of the service asks of an identity, whether it is built in (`service`) or elsewhere (`external`)."""

from typing import Protocol

from equipoise.identity.actor import Actor


class IdentityProvider(Protocol):
    """Who may come in. Neither method blocks the event loop."""

    async def authenticate(self, token: str) -> Actor:
        """Who the token stands for.

        Raises:
            TokenMalformed, TokenExpired, TokenRevoked; of an external identity IdentityUnavailable,
                UpstreamInvalid or UpstreamTimeout, too.
        """

    async def has_project(self, project_id: str, token: str) -> bool:
        """Whether there is such a project; asked only for another one than that of the administrator's `token`."""
