"""The `equipoise` command that asks PostgreSQL for half a second, and not for 30, what became of a commit."""

from equipoise.cli.main import main
from equipoise.store import server

if __name__ == "__main__":
    server._DOUBT_PATIENCE = 0.5  # type: ignore[misc]
    main()
