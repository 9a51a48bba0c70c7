"""The nginx.conf of the project in a real nginx, in front of instances on this machine."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.services.processes import LOCAL, ROOT, Bench, Server, accepts, free_port
from tests.services.programs import NGINX, find

SHIPPED = ROOT / "nginx.conf"
INSTANCE = re.compile(r"server (fast-graph-\d):8000 resolve")
FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


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
