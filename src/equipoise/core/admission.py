"""Which nodes may speak to the controllers, as frozen records; what they prove it with is in `equipoise.wire`."""

import re
from dataclasses import dataclass, field
from typing import Final

NODE_NAME_RULE: Final = "must be 1 to 63 letters, digits, dots, hyphens and underscores, the first a letter or a digit"
_NODE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def is_node_name(name: str) -> bool:
    """Whether a node can have that name: `NODE_NAME_RULE`."""
    return _NODE_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class StoredAuthority:
    """The certificate authority of the nodes and controllers: its certificate as PEM, its private key encrypted."""

    certificate: str
    key: str = field(repr=False)
    create_time: int


@dataclass(frozen=True, slots=True)
class StoredJoinToken:
    """What is known of a join token; its secret is in the token alone.

    `expires` is in milliseconds since 1970. `used_by` is the fingerprint of the key of the node that used it.
    """

    id: str
    expires: int
    used_by: str | None = None


@dataclass(frozen=True, slots=True)
class AdmittedNode:
    """A node that may speak to the controllers.

    `key_fingerprint` is of its public key. Times are in milliseconds since 1970; `certificate_until` is when the newest
    certificate that it was given expires.
    """

    id: str
    name: str
    key_fingerprint: str
    create_time: int
    certificate_until: int
