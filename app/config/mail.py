"""As much of `santral.toml` as it takes to look at a mail: which addresses are ours, and whose judgement counts.

Rule: nothing is needed to read a mail, so that only what is wrong with these few keys is told; no server is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.config import load
from app.config.mail_values import MailAddress, Receiver
from app.config.sections import Section
from channels.mail.adapter import EmailConfig as Settings
from channels.mail.adapter import us
from channels.mail.values import Us


class OurMailbox(Section):
    """Of an e-mail channel what says who we are; of another channel nothing."""

    address: MailAddress | None = None
    aliases: tuple[MailAddress, ...] = ()
    contact_forms: tuple[MailAddress, ...] = ()
    trusted_authserv: tuple[Receiver, ...] = ()


class OurMailboxes(Section):
    channels: tuple[OurMailbox, ...] = ()

    @classmethod
    def part(cls, written: dict[str, Any]) -> dict[str, Any]:
        """Drop the other keys before their variables are looked for: passwords need not be in the environment."""
        channels = written.get("channels")
        if not isinstance(channels, list):
            return written
        return {**written, "channels": [_of_mail(channel) for channel in channels]}


def reading_us(path: Path, environ: Mapping[str, str]) -> Us:
    """The shop's mailboxes and the receivers it trusts, over all e-mail channels. Raises `ConfigProblems`."""
    mailboxes = load(path, environ, needs=OurMailboxes).channels
    ours = [
        us(
            Settings(
                address=found.address,
                smtp="",
                aliases=found.aliases,
                contact_forms=found.contact_forms,
                trusted_authserv=found.trusted_authserv,
            )
        )
        for found in mailboxes
        if found.address
    ]
    return Us(
        addresses=frozenset().union(*(one.addresses for one in ours)),
        domains=frozenset().union(*(one.domains for one in ours)),
        contact_forms=frozenset().union(*(one.contact_forms for one in ours)),
        trusted_authserv=frozenset().union(*(one.trusted_authserv for one in ours)),
    )


def _of_mail(channel: object) -> object:
    if not isinstance(channel, dict):
        return channel
    known = OurMailbox.model_fields if channel.get("kind") == "email" else ()
    return {key: value for key, value in channel.items() if key in known}
