"""Requests through a load balancer, and who answered them."""

import os
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPConnection


def ask(address: str, port: int, count: int = 1, path: str = "/") -> Counter[str]:
    """Send requests, each on a connection of its own; returns who answered how often. Every one must be answered."""
    answers: Counter[str] = Counter()
    for _ in range(count):
        connection = HTTPConnection(address, port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        answers[text if answer.status == 200 else str(answer.status)] += 1
        connection.close()
    return answers


def assert_even(answers: Counter[str], addresses: Sequence[str]) -> None:
    """All of `addresses` and nobody else answered, in turns. Each worker of Envoy keeps turns of its own."""
    assert sorted(answers) == sorted(addresses), answers
    assert max(answers.values()) - min(answers.values()) <= 2 * (os.cpu_count() or 1), answers
