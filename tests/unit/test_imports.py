"""Imports point one way (docs/explanation/architecture.md): which room of the package may import which others."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "equipoise"

ROOMS = {
    "client": set(),
    "settings": {"core"},
    "core": set(),
    "store": {"core"},
    "identity": {"core", "store"},
    "certificates": {"core"},
    "webhooks": {"core", "store"},
    "usecases": {"core", "store", "certificates", "webhooks"},
    "http": set(),
    "api": {"core", "store", "identity", "certificates", "webhooks", "usecases", "metrics", "http"},
    "proxy": {"core"},
    "wire": {"core", "proxy"},
    "backends": {"core", "proxy"},
    "node": {"core", "proxy", "backends", "wire"},
    "metrics": {"core", "store", "identity", "backends", "node"},
    "controller": {"core", "store", "certificates", "proxy", "wire"},
}
"""Each room with those that it may import. `app` wires all of them; what `cli` shows may come from anywhere."""

SHARED = {"netlink", "parameters", "private_files", "quoting", "unix_path"}
"""Modules beside the rooms that know none of them."""


def imported(path: Path) -> Iterator[str]:
    """Every module that is imported in a file, in functions and for types, too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(room: str) -> Iterator[tuple[Path, list[str]]]:
    """Each file of a room and what it imports, as lists of names."""
    for path in sorted((PACKAGE / room).rglob("*.py")):
        yield from ((path.relative_to(PACKAGE), name.split(".")) for name in imported(path))


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == ROOMS.keys() | {"app", "cli", "standby"}


def test_no_room_imports_against_the_direction() -> None:
    wrong = [
        (str(path), ".".join(name))
        for room, allowed in ROOMS.items()
        for path, name in imports(room)
        if name[0] == "equipoise" and name[1] not in allowed | SHARED | {room}
    ]
    assert wrong == []


def test_the_direction_has_no_way_round() -> None:
    reached: dict[str, set[str]] = {}

    def below(room: str, above: tuple[str, ...]) -> set[str]:
        assert room not in above, f"{' -> '.join(above)} -> {room}"
        if room not in reached:
            reached[room] = ROOMS[room].union(*(below(other, (*above, room)) for other in ROOMS[room]))
        return reached[room]

    for room in ROOMS:
        assert room not in below(room, ())


def test_the_domain_imports_nothing_but_the_standard_library() -> None:
    foreign = {name[0] for _, name in imports("core")} - sys.stdlib_module_names - {"equipoise"}
    assert foreign == set()


def test_the_door_of_the_service_knows_neither_http_nor_any_api() -> None:
    names = [name.split(".") for name in imported(PACKAGE / "api" / "service.py")]
    assert [name for name in names if name[0] in {"starlette", "uvicorn"}] == []
    assert [name for name in names if name[0] == "equipoise" and name[1] in {"api", "http"}] == []


def test_what_is_classic_stays_in_its_room() -> None:
    """Other APIs, and all below them, know nothing of its records, rules and codes."""
    rooms = [room for room in ROOMS if room != "api"]
    wrong = [
        (str(path), ".".join(name))
        for room in [*rooms, "api/keystone"]
        for path, name in imports(room)
        if name[:3] == ["equipoise", "api", "classic"]
    ]
    assert wrong == []


def test_shared_modules_know_no_room() -> None:
    names = [name.split(".") for module in SHARED for name in imported(PACKAGE / f"{module}.py")]
    assert [name for name in names if name[0] == "equipoise"] == []


def test_the_stand_and_the_benchmarks_import_no_tests() -> None:
    forbidden = {"benchmarks": {"tests"}, "stand": {"tests", "benchmarks"}}
    wrong = [
        (str(path.relative_to(ROOT)), name)
        for folder, others in forbidden.items()
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in imported(path)
        if name.split(".")[0] in others
    ]
    assert wrong == []


def test_unit_tests_use_no_database_and_no_running_service() -> None:
    modules = ("stand.postgres", "tests.store", "psycopg")
    names = {"Database", "open_engine", "Service", "running_service"}
    fixtures = {"postgres", "shared_service", "own_service", "api"}
    wrong = []
    for path in sorted((ROOT / "tests" / "unit").rglob("*.py")):
        taken = {node.arg for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.arg)}
        wrong += [(path.name, name) for name in sorted(taken & fixtures)]
        wrong += [
            (path.name, name) for name in imported(path) if name.startswith(modules) or name.rpartition(".")[2] in names
        ]
    assert wrong == [], "they belong to another level (docs/README.md)"


def test_the_builders_of_envoy_resources_know_no_stream() -> None:
    own = ["equipoise", "backends", "envoy", "build"]
    wrong = [
        (str(path), ".".join(name))
        for path, name in imports("backends/envoy/build")
        if name[0] == "equipoise" and name[:4] != own and name[1] not in {"core", "proxy"}
    ]
    assert wrong == []
