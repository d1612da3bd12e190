"""What clients send, as the OpenAPI document describes it. The rules themselves are in `equipoise.api.classic.rules`.

Described is what a client should send. More is taken: an integer as a string of digits, a boolean as a string, null
for "not given", fields that are not known.
"""

from typing import Annotated, NotRequired, Required, TypedDict

from msgspec import Meta

from equipoise.api.classic.wire import types as t


class CreateLoadBalancer(TypedDict, total=False):
    """A load balancer to create. External: bandwidth or vip_address; Internal: vip_subnet_id, security_group_id."""

    name: Required[t.Name]
    description: t.Description
    vpc_id: Required[t.Reference]
    type: Required[t.LoadBalancerType]
    bandwidth: t.Bandwidth
    admin_state_up: Required[Annotated[int | bool, Meta(extra_json_schema={"enum": [0, 1, 2, True, False]})]]
    vip_subnet_id: t.Reference
    security_group_id: t.SecurityGroup
    vip_address: t.IPv4
    tenantId: Annotated[str, t.described("The project of the path.")]
    az: t.Zone
    charge_mode: str
    eip_type: t.EipType


class UpdateLoadBalancer(TypedDict, total=False):
    """What to change of a load balancer."""

    name: t.Name
    description: t.Description
    bandwidth: t.Bandwidth
    admin_state_up: Annotated[int | bool, Meta(extra_json_schema={"enum": [0, 1, 2, True, False]})]


class UpdateListener(TypedDict, total=False):
    """What to change of a listener."""

    name: t.Name
    description: t.Description
    port: t.Port
    backend_port: t.Port
    lb_algorithm: t.Algorithm
    tcp_timeout: t.Minutes
    tcp_draining: bool
    tcp_draining_timeout: t.DrainingMinutes
    udp_timeout: t.Minutes
    certificate_id: t.Id
    ssl_protocols: t.TlsProtocols
    ssl_ciphers: t.TlsCiphers
    admin_state_up: bool


class CreateListener(TypedDict, total=False):
    """A listener to create. HTTPS needs certificate_id."""

    name: Required[t.Name]
    description: t.Description
    loadbalancer_id: Required[t.Id]
    protocol: Required[t.Protocol]
    port: Required[t.Port]
    backend_protocol: Required[t.BackendProtocol]
    backend_port: Required[t.Port]
    lb_algorithm: Required[t.Algorithm]
    session_sticky: bool
    sticky_session_type: t.StickyType
    cookie_timeout: t.Minutes
    tcp_timeout: t.Minutes
    tcp_draining: bool
    tcp_draining_timeout: t.DrainingMinutes
    certificate_id: t.Id
    udp_timeout: t.Minutes
    ssl_protocols: t.TlsProtocols
    ssl_ciphers: t.TlsCiphers


class UpdateHealthCheck(TypedDict, total=False):
    """What to change of a health check."""

    healthcheck_protocol: Annotated[str, t.described("HTTP, TCP or UDP, in any case.")]
    healthcheck_uri: t.CheckUri
    healthcheck_connect_port: t.Port
    healthy_threshold: t.Threshold
    unhealthy_threshold: t.Threshold
    healthcheck_timeout: t.Seconds
    healthcheck_interval: t.Seconds


class CreateHealthCheck(UpdateHealthCheck, total=False):
    """A health check to create for a listener that has none."""

    listener_id: Required[t.Id]


class AboutCertificate(TypedDict, total=False):
    """What describes a certificate to people."""

    name: t.CertificateName
    description: t.Description
    domain: t.Domain


class UpdateCertificate(AboutCertificate, total=False):
    """What to change of a certificate; what is left out stays."""

    certificate: t.CertificatePem
    private_key: t.PrivateKeyPem


class CreateCertificate(AboutCertificate):
    """A certificate with its private key."""

    certificate: t.CertificatePem
    private_key: t.PrivateKeyPem


class PutWebhook(TypedDict):
    """A webhook to set. Without a secret a new one is made; `******` keeps the one that there is."""

    url: t.WebhookUrl
    secret: NotRequired[t.WebhookSecret]


class NewMember(TypedDict):
    """A server to send traffic to."""

    server_id: t.Reference
    address: t.IPv4


NewMembers = Annotated[list[NewMember], Meta(min_length=1)]


class OldMember(TypedDict):
    """A member to remove."""

    id: t.Id


class RemoveMembers(TypedDict):
    """Members to remove: all or none."""

    removeMember: Annotated[list[OldMember], Meta(min_length=1)]


class Page(TypedDict, total=False):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=0)]
    marker: Annotated[t.Id, t.described("The id that ended the page before.")]


class LoadBalancerQuery(Page, total=False):
    """Filters of the list of load balancers."""

    id: t.Id
    name: str
    description: str
    type: t.LoadBalancerType
    status: t.ResourceStatus
    bandwidth: int
    vpc_id: str
    vip_subnet_id: str
    vip_address: t.IPv4
    security_group_id: str
    az: str
    admin_state_up: t.AdminState


class ListenerQuery(Page, total=False):
    """Filters of the list of listeners."""

    id: t.Id
    name: str
    description: str
    loadbalancer_id: t.Id
    protocol: t.Protocol
    port: int
    backend_protocol: t.BackendProtocol
    backend_port: int
    lb_algorithm: t.Algorithm
    sticky_session_type: t.StickyType
    cookie_timeout: int
    tcp_timeout: int
    tcp_draining: bool
    tcp_draining_timeout: int
    certificate_id: t.Id
    udp_timeout: int
    ssl_protocols: t.TlsProtocols
    ssl_ciphers: t.TlsCiphers
    status: t.ResourceStatus
    healthcheck_id: t.Id


class CertificateQuery(Page, total=False):
    """Which certificates to list."""

    id: t.Id
    name: str
    description: str
    domain: str


class MemberQuery(Page, total=False):
    """Filters of the list of members."""

    id: str
    address: t.IPv4
    server_address: t.IPv4
    server_id: str
    status: t.MemberStatus
    health_status: t.HealthStatus


class ElasticIpQuery(Page, total=False):
    """Filters of the list of elastic IPs."""

    public_ip_address: t.IPv4


class NetworkPage(TypedDict, total=False):
    """Which part of a list of networks, and which of them: their ids are those that the operator chose."""

    id: str
    name: str
    limit: Annotated[int, Meta(ge=0)]
    marker: Annotated[t.Reference, t.described("The id that ended the page before.")]


class VpcQuery(NetworkPage, total=False):
    """Filters of the list of VPCs."""

    enterprise_project_id: Annotated[str, t.described("0 or all_granted_eps; others have nothing.")]


class SubnetQuery(NetworkPage, total=False):
    """Filters of the list of subnets."""

    vpc_id: str


class NewElasticIp(TypedDict, total=False):
    """The address to take; without ip_address any free one."""

    type: Required[t.EipType]
    ip_version: Annotated[int, t.one_of(4)]
    ip_address: t.IPv4


class NewBandwidth(TypedDict, total=False):
    """The bandwidth of the address."""

    name: Required[Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,64}$")]]
    size: Required[t.Bandwidth]
    share_type: Required[Annotated[str, t.one_of("PER")]]
    charge_mode: str


class CreateElasticIp(TypedDict):
    """An elastic IP to take."""

    publicip: NewElasticIp
    bandwidth: NewBandwidth


class JobQuery(Page, total=False):
    """Which jobs to list."""

    status: t.JobState
    job_type: t.JobKind
    resource_id: t.Id
    begin_time_from: t.Moment
    begin_time_to: t.Moment


class OneJobQuery(TypedDict, total=False):
    """How to ask for a job: for how many seconds to wait for its end, and whether to tell its history."""

    wait: Annotated[float, Meta(ge=0, le=300)]
    history: bool
