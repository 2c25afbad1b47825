"""What shows only when keys of `santral.toml` are seen together: names given twice, and what is nowhere to be found.

Rule: plain values are read here, for the parts may be wrong in themselves; what is, is told where it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from app.config.accounts import across_accounts
from app.config.contact import across_contact
from app.config.kinds import KINDS, TELEGRAM_API
from app.config.mail_values import across_mailbox, across_mailboxes
from app.config.values import NAME
from app.problems import Place
from templates.suggesting import suggest

# Agents' words are stored under these (desk/events.py, desk/actions.py); a customer's there would not be shown.
RESERVED = frozenset({"slack", "slack-window"})
TELEGRAM_PORTS = (None, 443, 80, 88, 8443)  # core.telegram.org/bots/webhooks


def tables(values: Mapping[str, Any], section: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The entries of a list of sections that are sections, with their positions."""
    entries = values.get(section)
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield position, entry


def across(values: Mapping[str, Any]) -> Iterator[tuple[Place, str, str]]:
    """What only shows when keys are seen together. Reads plain values: the parts may be wrong in themselves."""
    public_url = values.get("public_url")
    for section in ("teams", "channels"):
        yield from _same_names(section, tables(values, section))
    teams = [name for _, team in tables(values, "teams") if isinstance(name := team.get("name"), str)]
    yield from _across_teams(values, teams)
    for position, table in tables(values, "channels"):
        yield from _across_channel(("channels", position), table, public_url, teams)
    yield from across_mailboxes(tables(values, "channels"))
    yield from across_accounts(tables(values, "channels"))
    yield from across_contact(values)
    slack = values.get("slack")
    if isinstance(slack, dict) and "app_token" not in slack and "signing_secret" not in slack:
        yield (
            ("slack",),
            "neither app_token nor signing_secret is given",
            "add app_token for Socket Mode (no public address needed), or signing_secret if Slack calls public_url",
        )


def _across_teams(values: Mapping[str, Any], teams: Collection[str]) -> Iterator[tuple[Place, str, str]]:
    seen: dict[str, int] = {}
    for position, agent in tables(values, "agents"):
        if isinstance(id := agent.get("id"), str) and seen.setdefault(id.strip(), position) != position:
            first = seen[id.strip()]
            yield ("agents", position, "id"), f"agents[{first + 1}] is the same person", "make one section of the two"
    for position, team in tables(values, "teams"):
        escalate = team.get("escalate")
        move_to = escalate.get("move_to") if isinstance(escalate, dict) else None
        place: Place = ("teams", position, "escalate", "move_to")
        if isinstance(move_to, str) and move_to.strip() not in teams:
            others = [name for name in teams if name != team.get("name") and NAME.fullmatch(name)]
            known = f"name one of {', '.join(others)}" if others else "leave it out: there is no other team"
            yield place, "is no team", suggest(move_to, others) or known
        elif isinstance(move_to, str) and move_to.strip() == team.get("name"):
            yield place, "is this team itself", "name another one, or leave it out"


def _same_names(section: str, tables: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[tuple[Place, str, str]]:
    seen: dict[str, int] = {}
    for position, table in tables:
        name = table.get("name")
        if isinstance(name, str) and NAME.fullmatch(name):
            first = seen.setdefault(name.casefold(), position)
            if first != position:
                yield (section, position, "name"), f"{section}[{first + 1}] has the same name", "choose another"


def _across_channel(
    place: Place, table: Mapping[str, Any], public_url: object, teams: Collection[str]
) -> Iterator[tuple[Place, str, str]]:
    if str(table.get("name", "")).casefold() in RESERVED:
        yield (*place, "name"), "is what Slack's own side is called", "choose another"
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        return
    if kind in ("sms", "whatsapp-twilio") and ("sender" in table) == ("messaging_service_sid" in table):
        yield place, "give exactly one of sender and messaging_service_sid", ""
    if kind in ("sms", "whatsapp-twilio") and ("api_key" in table) != ("api_secret" in table):
        yield place, "of api_key and api_secret one is missing", "give both; without them calls are made by auth_token"
    telegram = kind == "telegram"
    if kind == "email":
        yield from across_mailbox(place, table, teams)
    called = table.get("receive") == "webhook" if telegram else kind != "email" or "inbound" in table
    if called and not public_url:
        fix = "add public_url at the top of the file" + (', or write receive = "poll"' if telegram else "")
        yield place, "its provider has no address to call: public_url is missing", fix
    if not called or not isinstance(public_url, str):
        return
    try:
        parts = urlsplit(public_url)
        port = parts.port
    except ValueError:
        return  # named where public_url itself is checked
    if parts.scheme != "https":
        return
    if telegram and table.get("api_url", TELEGRAM_API) == TELEGRAM_API and port not in TELEGRAM_PORTS:
        yield ("public_url",), "Telegram calls the ports 443, 80, 88 and 8443 only", "use one of them"
    if kind == "x" and port is not None:  # docs.x.com/x-api/webhooks/quickstart
        yield ("public_url",), "X takes no address with a port in it", "leave the port out and serve it at 443"
