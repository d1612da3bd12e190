"""The command `equipoise`. What its subcommands do is in the modules beside this one."""

import click

from equipoise.cli.demo import demo
from equipoise.cli.identity import identity
from equipoise.cli.up import up


@click.group()
@click.version_option(package_name="equipoise")
def main() -> None:
    """Load balancing as a service: a cloud-style API, durable jobs, Envoy as data plane."""


main.add_command(up)
main.add_command(demo)
main.add_command(identity)
