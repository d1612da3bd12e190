"""A client of the API, synchronous and asynchronous (docs/reference/python-client.md).

`calls` describes every call once. `Client` and `AsyncClient` make these calls over a transport that the user chooses:

>>> with Client(LeanTransport("http://127.0.0.1:8080"), Login.load(Path("data/credentials.json"))) as client:
...     client.log_in()
...     job = client.task("POST", "/elbaas/loadbalancers", {...})

This package imports nothing of the service. httpx is imported by `equipoise.client.over_httpx` alone.
"""

from equipoise.client.clients import AsyncClient, Client
from equipoise.client.errors import ApiError, ClientError, JobFailed, JobUnfinished, NoAnswer
from equipoise.client.lean import LeanTransport
from equipoise.client.login import Login
from equipoise.client.records import JobRecord
from equipoise.client.transport import ApiRequest, ApiResponse, AsyncTransport, SyncTransport

__all__ = [
    "ApiError",
    "ApiRequest",
    "ApiResponse",
    "AsyncClient",
    "AsyncTransport",
    "Client",
    "ClientError",
    "JobFailed",
    "JobRecord",
    "JobUnfinished",
    "LeanTransport",
    "Login",
    "NoAnswer",
    "SyncTransport",
]
