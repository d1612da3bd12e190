"""Texts as Envoy 1.40 sends them, and what they mean."""

from equipoise.backends.envoy.xds.rejections import Reason, Verdict, port_in_use, read_reason, verdict
from equipoise.proxy.rejections import RejectionKind

TWO = (
    "Error adding/updating listener(s) b/tcp/1: cannot bind '127.9.0.1:1': Permission denied\n"
    "a/tcp/2: cannot bind '127.9.0.1:2': Address already in use\n"
)
CUT = "Error adding/updating listener(s) a: reason one\nb: reas...(truncated)"


def test_the_listeners_that_are_named_are_refused_and_the_rest_applies() -> None:
    read = verdict(TWO, ["a/tcp/2", "b/tcp/1", "c/tcp/3"])
    assert read.rest_applies
    assert read.rejected == {
        "a/tcp/2": "cannot bind '127.9.0.1:2': Address already in use",
        "b/tcp/1": "cannot bind '127.9.0.1:1': Permission denied",
    }


def test_clusters_are_named_in_the_same_way() -> None:
    text = "Error adding/updating cluster(s) one: cluster 'one' is bad, two: is worse"
    assert verdict(text, ["one", "two", "ne", "wo"]).rejected == {"one": "cluster 'one' is bad", "two": "is worse"}


def test_a_name_within_another_name_is_not_taken_for_it() -> None:
    assert verdict("Error adding/updating listener(s) xa: no\n", ["a", "xa"]).rejected == {"xa": "no"}


def test_nothing_is_concluded_from_a_text_without_names() -> None:
    assert verdict("Invalid duration: Expected positive duration", ["a"]) == Verdict()
    assert verdict("Error adding/updating listener(s) someone else: no", ["a"]) == Verdict()


def test_after_a_text_that_was_cut_off_the_rest_is_uncertain() -> None:
    assert verdict(CUT, ["a", "b", "c"]) == Verdict({"a": "reason one"}, rest_applies=False)


def test_a_text_cut_off_within_its_first_reason_still_names_one() -> None:
    text = "Error adding/updating listener(s) a: rea...(truncated)"
    assert verdict(text, ["a", "b"]) == Verdict({"a": "rea...(truncated)"}, rest_applies=False)


def test_a_port_that_cannot_be_had_is_explained() -> None:
    in_use = read_reason("cannot bind '127.9.0.1:80': Address already in use")
    words = "cannot listen on 127.9.0.1:80: the port is in use already"
    assert in_use == port_in_use("127.9.0.1:80") == Reason(RejectionKind.ADDRESS_IN_USE, words)
    not_allowed = read_reason("cannot bind '127.9.0.1:80': Permission denied")
    assert not_allowed.kind is RejectionKind.PERMISSION
    assert "CAP_NET_BIND_SERVICE" in not_allowed.words
    elsewhere = read_reason("cannot bind '127.9.0.1:80': Cannot assign requested address")
    assert elsewhere.kind is RejectionKind.ADDRESS_UNKNOWN
    strange = read_reason("cannot bind '127.9.0.1:80': Strange")
    assert strange == Reason(RejectionKind.CANNOT_LISTEN, "cannot listen on 127.9.0.1:80: Strange")
    assert all(each.kind.is_about_listening for each in (in_use, not_allowed, elsewhere, strange))


def test_a_dump_of_the_message_is_left_out() -> None:
    read = read_reason("Invalid duration: goo.gle/debugproto   \nseconds: -5\n")
    assert read == Reason(RejectionKind.STRUCTURE, "Invalid duration")
    assert not read.kind.is_about_listening
    assert read_reason("whatever else").words == "whatever else"
