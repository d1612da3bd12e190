"""Transports over httpx, for who has it anyway: connection pools, TLS, proxies, timeouts as it is configured."""

import httpx

from equipoise.client.errors import NoAnswer
from equipoise.client.transport import ApiRequest, ApiResponse


class HttpxTransport:
    """Args: `http` has the URL of the service as its `base_url`, and is closed with the transport."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def send(self, request: ApiRequest) -> ApiResponse:
        try:
            answer = self._http.request(
                request.method, request.path, headers=dict(request.headers), content=request.content
            )
        except httpx.TransportError as error:
            raise _no_answer(request, error) from error
        return _answer(answer)

    def close(self) -> None:
        self._http.close()


class AsyncHttpxTransport:
    """Args: `http` has the URL of the service as its `base_url`, and is closed with the transport."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def send(self, request: ApiRequest) -> ApiResponse:
        try:
            answer = await self._http.request(
                request.method, request.path, headers=dict(request.headers), content=request.content
            )
        except httpx.TransportError as error:
            raise _no_answer(request, error) from error
        return _answer(answer)

    async def close(self) -> None:
        await self._http.aclose()


def _answer(answer: httpx.Response) -> ApiResponse:
    return ApiResponse(answer.status_code, answer.headers, answer.content)


def _no_answer(request: ApiRequest, error: httpx.TransportError) -> NoAnswer:
    return NoAnswer(request.method, request.path, str(error) or type(error).__name__)
