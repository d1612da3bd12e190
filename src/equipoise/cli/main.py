"""The command `equipoise`. What its subcommands do is in the modules beside this one."""

import os

import click

# Read when gRPC is loaded. Each connection without a valid certificate would else be a line in the log that is no JSON.
os.environ["GRPC_VERBOSITY"] = os.environ.get("GRPC_VERBOSITY", "ERROR")

from equipoise.cli.demo import demo
from equipoise.cli.identity import identity
from equipoise.cli.node import node
from equipoise.cli.up import controller, up


@click.group()
@click.version_option(package_name="equipoise")
def main() -> None:
    """Load balancing as a service: a cloud-style API, durable jobs, Envoy as data plane."""


main.add_command(up)
main.add_command(controller)
main.add_command(node)
main.add_command(demo)
main.add_command(identity)
