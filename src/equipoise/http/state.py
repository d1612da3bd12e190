"""The names under which the layers of the HTTP server tell each other something about a request, in its state."""

from typing import Final

STATE_REQUEST_ID: Final = "request_id"

STATE_OPERATION: Final = "operation"
"""The name of the operation, once one was found."""

STATE_BEGAN: Final = "began"
"""Set by the server where the request began long before it came here: when, by `perf_counter`."""

STATE_REFUSED: Final = "refused_with"
"""Set by the server when it has answered in the application's place: the status of that answer."""
