"""What is to be seen of the world: chats in the shape all emulators share, people and lines for the phones.

Rule: nothing secret is shown; the stream and the state may be watched by anybody who has the page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.meta.values import Json, Line, Person, Settings

if TYPE_CHECKING:
    from sandbox.meta.world import World


def shown(world: World, base: str) -> Json:
    return {
        "seq": world.journal.seq,
        "now": world.now(),
        "settings": {name: getattr(world.settings, name) for name in Settings.__slots__},
        "waiting": len(world.post.waiting),
        "notes": [{"note": words, "times": times} for words, times in world.notes.items()],
        "subscriptions": {
            one.object: {"callback_url": one.callback_url, "fields": list(one.fields)}
            for one in world.accounts.subscriptions.values()
        },
        "lines": {line.id: _line(world, line) for line in world.accounts.lines.values()},
        "people": {person.key: _person(world, person) for person in world.accounts.people.values()},
        "chats": {
            f"{line}|{person}": [entry.plain(base) for entry in chat.entries.values()]
            for (line, person), chat in world.chats.items()
        },
    }


def _line(world: World, line: Line) -> Json:
    account = line.page if line.kind == "instagram" and line.login == "facebook" else line.account
    return {
        "id": line.id,
        "kind": line.kind.value,
        "name": line.name,
        "display": line.display,
        "username": line.username,
        "waba": line.waba,
        "page": line.page,
        "login": line.login if line.kind == "instagram" else "",
        "quality": line.quality,
        "coexistence": line.coexistence,
        "standby": line.standby,
        "subscribed": account in world.accounts.subscribed,
        "token_subcode": world.accounts.tokens[line.token].subcode,
    }


def _person(world: World, person: Person) -> Json:
    now = world.now()
    return {
        "key": person.key,
        "name": person.name,
        "phone": person.phone,
        "username": person.username,
        "bsuid": person.bsuid,
        "hidden": person.hidden,
        "on_whatsapp": person.on_whatsapp,
        "reachable": person.reachable,
        "avatar": person.avatar,
        "scoped": person.scoped,
        "blocked": sorted(person.blocked),
        "typing": sorted(line for line, until in person.typing.items() if until > now),
    }
