"""What an older standby looks for by name in the folder of a newer version."""

import importlib

from equipoise.node.standby import MODULE, StandbySettings
from equipoise.standby import takeover


def test_a_standby_of_0_1_0_finds_its_work() -> None:
    assert importlib.import_module("equipoise.stand_in").stand_in is takeover.take_over
    envoy = '{"data_directory": "/data", "node_id": "local", "concurrency": null}'
    told = f'{{"envoy": {envoy}, "key_file": "/key", "service": 7}}'
    assert StandbySettings.from_json(told).service == 7


def test_a_service_finds_the_standby_of_an_older_one_by_its_command_line() -> None:
    assert MODULE == "equipoise.standby"
