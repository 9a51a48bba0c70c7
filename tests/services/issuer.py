"""An issuer of tokens, with keys that it publishes and changes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key


class Issuer:
    """Signs with the key that it publishes."""

    def __init__(self) -> None:
        self.url = ""
        self.reads = 0
        """How often its keys were read."""
        self.answer: bytes | None = None
        """What it says in place of its keys."""
        self.asked, self._speaks = Event(), Event()
        self._speaks.set()
        self._more: list[dict[str, Any]] = []
        self.rotate()

    def rotate(self) -> None:
        """From now on it is another key."""
        self._key, self._key_id = generate_private_key(65537, 2048), uuid4().hex

    def publish(self, key: dict[str, Any]) -> None:
        """One key more."""
        self._more.append(key)

    def token(self, identity: str, *, lasts: float = 600, kid: str | None = None, **claims: Any) -> str:
        """A token that is good for so many seconds."""
        said = {"sub": identity, "exp": time.time() + lasts, **claims}
        return jwt.encode(said, self._key, "RS256", headers={"kid": kid or self._key_id})

    def hush(self) -> None:
        """Let whoever asks wait; ``asked`` is set when somebody does."""
        self.asked.clear()
        self._speaks.clear()

    def speak(self) -> None:
        """Answer, those as well who have waited."""
        self._speaks.set()

    def say(self) -> bytes:
        """The answer to who asks, once it is not silent."""
        self.reads += 1
        self.asked.set()
        self._speaks.wait()
        return json.dumps(self.keys()).encode() if self.answer is None else self.answer

    def keys(self) -> dict[str, Any]:
        """What it publishes."""
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**public, "kid": self._key_id, "use": "sig", "alg": "RS256"}, *self._more]}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer at an address of its own."""
    issuer = Issuer()

    class Publishing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = issuer.say()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Publishing) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}/keys"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="issuer")
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
