"""Mutual TLS between the mesh's pods: which connections use it, and with which certificate. Pure, but for `make_certificates`.

As with Istio, a proxy uses TLS to a pod that has a sidecar, and a sidecar accepts both TLS and plain text. All pods of
the lab present one certificate, since one Envoy serves them all: requests are encrypted and both ends checked, but a pod
has no identity of its own. The key never leaves the control plane's directory (mode 0600).

`python -m canary_tutorial.lab.mesh.security DIRECTORY` makes the certificates, in a process of its own: the library for
it would otherwise stay in the control plane's memory for ever.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from canary_tutorial.lab.mesh import values
from canary_tutorial.lab.objects import Obj

IDENTITY = "spiffe://cluster.local/ns/lab/sa/mesh"
SPEAKS_TLS = {"envoy.transport_socket_match": {"tlsMode": "istio"}}  # on endpoints with a sidecar
SOCKETS = "type.googleapis.com/envoy.extensions.transport_sockets"
INSPECTOR = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"},
}


@dataclass(frozen=True)
class Files:
    """Where Envoy finds what it shows and what it trusts."""

    directory: Path

    @property
    def certificate(self) -> str:
        return str(self.directory / "mesh.crt")

    @property
    def key(self) -> str:
        return str(self.directory / "mesh.key")

    @property
    def ca(self) -> str:
        return str(self.directory / "mesh-ca.crt")

    def exist(self) -> bool:
        return all(Path(path).exists() for path in (self.certificate, self.key, self.ca))


def upstream(tls: Obj, name: str, files: Files) -> Obj:
    """A cluster's transport for a DestinationRule's `tls`; without one, TLS to whatever has a sidecar."""
    mode = tls.get("mode")
    if mode == "DISABLE":
        return {}
    if mode in ("SIMPLE", "MUTUAL"):
        values.text(tls.get("sni") or "", "tls.sni", 255)
        sni = values.header_value(tls.get("sni") or "", "tls.sni")
        return {"transport_socket": _socket("UpstreamTlsContext", {"sni": sni, **_own_pair(tls)})}
    context = {**_shared(files), "sni": f"outbound_.{name.replace('|', '_._')}"}
    mutual = _socket("UpstreamTlsContext", context)
    if mode == "ISTIO_MUTUAL":
        return {"transport_socket": mutual}
    plain = {"name": "plain", "match": {}, "transport_socket": _plain()}
    matched = {"name": "mutual", "match": SPEAKS_TLS["envoy.transport_socket_match"], "transport_socket": mutual}
    return {"transport_socket_matches": [matched, plain]}


def downstream(files: Files) -> Obj:
    """A sidecar's transport for connections that begin with TLS: the other side must show the mesh's certificate."""
    return _socket("DownstreamTlsContext", {**_shared(files), "require_client_certificate": True})


def _shared(files: Files) -> Obj:
    pair = _pair(files.certificate, files.key)
    names = [{"san_type": "URI", "matcher": {"exact": IDENTITY}}]
    trust = {"trusted_ca": {"filename": files.ca}, "match_typed_subject_alt_names": names}
    return {"common_tls_context": {"tls_certificates": [pair], "validation_context": trust}}


def _pair(certificate: str, key: str) -> Obj:
    return {"certificate_chain": {"filename": certificate}, "private_key": {"filename": key}}


def _own_pair(tls: Obj) -> Obj:
    """Certificates that a DestinationRule names itself, for services outside the mesh."""
    common: Obj = {}
    if tls.get("clientCertificate"):
        pair = _pair(_file(tls, "clientCertificate"), _file(tls, "privateKey"))
        common["tls_certificates"] = [pair]
    if tls.get("caCertificates"):
        common["validation_context"] = {"trusted_ca": {"filename": _file(tls, "caCertificates")}}
    return {"common_tls_context": common}


def _file(tls: Obj, field: str) -> str:
    """A file that a rule names: Envoy refuses a cluster if it is not there, or not PEM."""
    path = Path(values.required(tls.get(field), f"tls.{field}", 4096))
    try:
        is_pem = b"-----BEGIN " in path.read_bytes()[:65536]
    except OSError as error:
        raise ValueError(f"tls.{field}: {path}: {error.strerror}") from None
    if not is_pem:
        raise ValueError(f"tls.{field}: {path} is not PEM")
    return str(path)


def _socket(kind: str, context: Obj) -> Obj:
    return {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": f"{SOCKETS}.tls.v3.{kind}", **context}}


def _plain() -> Obj:
    type_ = f"{SOCKETS}.raw_buffer.v3.RawBuffer"
    return {"name": "envoy.transport_sockets.raw_buffer", "typed_config": {"@type": type_}}


# -- making them


async def prepare(directory: Path) -> Files:
    """The certificates' places; makes them if they are not there yet."""
    files = Files(directory)
    if not files.exist():
        maker = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, str(directory))
        if await maker.wait():
            raise RuntimeError("the mesh's certificates could not be made; the reason stands above")
    return files


def make_certificates(files: Files) -> None:
    """A CA that is forgotten at once, and one certificate of it, good for a month. I/O: three files."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mesh-ca")])
    now = datetime.now(UTC)

    def certificate(public: Any, subject: x509.Name, name: x509.ExtensionType, critical: bool) -> bytes:
        builder = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=30))
        signed = builder.add_extension(name, critical).sign(authority_key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    is_ca = x509.BasicConstraints(ca=True, path_length=0)
    identity = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(IDENTITY)])
    Path(files.ca).write_bytes(certificate(authority_key.public_key(), issuer, is_ca, True))
    Path(files.certificate).write_bytes(certificate(key.public_key(), x509.Name([]), identity, True))
    private = Path(files.key)
    private.touch(0o600)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))


if __name__ == "__main__":
    make_certificates(Files(Path(sys.argv[1])))
