"""`[contact]`, the contact page and its form: what has to fit the channels and the languages of the shop.

Rule: everything that would make the page say less than its owner wrote is told at the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app import contact_view
from app.problems import Place
from templates.suggesting import suggest

KIND = "email"  # of a channel whose answers can leave to an address that was only typed in


def across_contact(values: Mapping[str, Any]) -> Iterator[tuple[Place, str, str]]:
    """What does not fit the other sections. Reads plain values: the parts may be wrong in themselves."""
    given = values.get("contact")
    if not isinstance(given, dict):
        return
    channels = values.get("channels")
    tables = [one for one in (channels if isinstance(channels, list) else ()) if isinstance(one, dict)]
    kinds = {one["name"]: one.get("kind") for one in tables if isinstance(one.get("name"), str)}
    mailboxes = [name for name, kind in kinds.items() if kind == KIND]
    known = f"name one of {', '.join(mailboxes)}" if mailboxes else 'add [[channels]] with kind = "email"'
    channel = given.get("channel")
    if isinstance(channel, str) and channel not in kinds:
        yield ("contact", "channel"), f'"{channel}" is no channel', suggest(channel, mailboxes) or known
    elif isinstance(channel, str) and kinds[channel] != KIND:
        yield ("contact", "channel"), f'"{channel}" is no mailbox, and the form is answered by mail', known
    elif given.get("form") is True and not mailboxes:
        yield ("contact", "form"), "there is no mailbox from which it could be answered", known
    yield from _languages(given.get("languages"), values.get("shop"))


def _languages(given: object, shop: object) -> Iterator[tuple[Place, str, str]]:
    if not isinstance(given, list):
        return
    spoken = shop.get("languages") if isinstance(shop, dict) else None
    answered = [one for one in spoken if isinstance(one, str)] if isinstance(spoken, list) else []
    written = contact_view.texts().languages
    for position, language in enumerate(given):
        if not isinstance(language, str):
            continue
        place: Place = ("contact", "languages", position)
        if answered and language not in answered:
            yield place, f'"{language}" is no language of the shop', f"[shop] has {', '.join(answered)}"
        elif language.partition("-")[0].lower() not in written:
            yield place, f'the page has no words in "{language}"', f"it has {', '.join(written)}"
