"""What the HTTPS servers of the shipped nginx.conf promise, from a real nginx."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from tests.deployment.front import https_nginx, new_certificate
from tests.integration.test_limits import TOKENS, alone
from tests.services.processes import LOCAL, Bench, Server, free_port

pytestmark = pytest.mark.usefixtures("start_nginx")  # sees to it that there is one


@dataclass(frozen=True)
class Site:
    """nginx on its two ports."""

    plain: Server
    port: int
    trust: ssl.SSLContext

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"https://{LOCAL}:{self.port}", verify=self.trust, timeout=20)


@pytest.fixture(scope="module")
def site(bench: Bench) -> Iterator[Site]:
    certificate, port = new_certificate(bench.place("tls")), free_port()
    with alone(bench) as instance, https_nginx(bench, [instance] * 3, port, certificate) as nginx:
        yield Site(nginx, port, ssl.create_default_context(cafile=certificate.chain))


def test_browsers_are_told_to_come_back_by_https(site: Site) -> None:
    with site.client as client:
        answer = client.post("/runs/wait", json=TOKENS)
        assert answer.json() == {"log": ["said", "done"], "count": 3}
        for response in (answer, client.get("/nowhere")):
            assert response.headers["strict-transport-security"] == "max-age=31536000"


def test_who_comes_by_http_is_sent_to_https_with_what_they_brought(site: Site) -> None:
    sent = httpx.post(f"{site.plain.url}/runs?a=b", json=TOKENS)
    assert (sent.status_code, sent.headers["location"]) == (308, f"https://{LOCAL}/runs?a=b")


async def test_http_2_is_spoken(site: Site) -> None:
    site.trust.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection(LOCAL, site.port, ssl=site.trust)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    writer.close()


async def test_old_versions_of_tls_are_refused(site: Site) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(LOCAL, site.port, ssl=old)
