"""Graph's front: which version, whose token, with what proof, and which function answers.

Rule: what a token does not reach does not exist.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sandbox.meta import apps, media, messenger, nodes, templates, whatsapp
from sandbox.meta.call import Call
from sandbox.meta.values import ApiError, Json, Kind, not_there
from sandbox.meta.world import World

GRAPH, INSTAGRAM_GRAPH = "graph.facebook.com", "graph.instagram.com"
HOSTS = (GRAPH, INSTAGRAM_GRAPH)

VERSIONS = {  # until when they live; from Graph's changelog
    "v20.0": "2026-09-24",
    "v21.0": "2027-01-21",
    "v22.0": "2027-05-20",
    "v23.0": "2027-10-08",
    "v24.0": "2028-02-18",
    "v25.0": "2028-07-29",
    "v26.0": "",
}

Answer = Callable[[Call, str], Awaitable[Json]]

NODES: dict[str, Answer] = {
    "app": nodes.app,
    "debug_token": apps.debug_token,
    "refresh_access_token": apps.refresh,
    "user": nodes.system_user,
    "waba": nodes.waba,
    "whatsapp": nodes.line,
    "messenger": nodes.line,
    "instagram": nodes.line,
    "person": nodes.person,
    "media": media.describe,
    "conversation": nodes.conversation,
    "message": nodes.message,
}
EDGES: dict[tuple[str, str, str], Answer] = {
    ("DELETE", "media", ""): media.forget,
    ("GET", "app", "subscriptions"): apps.subscriptions,
    ("POST", "app", "subscriptions"): apps.subscribe,
    ("DELETE", "app", "subscriptions"): apps.unsubscribe,
    ("GET", "waba", "message_templates"): templates.listed,
    ("GET", "waba", "phone_numbers"): nodes.phone_numbers,
    ("POST", "whatsapp", ""): apps.configure_number,
    ("POST", "whatsapp", "messages"): whatsapp.messages,
    ("POST", "whatsapp", "media"): media.upload,
    **{
        (verb, thing, "subscribed_apps"): answer
        for thing in ("waba", "messenger", "instagram")
        for verb, answer in (
            ("GET", apps.subscribed_apps),
            ("POST", apps.subscribe_account),
            ("DELETE", apps.unsubscribe_account),
        )
    },
    **{
        (verb, thing, edge): answer
        for thing in ("messenger", "instagram")
        for verb, edge, answer in (
            ("POST", "messages", messenger.messages),
            ("POST", "message_attachments", messenger.upload),
            ("POST", "take_thread_control", messenger.take_thread),
            ("GET", "conversations", nodes.conversations),
        )
    },
}


def thing(world: World, id: str) -> str:
    """What an id stands for."""
    accounts = world.accounts
    if id in ("app", accounts.app_id):
        return "app"
    if id in ("debug_token", "refresh_access_token", "me"):
        return id
    if line := accounts.lines.get(id):
        return line.kind.value
    if any(id == token.owner for token in accounts.tokens.values()):
        return "user"
    if id in accounts.templates:
        return "waba"
    if id in world.shelf.files:
        return "media"
    if id.startswith("t_") and id.count("_") == 2:
        return "conversation"
    if world.find(id) is not None:
        return "message"
    return "person" if any(id in one.scoped.values() for one in accounts.people.values()) else "nothing"


def name(call: Call) -> str:
    """What a call is called in troubles and in the journal: `whatsapp.messages`, `messenger.action`, `media`, …"""
    head, edge = (*call.path, "", "")[:2]
    name = thing(call.world, head)
    if edge == "messages" and name == "whatsapp" and call.values.get("status"):
        edge = "typing" if call.values.get("typing_indicator") else "read"
    elif edge == "messages" and "sender_action" in call.values:
        edge = "action"
    return f"{name}.{edge}" if edge else name


async def perform(call: Call) -> Json:
    """Answer a call. Raises `ApiError`."""
    _look_at_version(call)
    check_token(call)
    head, edge = (*call.path, "", "")[:2]
    found = thing(call.world, head)
    answer = EDGES.get((call.verb, found, edge))
    if answer is None and call.verb == "GET" and not edge:
        answer = NODES.get(found)
    if answer is None or len(call.path) > 2:
        raise not_there(call.verb, head)
    return await answer(call, head)


def _look_at_version(call: Call) -> None:
    today = datetime.fromtimestamp(call.world.now(), UTC).date().isoformat()
    if not call.version:
        call.world.note("a call was made without a version")
    elif call.version not in VERSIONS:
        call.world.note(f"{call.version} is not a version of the Graph API")
    elif (end := VERSIONS[call.version]) and end <= today:
        call.world.note(f"{call.version} ended on {end}: the oldest living version answered instead")


def resolve(call: Call) -> None:
    """Find the token, and put whoever /me is in its place."""
    call.token = call.world.accounts.tokens.get(call.bearer)
    if call.path[:1] == ("me",) and call.token is not None:
        call.path = (call.token.owner, *call.path[1:])


def check_token(call: Call) -> None:
    """Refuse a missing, unknown or dead token, a token at the wrong host, and a wrong or missing proof."""
    accounts = call.world.accounts
    if not call.bearer:
        raise ApiError(104, "An access token is required to request this resource.")
    own = call.token is not None and call.token.kind == "INSTAGRAM"
    at_wrong_host = call.host in HOSTS and own is not (call.host == INSTAGRAM_GRAPH)
    if (call.token is None and call.bearer != accounts.app_token) or at_wrong_host:
        raise ApiError(190, "Invalid OAuth access token - Cannot parse access token", status=401)
    if call.token is not None and (subcode := apps.subcode_of(call.token, call.world.now())):
        raise apps.dead(accounts.app_id, subcode)
    proof = call.text("appsecret_proof")
    secret = accounts.instagram_secret if own else accounts.app_secret
    if proof and not hmac.compare_digest(proof.encode(), proof_of(secret, call.bearer).encode()):
        raise ApiError(100, "Invalid appsecret_proof provided in the API argument", type="GraphMethodException")
    if not proof and call.world.settings.require_proof and not own:
        raise ApiError(
            100, "API calls from the server require an appsecret_proof argument", type="GraphMethodException"
        )


def proof_of(secret: str, token: str) -> str:
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def throttled(call: Call) -> ApiError:
    """The words of a limit, by what was called."""
    code = {Kind.WHATSAPP.value: 80007, Kind.MESSENGER.value: 80006, Kind.INSTAGRAM.value: 80002}.get(
        name(call).partition(".")[0], 4
    )
    words = "There have been too many calls to this account. Wait a bit and try again."
    if code == 4:
        words = "Application request limit reached"
    return ApiError(code, f"(#{code}) {words}", transient=True)
