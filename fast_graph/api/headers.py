"""What browsers are told to be careful about."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = {"x-content-type-options": "nosniff"}
"""Of every answer: it is what it says it is."""

OF_PAGES = {
    "content-security-policy": "frame-ancestors 'self'",
    "referrer-policy": "same-origin",
    "x-frame-options": "SAMEORIGIN",
}
"""Of HTML: no other site may show it in a frame, or learns the addresses in it, which have ids."""


class SecurityHeaders:
    """Adds the headers that an answer does not have by itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, sending)


def _add(headers: MutableHeaders) -> None:
    is_page = headers.get("content-type", "").startswith("text/html")
    for name, value in (ALWAYS | OF_PAGES if is_page else ALWAYS).items():
        headers.setdefault(name, value)
