"""The standby: `python -m equipoise.standby SETTINGS`. Looks after Envoy while there is no service, and only then.

The service starts it beside Envoy (`equipoise.node.standby`). It sleeps until the process of the service is gone
without having ended it, then keeps Envoy running as the service did. To an Envoy that it had to start it hands what was
last in force (`equipoise.node.last_good`), over the control stream that the service would have opened. One that
lives is told nothing: it may know more than was stored. The next service ends the standby, which then leaves Envoy
and the traffic as they are.

While it sleeps only a few modules of the standard library are loaded, which keeps it at 5 MiB; what it does then is in
`equipoise.standby.takeover`.
"""

import json
import os
import select
import sys


def main() -> int:
    """Sleep until the service is gone, then stand in for it until asked to end."""
    # Until the service is gone there is nothing that has to be put in order at the end.
    given = sys.argv[1]
    _await_end(json.loads(given)["service"])
    from equipoise.standby.takeover import take_over

    take_over(given)
    return 0


def _await_end(pid: int) -> None:
    """Return when the process that started us is gone; at once if it is gone already."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # If it is gone, the number may be another's by now.
        if os.getppid() == pid:
            select.select([process], [], [])
    finally:
        os.close(process)


if __name__ == "__main__":
    sys.exit(main())
