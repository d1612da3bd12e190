"""What a listener must fit beside itself, as a test wants it."""

from equipoise.core.model import EXTERNAL, LoadBalancer, Status


def load_balancer(id: str, type: str = EXTERNAL) -> LoadBalancer:
    return LoadBalancer(
        id=id,
        project_id="",
        name="",
        description="",
        type=type,
        vpc_id="",
        vip_subnet_id=None,
        vip_address="",
        security_group_id=None,
        az=None,
        bandwidth=None,
        admin_state_up=1,
        charge_mode=None,
        eip_type=None,
        status=Status.ACTIVE,
        deleting=False,
        generation=1,
        revision=1,
        create_time=0,
        update_time=0,
    )


class Anywhere:
    """Everything fits: what a body says by itself."""

    def load_balancer(self, id: str) -> LoadBalancer:
        return load_balancer(id)

    def check_port(self, protocol: str, port: int) -> None: ...

    def check_certificate(self, id: str) -> None: ...
