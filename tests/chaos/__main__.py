"""`make chaos`: the long run of the fault harness, on both databases, on one service or several."""

import argparse
import random
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from stand.namespaces import NamespacesMissing
from stand.postgres import running_postgres
from tests.chaos.run import Length, run, run_several

FOREVER = 24 * 3600.0


def main() -> int:
    """Run as the arguments say; the exit status is 1 when there was a violation."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", default="", help="what is random follows from it; a run prints its own")
    parser.add_argument("--kills", type=int, default=200, help="stop after that many kills (default 200)")
    parser.add_argument("--seconds", type=float, default=FOREVER, help="stop after that long at the latest")
    parser.add_argument("--clients", type=int, default=8, help="how many ask at once (default 8)")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--controllers", type=int, default=1, help="several share one PostgreSQL (default 1)")
    parser.add_argument("--keep", type=Path, help="a folder for data, logs and the story of the run")
    options = parser.parse_args()
    # Asked to end, it takes away what it has made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    seed = options.seed or str(random.SystemRandom().randrange(10**6))
    print(f"seed {seed}", flush=True)
    length = Length(options.seconds, options.kills)
    with TemporaryDirectory(prefix="equipoise-chaos-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if options.controllers > 1:
            try:
                summary = run_several(folder, seed, length, options.clients, options.controllers)
            except NamespacesMissing as error:
                sys.exit(f"Nothing was run: several services need networks of their own, and {error}")
        elif options.database == "postgresql":
            with running_postgres() as server:
                summary = run(folder, seed, length, options.clients, server.new_database())
        else:
            summary = run(folder, seed, length, options.clients)
        if options.keep:
            (folder / "story.txt").write_text(summary.story())
    print(summary.table())
    return 1 if summary.violations else 0


if __name__ == "__main__":
    sys.exit(main())
