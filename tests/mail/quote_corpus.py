"""Mails with quoted pasts, made of what programs write in many languages, and those written down by hand beside it.

Every program here puts together text as its plain-text part looks; the words are ours.
"""

from __future__ import annotations

import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "quotes"
NAME, ADDRESS = "Ornek Store Support", "support@ornek.example"
CUSTOMER = "Deniz Kaya <deniz.kaya@example.net>"
OURS = frozenset({ADDRESS, NAME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A text, and the own words that should be shown of it. `aside`: not looked at while the rule was made."""

    name: str
    text: str
    own: str
    aside: bool = False
    ours: frozenset[str] = OURS


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An HTML mail: words that are its writer's own, and words that are quoted or a signature."""

    name: str
    html: str
    own: tuple[str, ...]
    quoted: tuple[str, ...]
    aside: bool = False


@cache
def languages() -> dict[str, dict[str, Any]]:
    return tomllib.loads((FOLDER / "languages.toml").read_text(encoding="utf-8"))


def generated() -> Iterator[Sample]:
    """Every language in every program it is told for."""
    for code, told in languages().items():
        for name, make in PROGRAMS.items():
            text = make(told)
            if text is not None:
                yield Sample(
                    name=f"{code} {name}", text=text, own="\n".join(told["own"]), aside=told.get("aside", False)
                )


def attribution(told: dict[str, Any], program: str) -> str | None:
    """The line of a program with the shop's name and address in it."""
    template: str | None = told.get(program)
    if template is None:
        return None
    at = _place(template, "N")
    named = template[:at] + NAME + template[at + 1 :]
    for left, right in (("<", ">"), ("(", ")"), ("<\u202a", "\u202c\u200f>")):
        named = named.replace(f"{left}A{right}", f"{left}{ADDRESS}{right}")
    return named


def _place(template: str, letter: str) -> int:
    """Where a letter stands alone."""
    for at, found in enumerate(template):
        around = template[max(0, at - 1) : at] + template[at + 1 : at + 2]
        if found == letter and not any(one.isascii() and one.isalnum() for one in around):
            return at
    raise ValueError(template)


def _own(told: dict[str, Any]) -> str:
    return "\n".join(told["own"])


def _quoted(told: dict[str, Any], prefix: str = "> ") -> str:
    lines = [told["ours"][0], "", *textwrap.wrap(told["ours"][1], 66), "", told["ours"][2]]
    return "\n".join((prefix + line).rstrip() for line in lines)


def _below(
    program: str, *, gap: str = "\n\n", wrap: int = 0, quoted: bool = False, prefix: str = "> "
) -> Callable[..., str | None]:
    def make(told: dict[str, Any]) -> str | None:
        line = attribution(told, program)
        if line is None:
            return None
        lines = textwrap.wrap(line, wrap, break_long_words=False, break_on_hyphens=False) if wrap else [line]
        head = "\n".join((prefix if quoted else "") + line for line in lines)
        between = f"\n{prefix.rstrip()}\n" if quoted else gap
        return f"{_own(told)}\n\n{head}{between}{_quoted(told, prefix)}\n"

    return make


def _phone(told: dict[str, Any]) -> str | None:
    line = attribution(told, "apple")
    return f"{_own(told)}\n\n{told['phone']}\n\n> {line}\n> \n{_quoted(told)}\n" if line else None


def _outlook(*, line: bool = False, bold: bool = False, plain_names: bool = False) -> Callable[..., str | None]:
    def make(told: dict[str, Any]) -> str | None:
        from_, sent, to, subject, day = told["headers"]
        star = "*" if bold else ""
        sender = f"{NAME} <{ADDRESS}>"
        values = ((from_, sender), (sent, day), (to, "Deniz Kaya" if plain_names else CUSTOMER), (subject, "Re: 1001"))
        block = "\n".join(f"{star}{label}:{star} {value}" for label, value in values)
        stroke = "_" * 32 + "\n" if line else ""
        return f"{_own(told)}\n\n{stroke}{block}\n\n{_quoted(told, '')}\n"

    return make


# In which order programs write a header, by the places in `headers` of languages.toml.
ORDERS = {
    "Outlook": (0, 1, 2, 3),
    "GMX": (1, 0, 2, 3),
    "Outlook Express": (0, 2, 1, 3),
}
GAPS = {"closely": "\n", "below a blank line": "\n\n", "below two": "\n\n\n"}


def headed(told: dict[str, Any], order: str, *, bare: bool = False) -> list[tuple[str, str]]:
    """The labels of a header and their values, in a program's order. `bare`: the customer's address is left out."""
    *labels, day = told["headers"]
    values = (f"{NAME} <{ADDRESS}>", day, "Deniz Kaya" if bare else CUSTOMER, "Re: 1001")
    return [(labels[place], values[place]) for place in ORDERS[order]]


@cache
def endings() -> dict[str, str]:
    """How customers' own words end in lines that look like a header's."""
    found = tomllib.loads((FOLDER / "endings.toml").read_text(encoding="utf-8"))
    return {name: text.strip("\n") for name, text in found.items()}


def below_labels() -> Iterator[Sample]:
    """Every ending above the header of every language and order, closely or not."""
    for code, told in languages().items():
        quoted = _quoted(told, "")
        for ending, words in endings().items():
            for order in ORDERS:
                for gap, blank in GAPS.items():
                    for bare in (False, True):
                        block = "\n".join(f"{label}: {value}" for label, value in headed(told, order, bare=bare))
                        yield Sample(
                            name=f"{ending} {gap}, {code} {order}{', names' if bare else ''}",
                            text=f"{told['own'][0]}\n\n{words}{blank}{block}\n\n{quoted}\n",
                            own=f"{told['own'][0]}\n\n{words}",
                        )


def below_labels_attributed() -> Iterator[Sample]:
    """Every ending above the attribution of every language and program, closely or not."""
    for code, told in languages().items():
        quoted = _quoted(told)
        for ending, words in endings().items():
            for program in ("gmail", "apple", "thunderbird", "yandex", "mailru"):
                line = attribution(told, program)
                for gap in ("closely", "below a blank line"):
                    if line is not None:
                        own = f"{told['own'][0]}\n\n{words}"
                        yield Sample(
                            name=f"{ending} {gap}, {code} {program}",
                            text=f"{own}{GAPS[gap]}{line}\n{quoted}\n",
                            own=own,
                        )


# How an own line and a line of the header are put down in HTML, and what stands before and after the header.
WRITTEN = {
    "div": ("<div>{}</div>", "<div><b>{}:</b> {}</div>", "", ""),
    "div, apart": ("<div>{}</div>", "<div><b>{}:</b> {}</div>", "<div><br></div>", ""),
    "br": ("{}<br>", "<b>{}:</b> {}<br>", "<br>", ""),
    "MsoNormal": ('<p class="MsoNormal">{}</p>', "<b>{}:</b> {}<br>", '<p class="MsoNormal">', "</p>"),
    "rule": ("<div>{}</div>", "<b>{}:</b> {}<br>", "<hr><div>", "</div>"),
    "Outlook on the web": ("<div>{}</div>", "<b>{}:</b>&nbsp;{}<br>", '<hr><div id="divRplyFwdMsg">', "</div>"),
    "Outlook": (
        '<p class="MsoNormal">{}</p>',
        "<b>{}:</b> {}<br>",
        '<div style="border:none;border-top:solid #E1E1E1 1.0pt"><p class="MsoNormal">',
        "</p></div>",
    ),
}


def pages_below_labels() -> Iterator[Page]:
    """The same in HTML, as several programs put it down."""
    for code, told in languages().items():
        for ending, words in endings().items():
            for order in ORDERS:
                for way, (own, line, before, after) in WRITTEN.items():
                    mine = [told["own"][0], *(text for text in words.split("\n") if text)]
                    block = "".join(line.format(label, escape(value)) for label, value in headed(told, order))
                    yield Page(
                        name=f"{ending} in {way}, {code} {order}",
                        html="".join(own.format(escape(text)) for text in mine)
                        + f"{before}{block}{after}"
                        + "".join(f"<p>{escape(text)}</p>" for text in told["ours"]),
                        own=tuple(mine),
                        quoted=(*told["ours"], ADDRESS, "Re: 1001"),
                    )


PROGRAMS: dict[str, Callable[..., str | None]] = {
    "Gmail": _below("gmail"),
    "Gmail, wrapped at 72": _below("gmail", wrap=72),
    "Gmail, wrapped at 78": _below("gmail", wrap=78),
    "Gmail, wrapped at 50": _below("gmail", wrap=50),
    "Apple Mail": _below("apple"),
    "Apple Mail, all quoted": _below("apple", quoted=True),
    "iPhone": _phone,
    "Outlook": _outlook(),
    "Outlook, line": _outlook(line=True),
    "Outlook, bold": _outlook(bold=True, plain_names=True),
    "Thunderbird": _below("thunderbird", gap="\n"),
    "Yandex": _below("yandex", gap="\n"),
    "Yandex, unmarked": _below("yandex", prefix=""),
    "Mail.ru": _below("mailru", quoted=True, prefix=">"),
}


def written(kind: str) -> list[Sample]:
    """The mails of a file: `oddities`, `traps` (all of it is their own) or `interleaved`."""
    found = tomllib.loads((FOLDER / f"{kind}.toml").read_text(encoding="utf-8"))
    return [
        Sample(
            name=name,
            text=told["text"].removeprefix("\n").replace("␠", " "),
            own=told.get("own", told["text"]).strip("\n").replace("␠", " "),
            aside=told.get("aside", False),
        )
        for name, told in found.items()
    ]


def pages() -> list[Page]:
    """The HTML mails, one a program."""
    found = tomllib.loads((FOLDER / "pages.toml").read_text(encoding="utf-8"))
    return [
        Page(
            name=name,
            html=told["html"],
            own=tuple(told["own"]),
            quoted=tuple(told["quoted"]),
            aside=told.get("aside", False),
        )
        for name, told in found.items()
    ]


def hostile() -> dict[str, str]:
    """Texts made to cost time, none above a megabyte."""
    label = "From: a <a@b.example>\n"
    return {
        "50,000 line breaks": "\n" * 50_000,
        "a megabyte of line breaks": "\n" * 1_000_000,
        "On On On": "On " * 66_000,
        "On lines": "On Tue, Nov 5, 2024 at 10:12 AM\n" * 4_900,
        "attributions": "On Tue, Nov 5, 2024 at 10:12 a <a@b.example> wrote:\n" * 3_800,
        "almost attributions": ("I on 5.11.2024 10:12 " + "x" * 100 + ":\n") * 1_500,
        "nested >": ">" * 199_000,
        "nested > on every line": "".join(">" * (i % 80) + " x\n" for i in range(4_500)),
        "spaced >": "> " * 99_000,
        "one line of a megabyte": "x" * 1_000_000,
        "one line of 200,000": "x" * 199_999,
        "blanks": " " * 199_999,
        "stars and blanks": "* " * 99_000 + "\n" + "*   " * 10_000,
        "star lines": ("*" * 40 + "\n") * 4_800,
        "colons": ":" * 199_000,
        "colon lines": ":\n" * 4_999,
        "word colon lines": "a:\n" * 4_999,
        "labels": label * 4_900,
        "labels without a day": "From: x\nTo: y\nSubject: z\n\n" * 1_240,
        "strokes": ("_" * 38 + "\n") * 4_999,
        "strokes and labels": ("_" * 20 + "\nFrom: x\n") * 2_499,
        "dashes": "-" * 199_000,
        "signatures": "-- \nx\n" * 2_499,
        "at signs": "@" * 100 * 1_900,
        "digits": "1" * 199_000,
        "digit colons": "10:12 " * 33_000,
        "a lone carriage return": "\r" * 199_000,
        "bidi": "\u202e\u200f" * 99_000,
        "sent from": "Sent from my iPhone\n" * 4_900,
        "original": "-----Original Message-----\n" * 4_900,
        "surrogates": "\ud800:" * 90_000,
    }


def hostile_pages() -> dict[str, str]:
    """HTML made to cost time, none above a megabyte."""
    return {
        "nested div": "<div>" * 100_000,
        "nested quotes": "<blockquote>" * 80_000 + "x",
        "nested cited quotes": '<blockquote type="cite">' * 40_000 + "x",
        "nested containers": '<div class="gmail_quote">' * 38_000 + "<blockquote>x",
        "many quotes": '<blockquote type="cite">x</blockquote>y' * 24_000,
        "many small": "<p>x" * 200_000,
        "br": "<br>" * 240_000,
        "text": "x" * 999_000,
        "styles": '<div style="border-top:solid #E1E1E1">x</div>' * 21_000,
        "nested styles": '<div style="border-top:solid #E1E1E1">' * 25_000 + "x",
        "pre": "<pre>" + "x\n" * 400_000,
        "angles": "<" * 900_000,
        "attributes": "<p " + "a=b " * 240_000 + ">x",
        "nested tables": "<table><tr><td>" * 60_000,
        "signatures": '<div class="gmail_signature">' * 30_000 + "x",
    }
