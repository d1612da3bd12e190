"""What a user asks for, after its fields were checked and before anything is looked up or stored.

A command holds only values that the model allows: the API that makes it has checked them. An update holds a mapping of
exactly the columns that are asked for, because "not given" and "given as null" differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from equipoise.core.model import Algorithm, PersistenceType, Protocol

Column = str | int | bool | None

Filter = tuple[str, Column]
"""A column of a list and the value that it must have."""


@dataclass(frozen=True, slots=True)
class CreateLoadBalancerCommand:
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
class UpdateLoadBalancerCommand:
    changes: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class CreateElasticIpCommand:
    """`bandwidth` is in Mbit/s (1-2000); no `address` takes any that is free."""

    eip_type: str
    address: str | None
    bandwidth: int
    charge_mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolFields:
    """What a user says of a pool; see `Pool`."""

    protocol: Protocol
    algorithm: Algorithm
    default_port: int | None = None
    persistent: bool = False
    persistence_type: PersistenceType | None = None
    cookie_lifetime: int | None = None
    draining: bool | None = None
    draining_timeout: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateListenerCommand:
    """A listener to create with a pool of its own; see `Listener`."""

    load_balancer_id: str
    name: str
    description: str
    protocol: Protocol
    port: int
    pool: PoolFields
    idle_timeout: int | None = None
    certificate_id: str | None = None
    tls_protocols: str | None = None
    tls_ciphers: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateListenerCommand:
    """What is wanted of a listener and of its own pool.

    What stands already counts too: the job that brought it there may still fail.
    """

    listener: Mapping[str, Column] = field(default_factory=dict)
    pool: Mapping[str, Column] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AddMemberCommand:
    """A member to add; see `Member`."""

    server_id: str | None
    address: str
    port: int | None = None
    weight: int = 1
    backup: bool = False
    monitor_address: str | None = None
    monitor_port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateHealthMonitorCommand:
    """A health monitor to create; see `HealthMonitor`."""

    type: Protocol
    path: str | None
    port: int | None
    healthy_threshold: int
    unhealthy_threshold: int
    timeout: int
    interval: int


@dataclass(frozen=True, slots=True)
class UpdateHealthMonitorCommand:
    """What is wanted. What stands already counts too: the job that brought it there may still fail."""

    changes: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class PutWebhookCommand:
    """`secret` None: a new one is to be made, unless the one that is there is to be kept."""

    url: str = field(repr=False)
    secret: str | None = field(repr=False)
    keeps_secret: bool


@dataclass(frozen=True, slots=True)
class CreateCertificateCommand:
    """`certificate`, with its chain, and `private_key` are PEM, as given: what they hold is not known yet."""

    certificate: str
    private_key: str = field(repr=False)
    name: str
    description: str
    domain: str


@dataclass(frozen=True, slots=True)
class UpdateCertificateCommand:
    """PEM that is None stays as it is; `changes` are of the columns beside it."""

    certificate: str | None
    private_key: str | None = field(repr=False)
    changes: Mapping[str, Column]
