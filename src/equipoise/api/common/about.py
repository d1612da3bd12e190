"""Operations about the service itself: is it there, and which APIs it speaks. They need no token."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from equipoise.api.common import versions as wire
from equipoise.http.respond import json_response
from equipoise.http.root import root_url
from equipoise.http.routing import Operation

_UP = {"status": "ok"}

_CLASSIC: Final = ("v1.0", "v1.0", "2018-09-30T00:00:00Z")
_IDENTITY: Final = ("v3.14", "v3", "2020-04-07T00:00:00Z")
"""Id of the version, path below the root, when that version of the API was last changed."""


class About:
    """Handlers of the operations that need no token."""

    def operations(self) -> list[Operation]:
        """What this class answers. Clients ask for a version with and without a slash."""
        show = "Show the version of the classic API"
        one = wire.VersionDocument
        return [
            Operation(
                "showHealth", "GET", "/healthz", self.health, "Whether it is up", answer=dict[str, str], open=True
            ),
            Operation(
                "listVersions", "GET", "/", self.versions, "List the API versions", answer=wire.VersionList, open=True
            ),
            Operation("showVersion", "GET", "/v1.0", self.version, show, answer=one, open=True),
            Operation("showVersionBySlash", "GET", "/v1.0/", self.version, show, answer=one, open=True),
        ]

    async def health(self, _request: Request) -> Response:
        return json_response(_UP)

    async def versions(self, request: Request) -> Response:
        # Clients of the identity begin here, too, when they know the root alone (identity.md).
        return json_response({"versions": [_version(request, *each) for each in (_CLASSIC, _IDENTITY)]})

    async def version(self, request: Request) -> Response:
        return json_response({"version": _version(request, *_CLASSIC)})


def _version(request: Request, id: str, path: str, updated: str) -> wire.Version:
    return {
        "id": id,
        "links": [{"href": f"{root_url(request)}/{path}", "rel": "self"}],
        "status": "CURRENT",
        "updated": updated,
        "version": "",
        "min_version": "",
    }
