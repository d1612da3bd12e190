"""Choosing an address from a pool. Pure: which addresses are taken is asked through a function."""

import random
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

RANDOM_TRIES = 8


def usable(pool: IPv4Network) -> range:
    """The addresses of a pool as integers, without its first and last one where it has more than two."""
    first, last = int(pool.network_address), int(pool.broadcast_address)
    return range(first, last + 1) if pool.num_addresses <= 2 else range(first + 1, last)


def contains(pool: IPv4Network, address: str) -> bool:
    """Whether `address` can be given out from `pool`. Raises ValueError when it is no IPv4 address."""
    return int(IPv4Address(address)) in usable(pool)


def choose(
    pool: IPv4Network, is_taken: Callable[[str], bool], all_taken: Callable[[], Iterable[str]], seed: random.Random
) -> str | None:
    """A free address of the pool, or None when there is none.

    A few random tries come first: their cost does not grow with the number of addresses in use, an address just
    given back is not given to the next one who asks, and two services with overlapping pools rarely meet. Only in
    a nearly full pool are all taken ones looked at.
    """
    candidates = usable(pool)
    for _ in range(RANDOM_TRIES):
        address = str(IPv4Address(seed.choice(candidates)))
        if not is_taken(address):
            return address
    return next(_free(candidates, all_taken()), None)


def _free(candidates: range, taken: Iterable[str]) -> Iterator[str]:
    numbers = {int(IPv4Address(address)) for address in taken}
    return (str(IPv4Address(number)) for number in candidates if number not in numbers)
