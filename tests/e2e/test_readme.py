"""The first load balancer of the README, run as it is written: what is pasted from there works."""

import re
import subprocess
from pathlib import Path

from stand import Service, free_port, unused_network
from tests.page import commands, elsewhere

README = Path(__file__).parents[2] / "README.md"
SECTION = "## The first load balancer\n"


def commands_of_the_section() -> str:
    section = README.read_text().partition(SECTION)[2].partition("\n## ")[0]
    return commands(section)


def test_the_first_load_balancer_of_the_readme_works_as_written(own_service: Service) -> None:
    folder = own_service.data_dir.parent
    assert own_service.data_dir.name == "data", "the README speaks of the folder data"
    backends = unused_network().removesuffix("0/24")
    # Nothing but what other tests of this machine may use at the same time is replaced.
    places = {"127.0.0.1": backends, "9000": str(free_port(f"{backends}1")), "/tmp/": f"{folder}/"}
    script = elsewhere(commands_of_the_section(), places)

    ran = subprocess.run(["bash", "-eu", "-c", script], cwd=folder, capture_output=True, text=True, timeout=60)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = ran.stdout.splitlines()
    greetings = [line for line in lines if line.startswith("Hello")]
    assert sorted(set(greetings)) == ["Hello from backend A", "Hello from backend B"], ran.stdout + ran.stderr
    assert len(greetings) == 4
    jobs = [re.findall(r'^{"status":"([A-Z]+)".*?"job_type":"(\w+)"', line) for line in lines if line.startswith("{")]
    assert jobs == [[("SUCCESS", name)] for name in ("createELB", "createMember", "removeMember", "deleteELB")]
    assert not (folder / "backend-a").exists()
