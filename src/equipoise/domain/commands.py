"""What a user asks for, after its fields were checked and before anything is looked up or stored.

A command holds only values that obey the rules of `equipoise.domain.rules`. An update holds a mapping of
exactly the columns that change, because "not given" and "given as null" differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from equipoise.domain.model import HealthCheckFields, ListenerFields

Column = str | int | bool | None


@dataclass(frozen=True, slots=True)
class CreateLoadBalancer:
    """`bandwidth` is in Mbit/s (1-2000); `admin_state_up` is 0 stopped, 1 on, 2 frozen.

    `bandwidth`, `charge_mode` and `eip_type` are for a new elastic IP: None for Internal, and for External with a
    `vip_address`, where the elastic IP that is there brings its own.
    """

    name: str
    description: str
    vpc_id: str
    type: str
    bandwidth: int | None
    admin_state_up: int
    vip_subnet_id: str | None
    security_group_id: str | None
    vip_address: str | None
    az: str | None
    charge_mode: str | None
    eip_type: str | None


@dataclass(frozen=True, slots=True)
class UpdateLoadBalancer:
    changes: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class CreateElasticIp:
    """`bandwidth` is in Mbit/s (1-2000); no `address` takes any that is free."""

    eip_type: str
    address: str | None
    bandwidth: int
    charge_mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateListener(ListenerFields):
    """A listener to create, with the name that its load balancer has on the wire."""

    loadbalancer_id: str


@dataclass(frozen=True, slots=True)
class UpdateListener:
    """`repeated` was given as it stands already. It counts, too: the job that brought it there may still fail."""

    changes: Mapping[str, Column]
    repeated: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewMember:
    server_id: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateHealthCheck(HealthCheckFields):
    """A health check to create."""


@dataclass(frozen=True, slots=True)
class UpdateHealthCheck:
    """`repeated` was given as it stands already. It counts, too: the job that brought it there may still fail."""

    changes: Mapping[str, Column]
    repeated: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PutWebhook:
    """`secret` None: a new one is to be made, unless the one that is there is to be kept."""

    url: str = field(repr=False)
    secret: str | None = field(repr=False)
    keeps_secret: bool


@dataclass(frozen=True, slots=True)
class CreateCertificate:
    """`certificate`, with its chain, and `private_key` are PEM, as given: what they hold is not known yet."""

    certificate: str
    private_key: str = field(repr=False)
    name: str
    description: str
    domain: str


@dataclass(frozen=True, slots=True)
class UpdateCertificate:
    """PEM that is None stays as it is; `changes` are of the columns beside it."""

    certificate: str | None
    private_key: str | None = field(repr=False)
    changes: Mapping[str, Column]
