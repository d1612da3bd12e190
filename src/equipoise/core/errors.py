"""What can keep the service from doing what it was asked, in the words of the model.

Each error carries the facts as fields, and as its text one full sentence for people that says what to do. Which status
and code it has is the business of each API: one table there translates them all (`equipoise.api.classic.errors`).
"""

from equipoise.core.references import ResourceKind, ResourceRef


class ServiceError(Exception):
    """The base of all. `message` is a full sentence for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# What was sent


class InvalidField(ServiceError):
    """A field of a resource has a value that it may not have.

    Args:
        kind: of the resource.
        field: its name in the model; "" where the message says which part is wrong.
        problem: what is wrong with it, as the rest of a sentence behind `field: `.
    """

    def __init__(self, kind: ResourceKind, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.kind = kind
        self.field = field
        self.problem = problem


class MalformedDocument(ServiceError):
    """A document is not of the form that was agreed on."""


class Unsupported(ServiceError):
    """It is part of the published API, but not offered here."""


# Who asks


class Unauthenticated(ServiceError):
    """It is not proven who asks. One of the kinds below is raised."""


class TokenMissing(Unauthenticated):
    """There is no token. `challenge` is for the header WWW-Authenticate where it is not the identity's own token."""

    def __init__(self, message: str, challenge: str | None = None) -> None:
        super().__init__(message)
        self.challenge = challenge


class TokenMalformed(Unauthenticated):
    """It is no token that this service knows."""


class TokenExpired(Unauthenticated):
    """Its time is over."""


class TokenRevoked(Unauthenticated):
    """It was revoked, or its user or project was removed."""


class CredentialsWrong(Unauthenticated):
    """User, password or scope are wrong; which of them is not told."""


class Forbidden(ServiceError):
    """Who asks is known and may not. One of the kinds below is raised."""


class ProjectForbidden(Forbidden):
    """The project is not the one of the token."""


class RoleTooWeak(Forbidden):
    """The role does not allow it."""


# What is stored


class NotFound(ServiceError):
    """There is no such resource in this project; what another project owns does not exist.

    Args:
        message: where another sentence than the usual one helps.
        of: what should have it.
    """

    def __init__(self, kind: ResourceKind, id: str, message: str = "", *, of: ResourceRef | None = None) -> None:
        super().__init__(message or f"There is no {kind.words} {id} in this project; list them to see which there are.")
        self.kind = kind
        self.id = id
        self.of = of


class Conflict(ServiceError):
    """The resource is there and does not take this change now. One of the kinds below is raised."""


class BeingDeleted(Conflict):
    """A load balancer that is being deleted takes no more changes."""

    def __init__(self, id: str) -> None:
        super().__init__(f"Load balancer {id} is being deleted and takes no more changes.")
        self.id = id


class Frozen(Conflict):
    """A load balancer that is frozen takes changes of administrators only."""

    def __init__(self, id: str) -> None:
        super().__init__(f"Load balancer {id} is frozen; an administrator can release it.")
        self.id = id


class NotApplicable(Conflict):
    """What is asked for has no meaning for this resource."""


class InUse(Conflict):
    """A resource cannot go while others use it; `by` is one of them, None where it is not told which."""

    def __init__(self, kind: ResourceKind, id: str, by: ResourceRef | None, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.id = id
        self.by = by


class AlreadyExists(Conflict):
    """Something has one already, and can have no other: `of` has `id`."""

    def __init__(self, kind: ResourceKind, id: str, of: ResourceRef) -> None:
        super().__init__(
            f"{of.kind.words.capitalize()} {of.id} has {kind.words} {id} already; update that one or delete it first."
        )
        self.kind = kind
        self.id = id
        self.of = of


class AddressTaken(Conflict):
    """An address is in use or held. `field` is where it was asked for, `problem` the rest of the sentence."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class PortTaken(Conflict):
    """Another listener of the load balancer has the port, or may get it back."""

    def __init__(self, port: int, problem: str) -> None:
        super().__init__(f"port: {port} {problem}")
        self.port = port


class ChangedMeanwhile(Conflict):
    """Somebody else changed it at the same time."""

    def __init__(self, kind: ResourceKind, id: str) -> None:
        super().__init__(f"{kind.words.capitalize()} {id} was changed by somebody else at the same time; try again.")
        self.kind = kind
        self.id = id


class NotCancellable(Conflict):
    """The job has begun or ended, or goes with another one."""


class KeyReused(Conflict):
    """An idempotency key came with another request before."""


class KeyInvalid(ServiceError):
    """An idempotency key is not of the form that it must have."""


class QuotaExceeded(ServiceError):
    """A project may have no more of a kind; `limit` is how many it may have in `of`."""

    def __init__(self, kind: ResourceKind, of: ResourceKind, limit: int, advice: str) -> None:
        super().__init__(f"{_THE[of]} may have {limit} {kind.words}s; {advice}.")
        self.kind = kind
        self.of = of
        self.limit = limit
        self.advice = advice


_THE = {
    ResourceKind.PROJECT: "The project",
    ResourceKind.LOAD_BALANCER: "The load balancer",
    ResourceKind.POOL: "A pool",
}


class PoolExhausted(ServiceError):
    """There is no free address."""


# The data plane, and other services


class Rejected(ServiceError):
    """The data plane did not take the change; nothing of it is left behind."""


class Unavailable(ServiceError):
    """The service cannot do it just now: try again in a few seconds."""


class NotKnown(ServiceError):
    """It is not known whether the change was stored."""


class Overloaded(Unavailable):
    """Too much waits to be done already."""


class UpstreamFailed(ServiceError):
    """The identity service cannot do its part. One of the kinds below is raised."""


class IdentityUnavailable(UpstreamFailed):
    """It cannot be reached."""


class UpstreamTimeout(UpstreamFailed):
    """It did not answer in time."""


class UpstreamInvalid(UpstreamFailed):
    """It gave an answer that makes no sense."""
