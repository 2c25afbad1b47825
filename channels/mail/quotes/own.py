"""What a person wrote in a mail, apart from the past they quote and the signature below.

Rule: hidden, never deleted. Every line of a text is in `Own.text` or in `Own.hidden`; what is too large, unclear or
hostile is shown whole. Time is linear in the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from channels.mail.quotes.lines import split
from channels.mail.quotes.page import own_words_html
from channels.mail.quotes.words import FORWARD_SUBJECT
from channels.mail.values import MOST_TEXT, Mail, Own

MOST_LINES = 5_000

_BLANKS = re.compile(r"\n(?:[ \t]*\n){3,}")


def own_words(text: str, *, ours: frozenset[str] = frozenset(), sent: Sequence[str] = (), forward: bool = False) -> Own:
    """Take a plain text apart.

    `ours` are our addresses and display names; `sent` our own last texts of the conversation, newest last; `forward`
    says that the subject calls the mail a forward. Beyond MOST_TEXT characters or MOST_LINES lines nothing is hidden.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MOST_TEXT or text.count("\n") >= MOST_LINES:
        return Own(text=text, why=("whole",))
    lines = text.split("\n")
    found = split(lines, ours=ours, sent=sent, forward=forward)
    if not any(found.hidden):
        return Own(text=_joined(lines), why=found.why)
    both = list(zip(lines, found.hidden, strict=True))
    return Own(
        text=_joined(line for line, hidden in both if not hidden),
        hidden=_joined(line for line, hidden in both if hidden),
        why=found.why,
    )


def read_words(mail: Mail, *, ours: frozenset[str] = frozenset(), sent: Sequence[str] = ()) -> tuple[Own, str]:
    """Own words of a mail as text, and as HTML ("" where it has none) that still has to be sanitised.

    The text is read from the HTML where there is no plain text worth reading, or where only the HTML shows what is
    quoted.
    """
    forward = is_forward(mail)
    if not mail.html.strip():
        return own_words(mail.text, ours=ours, sent=sent, forward=forward), ""
    html, of_html = own_words_html(mail.html, ours=ours, sent=sent, forward=forward)
    if mail.text_of_html or not mail.text.strip():
        return of_html, html
    of_text = own_words(mail.text, ours=ours, sent=sent, forward=forward)
    if of_text.why == ("whole",) and of_html.hidden and of_html.text.strip():
        return of_html, html
    return of_text, html


def is_forward(mail: Mail) -> bool:
    """Whether the subject begins with a word for a forward: "Fwd:", "WG:", "İLT:", "Пересл:"."""
    return FORWARD_SUBJECT.match(mail.subject) is not None


def _joined(lines: Iterable[str]) -> str:
    """The lines as one text: no blank lines around it, and no holes in it."""
    return _BLANKS.sub("\n\n", "\n".join(lines)).strip("\n").rstrip() if lines else ""
