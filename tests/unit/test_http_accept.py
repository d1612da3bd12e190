"""Which Accept headers admit an answer."""

import pytest

from equipoise.http.accept import admits

JSON = ("application/json",)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        " ",
        "*/*",
        "application/*",
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
        "text/html, application/xml;q=0.9, */*;q=0.8",
        "application/json;q=0.1, text/html",
        "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
        "application/json;q=bad",
        "*/*;q=0, application/json",
    ],
)
def test_headers_that_admit_json(accept: str) -> None:
    assert admits(accept, JSON)


@pytest.mark.parametrize(
    "accept",
    ["text/html", "text/*", "application/xml", "application/json;q=0", "application/json; q=0.0, */*", "nonsense", ","],
)
def test_headers_that_do_not_admit_json(accept: str) -> None:
    assert not admits(accept, JSON)


def test_one_admitted_media_type_is_enough() -> None:
    assert admits("text/html", ("application/json", "text/html"))
