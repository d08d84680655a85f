"""A timestamp authority of our own, made with openssl, that answers over HTTP."""

from __future__ import annotations

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_CONFIGURATION: Final = """
[req]
distinguished_name = name
prompt = no
x509_extensions = authority
[name]
CN = An authority
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign
[stamping]
basicConstraints = CA:false
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = own
[own]
serial = serial
signer_cert = stamping.pem
signer_key = stamping.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class Authority:
    """Certificates in a folder, and a server that stamps; `broken` makes it answer something else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "openssl.cnf").write_text(_CONFIGURATION)
        (folder / "serial").write_text("01\n")
        self._openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout root.key -out root.pem")
        self._openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout stamping.key -out s.csr")
        signed = "x509 -req -in s.csr -CA root.pem -CAkey root.key -CAcreateserial -out stamping.pem"
        self._openssl(f"{signed} -extensions stamping -extfile openssl.cnf", configured=False)
        self.broken: bytes | None = None
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["Content-Length"]))
                answer = authority.broken if authority.broken is not None else authority.stamp(request)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def roots(self) -> bytes:
        return (self.folder / "root.pem").read_bytes()

    def stamp(self, request: bytes) -> bytes:
        (self.folder / "request.tsq").write_bytes(request)
        self._openssl("ts -reply -queryfile request.tsq -out answer.tsr")
        return (self.folder / "answer.tsr").read_bytes()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _openssl(self, command: str, *, configured: bool = True) -> None:
        words = ["openssl", *command.split(), *(["-config", "openssl.cnf"] if configured else [])]
        subprocess.run(words, cwd=self.folder, check=True, capture_output=True)
