"""Memory that is needed for a moment is not kept."""

import subprocess
import sys

_CODE = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from equipoise.cli.memory import give_back_what_is_freed
from equipoise.identity.passwords import Passwords

def mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024

give_back_what_is_freed()
with ThreadPoolExecutor(1) as thread:
    passwords = Passwords()
    before = mib()
    for _ in range(4):
        thread.submit(passwords.hash, "p").result()
    print(mib() - before)
"""


def test_what_passwords_take_for_a_moment_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 8
