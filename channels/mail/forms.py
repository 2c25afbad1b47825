"""What somebody wrote in a web form becomes a message of a mailbox: it is answered by mail to the address they named.

Rule: anybody can name any address, so nothing vouches for it, and no program may write to it by itself: a form that
answers is a way to send strangers mail in the shop's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from channels.mail.send import fields
from channels.mail.values import CLAIMED, PROVEN
from channels.message import Address, Attachment, Proof, Received


def deliverable(text: str) -> str:
    """The address as a mail from it would name it, in lower case with its domain in ASCII; "" for what is none.

    An address without a dot in its domain is a machine of our own network, which no customer has.
    """
    # A Turkish keyboard's capital of i: Python's lower case of it has a dot of its own, which no mailbox has.
    found = fields.address(text.replace("İ", "i")).lower()
    return found if "." in found.rpartition("@")[2] else ""


def written(
    channel: str,
    mailbox: str,
    id: str,
    *,
    at: datetime,
    sender: str,
    name: str,
    subject: str,
    text: str,
    attachments: Sequence[Attachment] = (),
    language: str = "",
    warnings: Sequence[str] = (),
) -> Received:
    """A message to the channel whose own address is `mailbox`.

    `id` is the same for what was sent twice: letters, digits and dots. `sender` has gone through `deliverable`.
    """
    # Answers need something to refer to, or each of them is a thread of its own in the customer's mailbox.
    message_id = f"<form.{id}@{mailbox.rpartition('@')[2]}>"
    return Received(
        channel=channel,
        external_id=f"form:{id}",
        sender=Address(kind=CLAIMED, value=sender),
        twin=Address(kind=PROVEN, value=sender),
        sender_name=name,
        sent_at=at,
        subject=subject,
        text=text,
        attachments=tuple(attachments),
        language=language,
        proof=Proof.CLAIMED,
        quiet=True,
        warnings=("form", *warnings),
        names=(message_id,),
        context={
            "message_id": message_id,
            "references": [],
            "subject": subject,
            "to": [sender],
            "mailbox": mailbox.lower(),
            "name": name,
        },
    )
