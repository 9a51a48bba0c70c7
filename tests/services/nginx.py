"""nginx for tests, before instances of an app. It takes them in turn and keeps none to a client: the hardest case."""

from collections.abc import Sequence
from string import Template

from tests.services.processes import LOCAL, Bench, Server, accepts, free_port
from tests.services.programs import NGINX, find

CONFIGURATION = Template("""\
daemon off;
worker_processes 1;
pid $place/pid;
error_log stderr info;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path $place/body;
  proxy_temp_path $place/proxy;
  fastcgi_temp_path $place/fastcgi;
  uwsgi_temp_path $place/uwsgi;
  scgi_temp_path $place/scgi;
  upstream app {
    $instances
  }
  server {
    listen $address;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $$http_host;
      proxy_buffering off;
      proxy_read_timeout 1h;
      proxy_next_upstream error;
    }
  }
}
""")


def nginx_server(bench: Bench, ports: Sequence[int]) -> Server:
    """A new server before the apps on these ports, not started yet."""
    place, port = bench.place("nginx"), free_port()
    # No failure puts an instance aside: it is tried again with the next request.
    instances = "\n    ".join(f"server {LOCAL}:{port} max_fails=0;" for port in ports)
    text = CONFIGURATION.substitute(place=place, instances=instances, address=f"{LOCAL}:{port}")
    (place / "nginx.conf").write_text(text)
    return Server(
        bench=bench,
        place=place,
        port=port,
        url=f"http://{LOCAL}:{port}",
        command=[find(NGINX), "-p", place, "-c", place / "nginx.conf", "-e", "stderr"],
        ready=lambda: accepts(port),
    )
