"""`equipoise demo`: a stand of its own, a walk through the main job, and the stand to play with until Ctrl-C."""

import asyncio
import sys

import click


@click.command()
@click.option("--once", is_flag=True, help="End right after the walk; do not leave the stand running.")
def demo(once: bool) -> None:
    """Start a service and two backends, and show traffic through a load balancer.

    Everything lives in a temporary folder and on loopback addresses, and is gone afterwards.
    """
    if sys.stdout is None:
        raise click.ClickException("Standard output is closed, so there is nothing to show the demo on.")
    # Here and not above: `equipoise up` loads this module too, and must not carry what only a demo needs.
    from equipoise.cli.demonstration.run import run
    from equipoise.cli.demonstration.screen import Screen

    sys.exit(asyncio.run(run(Screen(), once=once)))
