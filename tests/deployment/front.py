"""The nginx.conf of the project in a real nginx, in front of instances on this machine."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.services.processes import LOCAL, ROOT, Bench, Server, accepts, free_port
from tests.services.programs import NGINX, find

SHIPPED = ROOT / "nginx.conf"
INSTANCE = re.compile(r"server (fast-graph-\d):8000 resolve")
FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True)
class Certificate:
    """For HTTPS on this machine."""

    chain: Path
    key: Path


def new_certificate(place: Path) -> Certificate:
    """Signed by itself, and good for a day."""
    made = Certificate(place / "chain.pem", place / "key.pem")
    what = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"]
    who = ["-subj", "/CN=localhost", "-addext", f"subjectAltName=IP:{LOCAL}"]
    where = ["-out", str(made.chain), "-keyout", str(made.key)]
    subprocess.run(["openssl", "req", *what, *who, *where], check=True, capture_output=True)
    return made


def shipped_nginx(bench: Bench, instances: Sequence[Server]) -> Server:
    """As in production but for addresses, and for folders that only root may write to. Not started yet."""
    place, port = bench.place("nginx"), free_port()
    file = place / "nginx.conf"
    file.write_text(moved(SHIPPED.read_text(), place, port, [instance.port for instance in instances]))
    return Server(
        bench=bench,
        place=place,
        port=port,
        url=f"http://{LOCAL}:{port}",
        command=[find(NGINX), *options(place, file), "-g", f"daemon off; pid {place}/pid;"],
        ready=lambda: accepts(port),
    )


def https_nginx(bench: Bench, instances: Sequence[Server], secure_port: int, certificate: Certificate) -> Server:
    """As ``shipped_nginx``, with the HTTPS servers in place of the other one."""
    server = shipped_nginx(bench, instances)
    file = server.place / "nginx.conf"
    file.write_text(secured(SHIPPED.read_text(), secure_port, certificate))
    file.write_text(moved(file.read_text(), server.place, server.port, [instance.port for instance in instances]))
    return server


def secured(text: str, port: int, certificate: Certificate) -> str:
    """The configuration with the servers that are comments in it, on a port of this machine."""
    before, _, rest = text.partition("    # ---- HTTP\n")
    servers = rest[rest.index("    # server {") :]
    text = before + re.sub(r"^    # ?", "    ", servers, flags=re.MULTILINE)
    if is_old():
        text = re.sub(r"listen 443 ssl;\n +http2 on;", "listen 443 ssl http2;", text)
    text = text.replace("listen 443", f"listen {LOCAL}:{port}")
    return text.replace("/etc/nginx/tls/fullchain.pem", str(certificate.chain)).replace(
        "/etc/nginx/tls/privkey.pem", str(certificate.key)
    )


def is_old() -> bool:
    """Whether this machine's nginx is from before 1.25.1, which knew HTTP/2 as an option of listen only."""
    said = subprocess.run([find(NGINX), "-v"], capture_output=True, text=True, check=True).stderr
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    assert found is not None
    return tuple(map(int, found.groups())) < (1, 25, 1)


def options(place: Path, file: Path) -> list[str | Path]:
    """Nothing is read or written outside of the place."""
    return ["-p", place, "-c", file, "-e", "stderr"]


def moved(text: str, place: Path, port: int, instances: Sequence[int]) -> str:
    """The configuration with addresses of this machine. Names are not looked up: older versions cannot."""
    assert len(INSTANCE.findall(text)) == len(instances)
    ports = iter(instances)
    text = INSTANCE.sub(lambda found: f"server {LOCAL}:{next(ports)}", text)
    text = text.replace("        listen 80;", f"        listen {LOCAL}:{port};", 1)
    folders = "".join(f"    {name}_temp_path {place}/{name};\n" for name in FOLDERS)
    return text.replace("http {\n", "http {\n" + folders, 1)
