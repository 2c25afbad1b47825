"""IMAP's commands about folders: what there is, what is in it, new ones, and mail put in from outside.

Rule: names are modified UTF-7 on the wire and Unicode everywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from sandbox.mail.commands import BadCommand, Token, word
from sandbox.mail.values import Account, Folder, from_utf7, to_utf7
from sandbox.mail.view import No, named


def listed(account: Account, name: str, arguments: list[Token]) -> Iterator[str]:
    """Answer LIST or LSUB; a list in front asks for special folders only."""
    only_special = bool(arguments) and isinstance(arguments[0], list)
    rest = [word(one) for one in arguments[1 if only_special else 0 :][:2]]
    if len(rest) < 2:
        raise BadCommand("a reference and a pattern, please")
    if rest[1] == "":
        yield f'* {name} (\\Noselect) "/" ""'
        return
    parts = {"*": ".*", "%": "[^/]*"}
    pattern = re.compile("".join(parts.get(sign) or re.escape(sign) for sign in "".join(rest)), re.I | re.S)
    for folder in account.folders.values():
        shown = to_utf7(folder.name)
        if pattern.fullmatch(shown) and (folder.use or not only_special):
            quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
            flags = f"\\HasNoChildren {folder.use}".strip()
            yield f'* {name} ({flags}) "/" "{quoted}"'


def create(account: Account, arguments: list[Token]) -> None:
    if len(arguments) != 1:
        raise BadCommand("one mailbox, please")
    try:
        name = from_utf7(word(arguments[0]))
    except ValueError as error:
        raise No(f"[CANNOT] {error}") from None
    if name.upper() == "INBOX" or name in account.folders:
        raise No("[ALREADYEXISTS] Mailbox already exists")
    account.folders[name] = Folder(name=name)


def delete(account: Account, arguments: list[Token]) -> None:
    """Delete a folder; whoever has it open finds every UID worthless."""
    folder = named(account, arguments[0] if arguments else "")
    if folder.name == "INBOX":
        raise No("[CANNOT] INBOX stays")
    del account.folders[folder.name]
    folder.validity = 0
    folder.stir()


def status(account: Account, arguments: list[Token]) -> str:
    if len(arguments) != 2 or not isinstance(arguments[1], list):
        raise BadCommand("a mailbox and a list, please")
    folder = named(account, arguments[0])
    values = {
        "MESSAGES": len(folder.mails),
        "RECENT": 0,
        "UIDNEXT": folder.next_uid,
        "UIDVALIDITY": folder.validity,
        "UNSEEN": sum("\\Seen" not in stored.flags for stored in folder.mails.values()),
    }
    asked = [word(item).upper() for item in arguments[1]]
    if unknown := [item for item in asked if item not in values]:
        raise BadCommand(f"{unknown[0]} is not known")
    return f'* STATUS "{to_utf7(folder.name)}" ({" ".join(f"{item} {values[item]}" for item in asked)})'


def to_append(account: Account, arguments: list[Token]) -> tuple[Folder, bytes, list[str], datetime | None]:
    """Read APPEND: where to, what, with which flags, and as of when."""
    raw = arguments[-1] if arguments else ""
    if len(arguments) < 2 or not isinstance(raw, bytes):
        raise BadCommand("a mailbox and a literal, please")
    try:
        folder = named(account, arguments[0])
    except No as error:
        raise No(f"[TRYCREATE] {error}") from None
    flags: list[str] = []
    at = None
    for token in arguments[1:-1]:
        if isinstance(token, list):
            flags = [word(flag) for flag in token]
        else:
            at = _date_time(word(token))
    return folder, raw, flags, at


def _date_time(text: str) -> datetime:
    try:
        return datetime.strptime(text.strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
    except ValueError:
        raise BadCommand("not a date and time") from None
