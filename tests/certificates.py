"""Certificates for TLS servers of the tests, made by the openssl command."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers import program


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, in PEM files."""

    certificate: Path
    key: Path

    def server(self) -> ssl.SSLContext:
        """For a server that shows the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def trusted(self) -> ssl.SSLContext:
        """For a client that trusts it, and nothing else."""
        return ssl.create_default_context(cafile=str(self.certificate))


def self_signed(name: str, folder: Path) -> Certificate:
    """A certificate for the host `name` that nobody vouches for, valid today and tomorrow."""
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    command = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    command += ["-keyout", str(made.key), "-out", str(made.certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return made
