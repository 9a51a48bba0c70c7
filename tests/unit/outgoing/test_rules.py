import pytest

from fast_graph.model.errors import InvalidError
from fast_graph.outgoing.rules import UrlRules

REFUSED = [
    "http://127.0.0.1/",
    "http://127.1.2.3/",
    "http://[::1]/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.100.100.200/",
    "http://[fd00:ec2::254]/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://[::ffff:0:7f00:1]/",
    "http://[::ffff:0:a9fe:a9fe]/",
    "http://[0:0:0:1::1]/",
    "http://[1000::7]/",
    "http://[4000::1]/",
    "http://[5f00::1]/",
    "http://[3fff::1]/",
    "http://example.com:0/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[ff02::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:1::]/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://example.0x1/",
    "http://%31%32%37.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://exa\u3002mple.com/",
    "http://localhost\\@example.com/",
    "http://example.com /",
    "http://exam\tple.com/",
    "http://example.com/\r\nHost: internal",
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://example.com:22/",
    "http://example.com:6379/",
    "http://example.com:65536/",
    "http:///path",
    "http://",
    "http:example.com",
    "//example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "",
    "http://example.com/" + "a" * 2048,
    "http://-example.com/",
    "http://" + "a" * 64 + ".com/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_what_is_not_plainly_on_the_internet_is_refused(url: str) -> None:
    with pytest.raises(InvalidError) as refused:
        UrlRules().check(url)
    assert "password" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://example.com:443/hook?a=b%20c#d",
        "HTTPS://EXAMPLE.com/",
        "https://xn--bcher-kva.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://my_service.example.com/",
    ],
)
def test_what_is_on_the_internet_passes(url: str) -> None:
    assert UrlRules().check(url).host


@pytest.mark.parametrize(
    ("rules", "passes", "refused"),
    [
        (UrlRules(loopback=True), "http://127.0.0.1/", "http://10.0.0.1/"),
        (UrlRules(loopback=True), "http://[::1]/", "http://[::ffff:127.0.0.1]/"),
        (UrlRules(private=True), "http://10.0.0.1/", "http://127.0.0.1/"),
        (UrlRules(private=True), "http://[fd12::1]/", "http://[fd00:ec2::254]/"),
        (UrlRules(private=True), "http://192.168.0.1/", "http://169.254.169.254/"),
        (UrlRules(https_only=True), "https://example.com/", "http://example.com/"),
        (UrlRules(domains=("example.com",)), "http://example.com/", "http://sub.example.com/"),
        (UrlRules(domains=("*.Example.com",)), "http://sub.example.com/", "http://example.com/"),
        (UrlRules(domains=("*.example.com",)), "http://a.b.example.com/", "http://evilexample.com/"),
        (UrlRules(ports=(8443,)), "https://example.com:8443/", "https://example.com/"),
        (UrlRules(ports=()), "https://example.com:8443/", "ftp://example.com:21/"),
        (UrlRules(max_length=30), "http://example.com/", "http://example.com/a-longer-path"),
    ],
)
def test_each_rule_can_be_set(rules: UrlRules, passes: str, refused: str) -> None:
    assert rules.check(passes)
    with pytest.raises(InvalidError):
        rules.check(refused)
