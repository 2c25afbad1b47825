"""How a page or an Instagram account is set up to tell us what its customers write.

Rule: the app's own webhook is set only where there is none, for Meta knows one address for all pages of an app. Where
it leads to another channel of ours, that one passes on what is for this one; where it leads elsewhere, another program
relies on it, and nothing is changed. Several channels of ours may ask one page, each for its own fields.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from weakref import WeakValueDictionary

import msgspec

from channels.channel import Finding
from channels.errors import SendFailed
from channels.meta.calls import rows
from channels.meta.graph import Graph, shaped, word
from channels.meta.graph_setup import Field, Token, delivered, inspected, judged, looked, subscribe, subscription
from channels.wire import Wire, decoded

TRIES = 3  # another process may write at the same moment; what is still missing then is said by `santral check`


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What has to be so: `node` tells the app of `on_node`, and the app is called back for `on_app`."""

    channel: str
    node: str
    object: str  # of envelopes: "page", "instagram"
    on_node: frozenset[str]
    on_app: frozenset[str]
    scopes: frozenset[str]
    token: str = field(repr=False)
    verify_token: str = field(repr=False)
    siblings: tuple[str, ...] = ()  # channels of the same app
    asked: bool = True  # off where neither the token nor the app's webhook can be asked about


class Subscribed(Wire, frozen=True):
    """One app that a page or account tells, and of what."""

    id: str = ""
    subscribed_fields: list[msgspec.Raw] = []  # noqa: RUF012  a struct copies it

    @property
    def names(self) -> frozenset[str]:
        """Fields are told as words, or as objects with a name."""
        told = (word(raw) or (decoded(raw, Field) or Field()).name for raw in self.subscribed_fields)
        return frozenset(told) - {""}


@dataclass(slots=True, weakref_slot=True)
class Shared:
    """A page or account while channels of this process register for it, one after another."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    fields: set[str] = field(default_factory=set)  # what all of them want


_shared: WeakValueDictionary[tuple[str, str], Shared] = WeakValueDictionary()  # by api_url and node


async def register(graph: Graph, setup: Setup, url: str) -> None:
    """Have the account's events brought to `url`. Only what is not so yet is changed. Raises `Retry` or `Refused`.

    What was written is read back: two processes that write at once would each undo the other's.
    """
    shared = _shared.setdefault((graph.line.api_url, setup.node), Shared())
    shared.fields |= setup.on_node
    app_id = ""
    if setup.asked:
        app_id = (await inspected(graph, setup.token)).app_id
        app = await subscription(graph, app_id, setup.object)
        if app is None:
            await subscribe(graph, app_id, setup.object, url, setup.verify_token, setup.on_app)
        elif app.callback_url == url and not (app.active and app.names >= setup.on_app):
            await subscribe(graph, app_id, setup.object, url, setup.verify_token, setup.on_app | app.names)
    async with shared.lock:
        for _ in range(TRIES):
            known = await told(graph, setup, app_id)
            if known >= shared.fields:
                return
            # The call replaces what was asked for before, so it asks for what others want as well.
            fields = {"subscribed_fields": ",".join(sorted(known | shared.fields))}
            await graph.call("POST", f"{setup.node}/subscribed_apps", query=fields, repeatable=True)


async def told(graph: Graph, setup: Setup, app_id: str) -> frozenset[str]:
    """What the account tells the app of; of the only one it names, where `app_id` is not known."""
    answer = await graph.call("GET", f"{setup.node}/subscribed_apps", repeatable=True)
    apps = [found for row in rows(answer) if (found := shaped(row, Subscribed))]
    return next((app.names for app in apps if app_id in ("", app.id)), frozenset())


async def check(
    graph: Graph, setup: Setup, url: str, now: datetime, *others: Callable[[], Awaitable[Sequence[Finding]]]
) -> tuple[Finding, ...]:
    """Every part is looked at, whatever became of the others; `others` come first."""
    token: Token | None = None
    failure: SendFailed | None = None
    if setup.asked:
        try:
            token = await inspected(graph, setup.token)
        except SendFailed as error:
            failure = error

    async def the_token() -> Sequence[Finding]:
        if failure:
            raise failure
        return judged(token, setup.scopes, setup.channel, now) if token else ()

    async def the_account() -> Sequence[Finding]:
        if failure:
            raise failure
        missing = setup.on_node - await told(graph, setup, token.app_id if token else "")
        if not missing:
            return (Finding(ok=True, what="The app is told what happens in the account."),)
        what = f"The app is not told of: {', '.join(sorted(missing))}."
        return (Finding(ok=False, what=what, fix="Start `santral serve` once: it subscribes the app."),)

    async def the_webhook() -> Sequence[Finding]:
        if not url:
            return (delivered("", url),)
        if token is None:
            return ()
        app = await subscription(graph, token.app_id, setup.object)
        where = delivered(app.callback_url if app else "", url, setup.siblings)
        if not where.ok:
            fix = f"In the app's console, Webhooks, \"{setup.object}\", enter {url} and the channel's verify_token."
            where = replace(where, fix=fix)
        missing = setup.on_app - app.names if app else frozenset()
        if not missing:
            return (where,)
        what = f"Meta is not asked for: {', '.join(sorted(missing))}."
        fix = f'Start `santral serve` once, or tick these fields in the app\'s console, Webhooks, "{setup.object}".'
        return (where, Finding(ok=False, what=what, fix=fix))

    parts = (*others, the_token, the_account, the_webhook)
    keys = "page_id" if setup.object == "page" else "ig_id and page_id"
    found = [finding for part in parts for finding in await looked(part(), setup.channel, keys)]
    return tuple(dict.fromkeys(found))  # a token that is refused is refused everywhere
