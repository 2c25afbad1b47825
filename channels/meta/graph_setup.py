"""How an app of Meta's is set up to call us, as WhatsApp, Messenger and Instagram ask for it and change it.

Rule: asking changes nothing, and changing leaves alone what somebody else may rely on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from channels.channel import Finding
from channels.errors import Misconfigured, SendFailed
from channels.meta.graph import TOKEN_REFUSED, UNKNOWN, Graph, shaped, those
from channels.values import moment
from channels.wire import Number, Wire

SOON = timedelta(days=14)  # what expires sooner is said
# /docs/graph-api/guides/secure-requests: the proof is made of the token and the secret, so a wrong secret shows in it.
PROOF = "appsecret_proof"
SECRET_REFUSED = "Meta says that app_secret is not the secret of the app that the access token was made for."  # noqa: S105


class Granted(Wire, frozen=True):
    """What a permission was given for; nothing named means for everything."""

    scope: str = ""
    target_ids: list[str] = []  # noqa: RUF012  a struct copies it


class Token(Wire, frozen=True):
    """What Meta tells of an access token, /docs/graph-api/reference/debug_token."""

    app_id: str = ""
    is_valid: bool = False
    expires_at: Number = 0  # seconds since 1970; 0: never
    scopes: list[str] = []  # noqa: RUF012
    granular_scopes: list[msgspec.Raw] = []  # noqa: RUF012

    @property
    def grants(self) -> list[Granted]:
        return those(self.granular_scopes, Granted)

    def targets(self, *scopes: str) -> tuple[str, ...]:
        """What these permissions were given for, each once."""
        found = (target for grant in self.grants if grant.scope in scopes for target in grant.target_ids)
        return tuple(dict.fromkeys(found))


class Field(Wire, frozen=True):
    name: str = ""


class Subscription(Wire, frozen=True):
    """What an app is told of one kind of object, /docs/graph-api/reference/application/subscriptions."""

    object: str = ""
    callback_url: str = ""
    active: bool = True
    fields: list[msgspec.Raw] = []  # noqa: RUF012

    @property
    def names(self) -> frozenset[str]:
        return frozenset(field.name for field in those(self.fields, Field) if field.name)


async def inspected(graph: Graph, token: str) -> Token:
    """Ask what an access token is good for. Raises `Retry` or `Refused`."""
    try:
        answer = await graph.call("GET", "debug_token", query={"input_token": token}, repeatable=True)
    except SendFailed as error:
        if PROOF in str(error):  # Meta's own words name no key of ours
            raise Misconfigured(SECRET_REFUSED, provider_code=error.provider_code) from error
        raise
    found = shaped(answer.get("data"), Token)
    if found is None or not found.is_valid:
        raise Misconfigured(TOKEN_REFUSED, provider_code="190")
    return found


async def subscription(graph: Graph, app: str, thing: str) -> Subscription | None:
    """What the app is told of `thing`: "page", "instagram". None: nothing. Raises `Retry` or `Refused`."""
    answer = await graph.call("GET", f"{app}/subscriptions", app=app, repeatable=True)
    rows = answer.get("data")
    found = (shaped(row, Subscription) for row in (rows if isinstance(rows, list) else ()))
    return next((it for it in found if it is not None and it.object == thing and it.callback_url), None)


async def subscribe(graph: Graph, app: str, thing: str, url: str, verify_token: str, fields: Collection[str]) -> None:
    """Have the app told of `thing` at `url`, which Meta calls at once to prove it. Raises `Retry` or `Refused`."""
    asked = {
        "object": thing,
        "callback_url": url,
        "verify_token": verify_token,
        "fields": ",".join(sorted(fields)),
    }
    await graph.call("POST", f"{app}/subscriptions", app=app, data=asked, repeatable=True)


def lacking(token: Token, scopes: Collection[str]) -> tuple[str, ...]:
    """Of these permissions, those the token does not have."""
    granted = {*token.scopes, *(grant.scope for grant in token.grants)}
    return tuple(sorted(set(scopes) - granted))


def judged(token: Token, scopes: Collection[str], channel: str, now: datetime) -> tuple[Finding, ...]:
    """How long a valid token lasts, and what it is not allowed. `channel` is the shop's word for the channel."""
    found = []
    if token.expires_at <= 0:
        found.append(Finding(ok=True, what="Meta accepts the access token, and it does not expire."))
    else:
        ends = moment(token.expires_at, now)
        fix = f"Make one that does not expire (Business settings, System users) and put it into channel {channel!r}."
        soon = ends - now < SOON
        what = f"The access token expires on {ends:%Y-%m-%d}."
        found.append(Finding(ok=not soon, what=what, fix=fix if soon else ""))
    if missing := lacking(token, scopes):
        fix = f"Make the token again with these permissions and put it into channel {channel!r}."
        found.append(Finding(ok=False, what=f"The access token lacks: {', '.join(missing)}.", fix=fix))
    return tuple(found)


def beside(url: str, names: Iterable[str]) -> dict[str, str]:
    """The webhooks of further channels, with their names, by ours; nothing where there is none."""
    return {f"{url.rpartition('/')[0]}/{name}": name for name in names} if url else {}


def delivered(target: str, url: str, siblings: Iterable[str] = ()) -> Finding:
    """Judge where Meta delivers to: `target` is what it has, "" for nothing, and `url` is ours, "" for none.

    `siblings` are the channels that pass on what they are told for this one.
    """
    if not url:
        fix = "Set public_url to your https address."
        return Finding(ok=False, what="Meta has no public address to deliver to.", fix=fix)
    if not target:
        who = "`santral serve` sets it" if url.startswith("https://") else "it takes https addresses only"
        return Finding(ok=True, what=f"Meta has no webhook for this channel yet: {who}.")
    if (passing := beside(url, siblings).get(target)) is not None:
        what = f"The webhook points to channel {passing!r}, which passes on what is for this one."
        return Finding(ok=True, what=what)
    if target != url:
        parts = urlsplit(target)
        what = f"Meta delivers to {parts.hostname or 'an unknown address'}{parts.path} instead of here."
        return Finding(ok=False, what=what, fix="Start `santral serve` here: it sets the webhook itself.")
    return Finding(ok=True, what="The webhook points here.")


async def looked(part: Awaitable[Sequence[Finding]], channel: str, keys: str) -> tuple[Finding, ...]:
    """One part of a check, whatever becomes of it: what went wrong is what it found.

    `keys` are the channel's that name what is asked about: "page_id".
    """
    try:
        return tuple(await part)
    except SendFailed as error:
        return (wrong(error, channel, keys),)


def wrong(error: SendFailed, channel: str, keys: str) -> Finding:
    """Say a failure in our words where Meta's would not help."""
    if str(error) == SECRET_REFUSED or PROOF in str(error):
        fix = f"Copy it from the app's console (App settings, Basic) into app_secret of channel {channel!r}."
        return Finding(ok=False, what=SECRET_REFUSED, fix=fix)
    if error.provider_code == UNKNOWN:
        what = f"Meta knows nothing by the {keys} given, or the access token may not see it."
        fix = f"Copy {keys} of channel {channel!r} from Meta's console: an id, not a phone number or a name."
        return Finding(ok=False, what=what, fix=fix)
    if isinstance(error, Misconfigured):
        fix = f"Make a token in Meta's Business settings (System users) and put it into channel {channel!r}."
        return Finding(ok=False, what=str(error), fix=fix)
    fix = f"See that the ids and api_url of channel {channel!r} are right and Meta can be reached, then try again."
    return Finding(ok=False, what=str(error), fix=fix)
