"""A network that fails in the middle of a stream."""

from collections.abc import AsyncIterator, Callable

import httpx


class DroppingTransport(httpx.AsyncBaseTransport):
    """Breaks the first stream once ``seen`` says so of what has come through it."""

    def __init__(self, seen: Callable[[bytes], bool], *, dropped: Callable[[], None]) -> None:
        self.requests: list[httpx.Request] = []
        self._inner = httpx.AsyncHTTPTransport()
        self._seen = seen
        self._dropped = dropped
        self._whole = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = await self._inner.handle_async_request(request)
        if self._whole and "event-stream" in response.headers.get("content-type", ""):
            self._whole = False
            assert isinstance(response.stream, httpx.AsyncByteStream)
            response.stream = Breaking(response.stream, self._seen, self._dropped)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class Breaking(httpx.AsyncByteStream):
    """A body that is cut off."""

    def __init__(
        self, inner: httpx.AsyncByteStream, seen: Callable[[bytes], bool], dropped: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._seen = seen
        self._dropped = dropped

    async def __aiter__(self) -> AsyncIterator[bytes]:
        passed = b""
        async for chunk in self._inner:
            passed += chunk
            yield chunk
            if self._seen(passed):
                self._dropped()
                raise httpx.ReadError("the connection was lost")

    async def aclose(self) -> None:
        await self._inner.aclose()
