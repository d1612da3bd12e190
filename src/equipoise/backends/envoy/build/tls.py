"""How a listener speaks TLS: versions and cipher suites in the listener, certificate and key in a secret of its own.

The secret bears the listener's id: one that is renewed, or another one in its place, leaves the listener and the
connections on it alone. TLS 1.3 is not offered: the contract's values for the versions are lists, and name it not.
"""

from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import TlsCertificate, TlsParameters
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import CommonTlsContext, DownstreamTlsContext

from equipoise.backends.envoy.build.encoding import over_ads, packed
from equipoise.proxy.model import CipherSet, ProxyTls

_STRICT = (
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
)
_DEFAULT = (*_STRICT, "ECDHE-RSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA256")
_EXTENDED = (
    *_DEFAULT,
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES128-SHA",
    "AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-SHA",
    "AES128-SHA",
)

CIPHERS = {CipherSet.STRICT: _STRICT, CipherSet.DEFAULT: _DEFAULT, CipherSet.EXTENDED: _EXTENDED}
"""What BoringSSL still offers of each published set, strongest first; one name that it rejects rejects the listener.

Each suite stands beside its form for ECDSA keys. See docs/reference/tls.md for what was left out, and why.
"""


def downstream_tls(secret_name: str, tls: ProxyTls) -> TransportSocket:
    """The TLS side of a listener; the certificate comes as the secret of this name."""
    context = CommonTlsContext(
        tls_params=TlsParameters(
            tls_minimum_protocol_version=TlsParameters.TLSv1_0 if tls.since_tls_1_0 else TlsParameters.TLSv1_2,
            tls_maximum_protocol_version=TlsParameters.TLSv1_2,
            cipher_suites=CIPHERS[tls.ciphers],
        ),
        tls_certificate_sds_secret_configs=[SdsSecretConfig(name=secret_name, sds_config=over_ads())],
        # Requests are read as HTTP/1.1; a client that could do more is told so in the handshake.
        alpn_protocols=["http/1.1"],
    )
    return TransportSocket(
        name="envoy.transport_sockets.tls", typed_config=packed(DownstreamTlsContext(common_tls_context=context))
    )


def secret(name: str, tls: ProxyTls) -> Secret:
    """Certificate and key as Envoy wants them."""
    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_string=tls.certificate),
        private_key=DataSource(inline_string=tls.private_key),
    )
    return Secret(name=name, tls_certificate=certificate)
