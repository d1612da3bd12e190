"""PEM as tools and people make it: each form says the same as the strict one, or cannot be understood."""

import re
from collections.abc import Callable, Mapping
from textwrap import indent

Form = Callable[[str], str]


def _lines(change: Callable[[str], str]) -> Form:
    return lambda pem: "".join(change(line) for line in pem.splitlines(keepends=True))


def _blocks(change: Callable[[str], str]) -> Form:
    return lambda pem: "".join(change(block) for block in re.split(r"(?<=-\n)(?=-----BEGIN)", pem))


def _body(change: Callable[[str], str]) -> Form:
    return _lines(lambda line: line if line.startswith("-----") else change(line))


FORMS: Mapping[str, Form] = {
    "strict": lambda pem: pem,
    "no newline at the end": str.rstrip,
    "CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "CR": lambda pem: pem.replace("\n", "\r"),
    "BOM": lambda pem: "\ufeff" + pem,
    "BOM before each": _blocks(lambda block: "\ufeff" + block),
    "indented": lambda pem: indent(pem, "    "),
    "tabbed": lambda pem: indent(pem, "\t"),
    "indented but for the first line": lambda pem: indent(pem, "    ").lstrip(),
    "blanks at the ends of lines": lambda pem: pem.replace("\n", "  \n"),
    "blank lines": lambda pem: pem.replace("\n", "\n\n"),
    "blanks for newlines": lambda pem: pem.replace("\n", " "),
    "nothing for newlines": lambda pem: pem.replace("\n", ""),
    "no blanks at all": lambda pem: re.sub(r"\s", "", pem),
    "joined blocks": lambda pem: pem.replace("-\n-", "--"),
    "no-break spaces": lambda pem: indent(pem, "\u00a0"),
    "escaped newlines": lambda pem: pem.replace("\n", "\\n"),
    "escaped CRLF": lambda pem: pem.replace("\n", "\\r\\n"),
    "escaped twice": lambda pem: pem.replace("\n", "\\\\n"),
    "escaped for a shell": lambda pem: pem.replace("\n", "\\\n"),
    "escaped slashes": lambda pem: pem.replace("/", "\\/"),
    "double quotes": lambda pem: f'"{pem}"',
    "single quotes": lambda pem: f"'{pem}'",
    "a string of C": _lines(lambda line: f'"{line.rstrip()}\\n"\n'),
    "a list of JSON": lambda pem: "[" + ", ".join(f'"{line}"' for line in pem.splitlines()) + "]",
    "YAML": lambda pem: "certificate: |\n" + indent(pem, "  "),
    "one line a block": _body(str.strip),
    "lines of 76": lambda pem: _blocks(lambda block: _wrapped(block, 76))(pem),
    "lines of one": _body(lambda line: "\n".join(line)),
    "text before": lambda pem: "Bag Attributes\n    friendlyName: Größe 证书\n" + pem,
    "text on the line before": _blocks(lambda block: "1: " + block),
    "text between": _blocks(lambda block: f"subject=CN = x\nissuer=CN = y\n\n{block}"),
    "text after": lambda pem: pem + "# the end -- END of the file\n",
    "a line of dashes": _blocks(lambda block: "-" * 60 + "\n" + block),
    "a dash lost": lambda pem: pem[1:].rstrip()[:-1],
    "dashes of a word processor": lambda pem: pem.replace("-----", "\u2014\u2013"),
    "small letters": _lines(lambda line: line.lower() if line.startswith("-----") else line),
    "no padding": lambda pem: pem.replace("=", ""),
    "zero width spaces": _lines(lambda line: "\u200b" + line),
    "parameters before": lambda pem: (
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + pem
    ),
}
"""Forms that are understood."""

FAULTS: Mapping[str, tuple[Form, str]] = {
    "no end": (lambda pem: pem[: pem.rindex("-----END")], "; is it cut off?"),
    "no begin": (lambda pem: pem[pem.index("\n") :], "; is it cut off?"),
    "an end that differs": (lambda pem: pem.replace("-----END ", "-----END X "), "; is it cut off?"),
    "a label that is misspelt at one end": (lambda pem: pem.replace("BEGIN ", "BEGIN X", 1), "; is it cut off?"),
    "no letter of Base64": (lambda pem: pem.replace("MII", "M*I"), 'holds "*", which is no character of Base64'),
    "padding in the middle": (lambda pem: pem.replace("MII", "MI=I"), "holds = in the middle of its Base64"),
    "HTML": (lambda pem: pem.replace("\n", "<br>\n"), 'holds "<", which is no character of Base64'),
    "nothing inside": (
        lambda pem: re.sub(r"(?s)(?<=Y-----).*(?=-----END)|(?<=E-----).*(?=-----END)", "", pem),
        "empty",
    ),
    "no lines around the second": (lambda pem: pem + _bare(pem), "holds Base64 outside of its blocks"),
}
"""Forms that are not understood, with a part of what is told."""


def _wrapped(block: str, width: int) -> str:
    begin, *body, end = block.splitlines()
    base64 = "".join(body)
    return "\n".join([begin, *(base64[at : at + width] for at in range(0, len(base64), width)), end, ""])


def _bare(pem: str) -> str:
    return "".join(line for line in pem.splitlines(keepends=True) if not line.startswith("-----"))
