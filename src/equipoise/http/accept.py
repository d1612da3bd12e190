"""Whether an Accept header admits a media type (RFC 9110, section 12.5.1). What is produced is the operation's."""

from collections.abc import Iterable


def admits(accept: str, produced: Iterable[str]) -> bool:
    """Whether `accept` admits one of the media types. An empty header admits all."""
    ranges = _weighted_ranges(accept)
    return not accept.strip() or any(_weight(media_type, ranges) > 0 for media_type in produced)


def _weight(media_type: str, ranges: dict[str, float]) -> float:
    """The weight of the most specific range that covers the media type; 0 when none does."""
    family = media_type.partition("/")[0]
    for candidate in (media_type, f"{family}/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0.0


def _weighted_ranges(accept: str) -> dict[str, float]:
    ranges: dict[str, float] = {}
    for part in accept.split(","):
        media_range, *parameters = (text.strip().lower() for text in part.split(";"))
        # Parameters such as a charset narrow nothing down: everything that is produced here is UTF-8.
        ranges[media_range] = max(_quality(parameters), ranges.get(media_range, 0.0))
    return ranges


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 1.0
    return 1.0
