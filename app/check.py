"""`santral check`: contact everything that is configured and say, in words a shop owner can act on, what is wrong.

Rule: every part is looked at whatever became of the others, nothing is changed anywhere, and no secret is in a finding.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from itertools import chain
from urllib.parse import urlsplit

import asyncpg

from app import calendar
from app.config import Config
from app.config.kinds import ChannelConfig
from app.config.sections import TeamConfig
from app.config.values import CHANNEL_ID_FIX, MEMBER_ID_FIX, nearby
from app.manifest import SCOPES
from app.policy import policy_of
from app.postgres import connect_or_start, find
from app.postgres_errors import PostgresFailed
from app.postgres_programs import OLDEST
from app.problems import ConfigProblems, without_secrets
from app.triage import finding as learned_model
from channels import registry
from channels.channel import Approves, Channel, Checks, Finding
from channels.errors import ChannelError, Retry
from desk.notices import redacted
from desk.slack import Identity, Refusal, Slack
from inbox.store.database import Database, credentials
from inbox.work import Failed, Wait
from templates.approved import Approved, ApprovedTemplate
from templates.catalog import LAST_RESORT, Catalog
from templates.reply import BadReplies

SECONDS = 10.0  # for one server to answer: a person is waiting for the result
# What a channel loads with its first call: the SDKs of providers.
SDKS = {
    "telegram": "channels.telegram.api",
    "sms": "channels.twilio.client",
    "whatsapp-twilio": "channels.twilio.client",
}
AGAIN = "Try again in a minute. If it stays so, see whether this machine may call out: firewall, proxy, DNS."
SLACK_AWAY = (
    "Check the network, a proxy if there is one, and slack.api_url; slack-status.com tells of Slack's troubles."
)
INSTALL = "install the app into the workspace again, and copy the Bot User OAuth Token (xoxb-…) into bot_token."
# What Slack says of a token: our words, and the fix.
TOKENS = {
    "invalid_auth": ("does not know bot_token", "Copy it again: Bot User OAuth Token under OAuth & Permissions."),
    "not_authed": ("does not know bot_token", "Copy it again: Bot User OAuth Token under OAuth & Permissions."),
    "token_revoked": ("says that bot_token was revoked", f"Under OAuth & Permissions of the Slack app {INSTALL}"),
    "token_expired": ("says that bot_token has expired", f"Turn token rotation off in the Slack app, {INSTALL}"),
    "account_inactive": (
        "says that the app was taken out of the workspace, or that its bot was deactivated",
        f"Under OAuth & Permissions of the Slack app {INSTALL}",
    ),
}
SOCKET_FIX = (
    "Make an app-level token with the scope connections:write under Basic Information of the Slack app, copy it "
    "(xapp-…) into app_token, and see that Socket Mode is on there."
)


def run(config: Config) -> list[Finding]:
    """Look at everything, for at most about half a minute."""
    return asyncio.run(check(config))


async def check(config: Config) -> list[Finding]:
    """What `run` finds, for callers that have a loop already."""
    found = list(await _guarded("Channels", _loaded(config)))
    parts = [
        _guarded("Database", database(config)),
        _guarded("Slack", slack(config)),
        _guarded("Slack events", slack_events(config)),
        *(_guarded(channel.name, _channel(config, channel)) for channel in config.channels),
        _guarded("Public address", public_address(config)),
        _guarded("Texts", texts(config)),
    ]
    found += chain.from_iterable(await asyncio.gather(*parts))
    found += await _guarded("Deciding", deciding(config))  # computes for seconds, during which no server could answer
    if not config.channels:
        fix = "Add [[channels]]; docs/configuration.md shows each kind."
        found.append(Finding(ok=False, what="There is no channel yet, so no customer can write.", fix=fix))
    secrets = config.secrets()
    return [
        replace(one, what=without_secrets(one.what, secrets), fix=without_secrets(one.fix, secrets)) for one in found
    ]


# the database


async def database(config: Config) -> Sequence[Finding]:
    """The configured server, or our own: one that runs already, or started for the length of this check."""
    if config.database_url is not None:
        dsn = config.database_url.get_secret_value()
        place = "{host}:{port}".format(**credentials(dsn))
        return await _look_into(dsn, f"PostgreSQL at {place}", place)
    try:
        serving = find(config.data_dir) is not None
        async with connect_or_start(config.data_dir, patience=SECONDS) as server:
            whose = "Santral's own PostgreSQL " + ("is running" if serving else "starts")
            return await _look_into(server.dsn, whose, str(config.data_dir))
    except PostgresFailed as error:
        what, _, fix = str(error).partition(". ")
        return (_wrong(f"Database: {what}.", fix or "Mend that, or set database_url to a PostgreSQL of yours."),)


async def _look_into(dsn: str, which: str, place: str) -> Sequence[Finding]:
    name = credentials(dsn)["database"]
    try:
        line = await asyncpg.connect(**credentials(dsn), timeout=SECONDS, command_timeout=SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        return (_unreached(error, place, name),)
    try:
        version = line.get_server_version()
        facts = await line.fetchrow(
            "select current_setting('server_encoding') as encoding, pg_is_in_recovery() as copy,"
            " coalesce(has_schema_privilege(current_schema(), 'create'), false) as may_create"
        )
    finally:
        await line.close()
    wrong = []
    if version.major < OLDEST:
        fix = f"Use PostgreSQL {OLDEST} or later, or leave database_url out for the one that comes with Santral."
        wrong.append(_wrong(f"Database: {which} is version {version.major}, which is too old.", fix))
    if facts["encoding"] != "UTF8":
        fix = f"Make a database with: create database {name} encoding 'UTF8' template template0."
        wrong.append(_wrong(f"Database: {name!r} holds {facts['encoding']}, not Unicode.", fix))
    if facts["copy"]:
        wrong.append(_wrong(f"Database: {which} is a read-only copy.", "Name the primary server in database_url."))
    if not facts["may_create"]:
        fix = f"Make the user the owner of the database: alter database {name} owner to …"
        wrong.append(_wrong(f"Database: the user may not make tables in {name!r}.", fix))
    if wrong:
        return wrong
    async with Database.open(dsn, connections=2, name="santral check") as opened:
        pending = await opened.pending()
    state = "its tables are up to date" if not pending else "`santral serve` brings it up to date when it starts"
    return (_well(f"Database: {which} (version {version.major}); {state}."),)


def _unreached(error: Exception, place: str, name: str) -> Finding:
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():  # a wrong password is a subclass
            what, fix = f"PostgreSQL at {place} refuses the user or password", "Correct them in database_url."
        case asyncpg.InvalidCatalogNameError():
            what = f"PostgreSQL at {place} has no database {name!r}"
            fix = f"Make it (createdb {name}), or correct the name in database_url."
        case asyncpg.CannotConnectNowError():
            what, fix = f"PostgreSQL at {place} is just starting or stopping", "Try again in a minute."
        case asyncpg.TooManyConnectionsError():
            what = f"PostgreSQL at {place} has no free connection"
            fix = "Raise max_connections there, or end programs that hold connections."
        case socket.gaierror():
            what, fix = f"there is no host for {place}", "Correct the host in database_url."
        case OSError() | TimeoutError():
            what = f"nothing answers at {place}"
            fix = "See that PostgreSQL runs, that its port is open to this machine, and that database_url is right."
        case _:
            what = f"PostgreSQL at {place} refuses us: {redacted(str(error))}"
            fix = "Correct database_url, or what PostgreSQL complains of."
    return _wrong(f"Database: {what}.", fix)


# Slack


async def slack(config: Config) -> Sequence[Finding]:
    """The token, what it may do, and every team's Slack channel and members."""
    desk = Slack(config.slack.bot_token.get_secret_value(), config.slack.api_url)
    await desk.open(repeat=False)
    try:
        try:
            who = await desk.introduce()
        except Refusal as error:
            words, fix = TOKENS.get(
                error.code, (f"refuses bot_token: {error.code}", f"Under OAuth & Permissions {INSTALL}")
            )
            return (_wrong(f"Slack {words}.", fix),)
        teams = [
            part
            for team in config.teams
            for part in (
                _guarded(f"Team {team.name}", _slack_channel(desk, who, team)),
                _guarded(f"Team {team.name}", _members(desk, team)),
            )
        ]
        found = chain.from_iterable(await asyncio.gather(*teams))
        return (_well(f"Slack: signed in as {who.user} in {who.team}."), *_scopes(who), *found)
    finally:
        await desk.close()


def _scopes(who: Identity) -> Iterable[Finding]:
    if who.scopes is None:
        return (_well("Slack: it does not say which scopes the app has, so they were not compared."),)
    fix = "Add it as a Bot Token Scope under OAuth & Permissions of the Slack app, then install the app again."
    missing = [name for name in SCOPES if name not in who.scopes]
    found = [_wrong(f"Slack: the scope {name} is missing; it is there to: {SCOPES[name]}.", fix) for name in missing]
    return found or (_well("Slack: the app has every scope it needs."),)


async def _slack_channel(desk: Slack, who: Identity, team: TeamConfig) -> Sequence[Finding]:
    part, id = f"Team {team.name}", team.slack_channel
    invite = f"/invite @{who.user}"
    try:
        channel = await desk.channel(id)
    except Refusal as error:
        if error.code != "channel_not_found":
            raise
        what = f"{part}: there is no Slack channel {id}, or it is private and {who.user} is not in it."
        return (_wrong(what, f"Write {invite} in the channel. If the id is wrong: {CHANNEL_ID_FIX}."),)
    name = f"#{channel.get('name') or id}"
    wrong = []
    if channel.get("is_archived"):
        fix = "Unarchive it in Slack, or give the team another slack_channel."
        wrong.append(_wrong(f"{part}: the Slack channel {name} is archived.", fix))
    elif not channel.get("is_member"):
        wrong.append(_wrong(f"{part}: {who.user} is not in the Slack channel {name}.", f"Write {invite} in {name}."))
    if channel.get("is_ext_shared") or channel.get("is_pending_ext_shared"):
        what = f"{part}: the Slack channel {name} is shared with another company, which would read every customer."
        wrong.append(_wrong(what, "Use a Slack channel that only your own workspace can see."))
    return wrong or (_well(f"{part}: the Slack channel {name} is ready."),)


async def _members(desk: Slack, team: TeamConfig) -> Sequence[Finding]:
    if not team.members:
        return ()
    parts = [_guarded(f"Team {team.name}", _member(desk, team, id)) for id in team.members]
    found = list(chain.from_iterable(await asyncio.gather(*parts)))
    return found or (_well(f"Team {team.name}: all its members are known to Slack."),)


async def _member(desk: Slack, team: TeamConfig, id: str) -> Sequence[Finding]:
    """What is wrong with one entry of a team's `members`; nothing when all is well."""
    part = f"Team {team.name}"
    try:
        if id.startswith("S"):
            if await desk.group(id):
                return ()
            return (_wrong(f"{part}: nobody is in the user group {id}.", "Add people to the user group in Slack."),)
        person = await desk.person(id)
    except Refusal as error:
        if error.code not in {"user_not_found", "user_not_visible", "no_such_subteam", "subteam_not_found"}:
            raise
        what = f"{part}: the member {id} is nobody in this workspace."
        return (_wrong(what, f"Take it out of members, or {MEMBER_ID_FIX}."),)
    if person.get("deleted"):
        what = f"{part}: the member {id} ({person.get('name', '')}) has been deactivated in Slack."
        return (_wrong(what, "Take the id out of members."),)
    if person.get("is_bot"):
        what = f"{part}: the member {id} ({person.get('name', '')}) is a bot, and bots never answer customers."
        return (_wrong(what, "Take the id out of members."),)
    return ()


async def slack_events(config: Config) -> Sequence[Finding]:
    """Which way Slack's events come here, and whether they can."""
    if config.slack.app_token is None:
        if not config.public_url:
            what = "Slack events: they cannot reach us. A signing_secret needs a public_url for Slack to call."
            return (_wrong(what, "Set public_url to your https address, or set app_token for Socket Mode."),)
        what = (
            f"Slack events: Slack is to call {config.public_url}/slack/events. Whether the signing secret is right, "
            "only Slack can tell: while `santral serve` runs, Event Subscriptions of the Slack app says Verified."
        )
        return (_well(what),)
    desk = Slack(config.slack.app_token.get_secret_value(), config.slack.api_url)
    await desk.open(repeat=False)
    try:
        await desk.offer_socket()
    except Refusal as error:
        return (_wrong(f"Slack events: Slack refuses app_token ({error.code}).", SOCKET_FIX),)
    finally:
        await desk.close()
    return (_well("Slack events: Socket Mode opens."),)


# channels, address, texts


async def _channel(config: Config, channel: ChannelConfig) -> Sequence[Finding]:
    adapter = registry.make(channel.kind, channel.name, config.settings_of(channel))
    try:
        if not isinstance(adapter, Checks):
            return (_well(f"{channel.name}: set up. Write to it once to see that a message arrives."),)
        async with asyncio.timeout(2 * SECONDS):  # a check may need two answers
            found = [*await adapter.check(config.webhook_url(channel)), *await _templates(config, channel, adapter)]
        return [replace(one, what=f"{channel.name}: {one.what}") for one in found]
    except TimeoutError:
        fix = f"Check the network, and {reached_by(channel)} of channel {channel.name!r}, then try again."
        return (_wrong(f"{channel.name}: its provider does not answer.", fix),)
    except Retry as error:
        return (_wrong(f"{channel.name}: {_ended(error)}", AGAIN),)
    except (ChannelError, ValueError) as error:
        if isinstance(error, ValueError) and type(error) is not ValueError:
            raise  # of the library's own kinds; what channels say of their keys is written for people
        fix = f"Correct it in the section of channel {channel.name!r}, then try again."
        return (_wrong(f"{channel.name}: {_ended(error)}", fix),)
    finally:
        await adapter.close()


async def _templates(config: Config, channel: ChannelConfig, adapter: Channel) -> Sequence[Finding]:
    """Whether the provider has approved what the shop lists for this channel."""
    listed = [made for made in _approved(config) if made.channel == channel.name]
    if not listed or not isinstance(adapter, Approves):
        return ()
    try:
        states = {(name, language): state for name, language, state in await adapter.approved()}
    except ChannelError as error:  # what else was found about the channel is told all the same
        return (_wrong(f"the provider does not tell which templates are approved: {_ended(error)}", AGAIN),)
    wrong = []
    for made in listed:
        state = states.get((made.name, made.language))
        if state is None:
            others = sorted(language for name, language in states if name == made.name)
            fix = f"It is approved there in: {', '.join(others)}." if others else "Have it approved, or take it out."
            wrong.append(_wrong(f"the provider has no template {made.name} in {made.language}.", fix))
        elif state.lower() != "approved":
            what = f"the template {made.name} in {made.language} is {state.lower()} at the provider."
            wrong.append(_wrong(what, "Until it is approved it cannot be sent. The provider says there why it is not."))
    approved = "the template listed for it is" if len(listed) == 1 else f"all {len(listed)} templates listed for it are"
    return wrong or (_well(f"{approved} approved."),)


def _approved(config: Config) -> Sequence[ApprovedTemplate]:
    """The listed templates; what is wrong with the file itself `deciding` tells."""
    try:
        return Approved.load(config.shop.languages, config.templates, shop=config.shop.name).templates
    except (BadReplies, OSError):
        return ()


def reached_by(channel: ChannelConfig) -> str:
    """The keys that say where a channel's provider is, for whoever has to look at them."""
    given = [key for key in ("api_url", "imap", "smtp") if getattr(channel, key, None)]
    return " and ".join(given) or "its keys"


async def public_address(config: Config) -> Sequence[Finding]:
    if not config.public_url:
        return ()
    called = {str(getattr(channel, "api_url", "")) for channel in config.channels} | {config.slack.api_url}
    if all(nearby(urlsplit(url).hostname or "") for url in called if url) and nearby(
        urlsplit(config.public_url).hostname or ""
    ):
        return (_well(f"Public address: {config.public_url}, and every provider is an emulator nearby."),)
    if not config.public_url.startswith("https://"):
        what = f"Public address: {config.public_url} is not https, so no provider calls it."
        return (_wrong(what, "Put a proxy with a certificate in front of `listen`, and write https:// in public_url."),)
    return (_well(f"Public address: {config.public_url}"),)


async def texts(config: Config) -> Sequence[Finding]:
    first = config.shop.languages[0]
    catalog = Catalog.load(first)
    if problems := catalog.check():
        return [_wrong(f"Texts: {problem}.", "Mend that file in templates/texts.") for problem in problems]
    there = f"The desk's own texts: complete in {', '.join(catalog.languages)}"
    spoken = {first, first.partition("-")[0]} & set(catalog.languages)
    return (_well(f"{there}." if spoken else f"{there}; for {first} there are none, so {LAST_RESORT} is used."),)


async def deciding(config: Config) -> Sequence[Finding]:
    """Hours, rules, templates, targets: everything by which Santral decides."""
    try:
        policy = await asyncio.to_thread(policy_of, config)
    except ConfigProblems as wrong:
        return [_wrong(f"{problem.key}: {problem.what}.", problem.fix or "Mend that.") for problem in wrong.problems]
    rules = policy.rules.rules
    used = sum(rule.enabled for rule in rules)
    off = f" and {len(rules) - used} switched off" if used < len(rules) else ""
    brings = "Santral's own" if config.rules is None else config.rules.name
    texts = "Santral's own" if config.templates is None else f"{config.templates.name} and Santral's own"
    return [
        *calendar.findings(policy, datetime.now(UTC)),
        _well(f"Rules: {brings}, {used} in force{off}; {len(policy.phrases):,} phrases are listened for."),
        _well(f"Templates: {texts}, {len(policy.replies.names())} replies to pick from."),
        await asyncio.to_thread(learned_model, config.model),
    ]


# small functions


async def _loaded(config: Config) -> Sequence[Finding]:
    """Load what takes seconds the first time, before the patience with any server begins. Finds nothing."""
    for module in {SDKS[channel.kind] for channel in config.channels if channel.kind in SDKS}:
        await asyncio.to_thread(import_module, module)
    return ()


async def _guarded(part: str, look: Awaitable[Sequence[Finding]]) -> Sequence[Finding]:
    """What one part finds; that it could not be looked at is a finding too, and hides none of the others."""
    try:
        return await look
    except Wait as error:
        return (_wrong(f"{part}: {error}.", AGAIN),)
    except Refusal as error:
        fix = "If a scope is missing, mend that first; else look the word up in Slack's documentation."
        return (_wrong(f"{part}: {error}.", fix),)
    except Failed as error:
        return (_wrong(f"{part}: {error}.", SLACK_AWAY),)
    except Exception as error:  # noqa: BLE001 - told as what it is: this part could not be checked
        # Long enough that no secret is cut in two before `check` masks it.
        words = redacted(f"{type(error).__name__}: {error}", 1_000)
        return (_wrong(f"{part}: this could not be checked. {words}", "Mend what it says, then try again."),)


def _ended(error: Exception) -> str:
    return redacted(str(error), 1_000).rstrip(".") + "."


def _well(what: str) -> Finding:
    return Finding(ok=True, what=what)


def _wrong(what: str, fix: str) -> Finding:
    return Finding(ok=False, what=what, fix=fix)
