"""The types of single fields on the wire: JSON types with what else is true of their values.

The OpenAPI document is made from them (`equipoise.api.common.openapi`), and mypy holds the documents to them.
"""

from typing import Annotated

from msgspec import Meta

from equipoise.api.classic.records import ALGORITHMS, COOKIE_INSERT
from equipoise.api.classic.rules import health_check, listener, load_balancer, webhook
from equipoise.api.common.types import ID_PATTERN, REFERENCE_PATTERN, Id, described, one_of
from equipoise.core.jobs import JobStatus, JobType
from equipoise.core.model import TLS_1_0_AND_LATER, TLS_1_2, Status

__all__ = ["ID_PATTERN", "REFERENCE_PATTERN", "Id", "described", "one_of"]

Reference = Annotated[str, Meta(pattern=REFERENCE_PATTERN, description="The id of a thing of another service.")]
Zone = Annotated[str, Meta(pattern=REFERENCE_PATTERN, description="An availability zone.")]
ResourceTime = Annotated[
    str,
    Meta(pattern="^\\d{4}-\\d{2}-\\d{2} \\d{2}:\\d{2}:\\d{2}$", description="UTC.", examples=["2015-09-14 02:34:32"]),
]
JobTime = Annotated[
    str,
    Meta(
        pattern="^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$",
        description="UTC.",
        examples=["2017-09-29T09:49:37.399Z"],
    ),
]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
JobEndTime = Annotated[
    str,
    Meta(
        pattern="^(\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z)?$",
        description="UTC; empty until the job has ended.",
    ),
]

# Chinese means the CJK unified ideographs (equipoise.api.classic.rules.fields).
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern="^[A-Za-z0-9_\\-\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002ee5f\U00030000-\U000323af]+$",
        description="Chinese characters, letters, digits, _ and -.",
    ),
]
Description = Annotated[str, Meta(max_length=128, pattern="^[^<>\\x00-\\x1f\\x7f-\\x9f]*$")]
IPv4 = Annotated[str, Meta(extra_json_schema={"format": "ipv4"})]
Port = Annotated[int, Meta(ge=1, le=65535)]

LoadBalancerType = Annotated[str, one_of(*load_balancer.TYPES)]
EipType = Annotated[str, one_of(*load_balancer.EIP_TYPES)]
ResourceStatus = Annotated[str, one_of(*(status.value for status in Status))]
Bandwidth = Annotated[int, Meta(ge=1, le=2000, description="Mbit/s.")]
AdminState = Annotated[int, Meta(ge=0, le=2, description="0 stopped, 1 on, 2 frozen.")]
SecurityGroup = Annotated[str, Meta(pattern="^[A-Za-z0-9-]{1,200}$")]

Protocol = Annotated[str, one_of(*listener.BACKEND_PROTOCOLS)]
BackendProtocol = Annotated[str, one_of(*dict.fromkeys(listener.BACKEND_PROTOCOLS.values()))]
Algorithm = Annotated[str, one_of(*ALGORITHMS)]
StickyType = Annotated[str, one_of(COOKIE_INSERT)]
Minutes = Annotated[int, Meta(ge=1, le=1440, description="Minutes.")]
DrainingMinutes = Annotated[int, Meta(ge=0, le=60, description="Minutes.")]
TlsProtocols = Annotated[str, one_of(TLS_1_2, TLS_1_0_AND_LATER)]
TlsCiphers = Annotated[str, one_of(*listener.CIPHERS)]

CheckProtocol = Annotated[str, one_of(*health_check.PROTOCOLS)]
CheckUri = Annotated[str, Meta(pattern="^/[A-Za-z0-9\\-/.%?#&_=]{0,79}$")]
Threshold = Annotated[int, Meta(ge=1, le=10)]
Seconds = Annotated[int, Meta(ge=1, le=50, description="Seconds.")]

MemberStatus = Annotated[str, one_of("ACTIVE", "PENDING", "ERROR")]
HealthStatus = Annotated[str, one_of("NORMAL", "ABNORMAL", "UNAVAILABLE")]

CertificateName = Annotated[str, Meta(max_length=64, pattern="^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
Domain = Annotated[str, Meta(max_length=254, pattern="^[A-Za-z0-9.-]*$")]
CertificatePem = Annotated[
    str, described("PEM: the server's own certificate, then its chain. Answered as it was sent.")
]
PrivateKeyPem = Annotated[str, described("PEM without a passphrase: RSA or ECDSA.")]
ShownPrivateKey = Annotated[str, described("`******`, or PEM where the setting certificates.show_private_key says so.")]

WebhookUrl = Annotated[str, Meta(max_length=webhook.URL_LENGTH, pattern=f"^{webhook.URL_PATTERN}$")]
WebhookSecret = Annotated[
    str, Meta(pattern="^(whsec_[A-Za-z0-9+/=]{32,88}|\\*{6})$", description="`whsec_` and Base64.")
]
ShownSecret = Annotated[str, described("In the answer to PUT as it is, if it was given or made there; else `******`.")]

JobState = Annotated[str, one_of(*(status.value for status in JobStatus))]
JobKind = Annotated[str, one_of(*(kind.value for kind in JobType))]
