"""How messages and accounts look on the wire: v1.1 shapes in webhooks, v2 shapes in answers.

Rule: pure; what a caller did not ask for is not there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from sandbox.journal import Json
from sandbox.x.values import Account, Dm, Media, iso, missing, words

LINK = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)\]']")

EVENT_FIELDS = words(
    "id text event_type created_at dm_conversation_id sender_id participant_ids attachments referenced_tweets entities"
)
EVENT_DEFAULTS = frozenset({"id", "text", "event_type"})
EXPANSIONS = frozenset({"sender_id", "participant_ids", "attachments.media_keys", "referenced_tweets.id"})
USER_FIELDS = words(
    "id name username affiliation confirmed_email connection_status created_at description entities "
    "is_identity_verified location most_recent_tweet_id parody pinned_tweet_id profile_banner_url profile_image_url "
    "protected public_metrics receives_your_dm subscription subscription_type url verified "
    "verified_followers_count verified_type withheld"
)
USER_DEFAULTS = frozenset({"id", "name", "username"})
MEDIA_FIELDS = words(
    "media_key type url preview_image_url alt_text duration_ms height width variants public_metrics "
    "non_public_metrics organic_metrics promoted_metrics"
)
MEDIA_DEFAULTS = frozenset({"media_key", "type"})
TWEET_FIELDS = words("id text author_id created_at entities attachments conversation_id lang")


def shortened(text: str, slug: Callable[[], str]) -> tuple[tuple[str, str], ...]:
    """Give every link of a text its t.co address."""
    return tuple((link, f"https://t.co/{slug()}") for link in LINK.findall(text))


def sent_text(dm: Dm) -> tuple[str, list[tuple[str, str, int, int]]]:
    """Write the text as X passes it on, not yet escaped, and say where its links (short, long) stand."""
    pieces: list[str] = []
    spans: list[tuple[str, str, int, int]] = []
    rest, at = dm.text, 0
    for link, short in dm.links:
        before, _, rest = rest.partition(link)
        pieces += [before, short]
        at += len(before)
        spans.append((short, link, at, at + len(short)))
        at += len(short)
    pieces.append(rest)
    at += len(rest)
    if dm.media_link:
        gap = " " if at else ""
        pieces += [gap, dm.media_link]
        at += len(gap)
        spans.append((dm.media_link, f"https://x.com/messages/media/{dm.id}", at, at + len(dm.media_link)))
    return "".join(pieces), spans


def _display(dm: Dm, short: str, link: str) -> str:
    return f"pic.x.com/{short.rpartition('/')[2]}" if short == dm.media_link else link.partition("://")[2][:30]


def media_url(dm: Dm, media: Media, ton_url: str) -> str:
    return f"{ton_url}/1.1/ton/data/dm/{dm.id}/{media.id}/{media.resource}"


def legacy_message(dm: Dm, ton_url: str) -> Json:
    """Show a message as an event of v1.1: milliseconds as text, HTML escaped, links as t.co."""
    text, spans = sent_text(dm)
    escaped = html.escape(text, quote=False)
    urls = []
    for short, link, start, end in spans:
        # Positions count in the text as it is sent, so in the escaped one.
        begin = len(html.escape(text[:start], quote=False))
        place = [begin, begin + end - start]
        urls.append({"url": short, "expanded_url": link, "display_url": _display(dm, short, link), "indices": place})
    data: Json = {
        "text": escaped,
        "entities": {"hashtags": [], "symbols": [], "user_mentions": [], "urls": urls},
    }
    if dm.media is not None:
        data["attachment"] = {"type": "media", "media": _legacy_media(dm, dm.media, urls[-1], ton_url)}
    if dm.quick_reply is not None:
        data["quick_reply_response"] = {"type": "options", "metadata": dm.quick_reply}
    create: Json = {"target": {"recipient_id": dm.recipient}, "sender_id": dm.sender}
    if dm.app:
        create["source_app_id"] = dm.app
    return {
        "type": "message_create",
        "id": dm.id,
        "created_timestamp": milliseconds(dm.at),
        "message_create": {**create, "message_data": data},
    }


def _legacy_media(dm: Dm, media: Media, link: Json, ton_url: str) -> Json:
    where = media_url(dm, media, ton_url)
    shown: Json = {
        "id": int(media.id),
        "id_str": media.id,
        **link,
        "media_url": where,
        "media_url_https": where,
        "type": media.kind,
        "sizes": {"large": {"w": 1024, "h": 768, "resize": "fit"}},
    }
    if media.kind != "photo":
        # The address shown is a still; the film itself is a variant.
        shown["video_info"] = {
            "aspect_ratio": [16, 9],
            "variants": [{"bitrate": 832_000, "content_type": "video/mp4", "url": where}],
        }
    return shown


def milliseconds(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))


def chosen_user(account: Account) -> Json:
    """Show an account with everything v2 says of it."""
    return {
        "id": account.id,
        "name": account.name,
        "username": account.username,
        "profile_image_url": account.picture,
        "description": account.description,
        "verified": False,
        "verified_type": "business" if account.line else "none",
        "protected": False,
        "is_identity_verified": False,
        "url": "",
        "created_at": iso(account.since),
        "receives_your_dm": account.open_dms,
        "public_metrics": {"followers_count": 97, "following_count": 12, "tweet_count": 50, "listed_count": 0},
    }


def users_of(envelope: str, accounts: Iterable[Account]) -> Json:
    """Show who takes part: the two APIs nest accounts differently."""
    if envelope == "xaa":
        hidden = {"receives_your_dm"}
        return {
            account.id: {"data": {name: value for name, value in chosen_user(account).items() if name not in hidden}}
            for account in accounts
        }
    return {
        account.id: {
            "id": account.id,
            "created_timestamp": milliseconds(account.since),
            "name": account.name,
            "screen_name": account.username,
            "description": account.description,
            "protected": False,
            "verified": False,
            "followers_count": 97,
            "friends_count": 12,
            "statuses_count": 50,
            "profile_image_url": account.picture,
            "profile_image_url_https": account.picture,
        }
        for account in accounts
    }


def user(account: Account, wanted: Collection[str]) -> Json:
    return {name: value for name, value in chosen_user(account).items() if name in USER_DEFAULTS | set(wanted)}


def event(dm: Dm, wanted: Collection[str]) -> Json:
    """Show a message as v2 does: three fields, and what was asked for besides."""
    text, spans = sent_text(dm)
    whole: Json = {
        "id": dm.id,
        "event_type": "MessageCreate",
        "text": text,
        "created_at": iso(dm.at),
        "dm_conversation_id": dm.conversation,
        "sender_id": dm.sender,
    }
    if spans:
        media = {"media_key": dm.media.key} if dm.media else {}
        whole["entities"] = {
            "urls": [
                {
                    "start": start,
                    "end": end,
                    "url": short,
                    "expanded_url": link,
                    "display_url": _display(dm, short, link),
                    **(media if short == dm.media_link else {}),
                }
                for short, link, start, end in spans
            ]
        }
    if dm.media is not None:
        whole["attachments"] = {"media_keys": [dm.media.key]}
    return {name: value for name, value in whole.items() if name in EVENT_DEFAULTS | set(wanted)}


def media_object(dm: Dm, media: Media, wanted: Collection[str], ton_url: str) -> Json:
    where = media_url(dm, media, ton_url)
    whole: Json = {"media_key": media.key, "type": media.kind, "width": 1024, "height": 768}
    if media.kind == "photo":
        whole["url"] = where
    else:
        whole |= {
            "preview_image_url": where,
            "variants": [{"bit_rate": 832_000, "content_type": "video/mp4", "url": where}],
        }
    return {name: value for name, value in whole.items() if name in MEDIA_DEFAULTS | set(wanted)}


def included(
    dms: Iterable[Dm],
    accounts: dict[str, Account],
    *,
    expansions: Collection[str],
    user_fields: Collection[str],
    media_fields: Collection[str],
    ton_url: str,
) -> tuple[Json, list[Json]]:
    """Expand what was asked for, each thing once; an account that is suspended becomes an error beside the data."""
    users: dict[str, Json] = {}
    media: dict[str, Json] = {}
    errors: dict[str, Json] = {}
    for dm in dms:
        if "sender_id" in expansions:
            account = accounts[dm.sender]
            if account.suspended:
                errors[account.id] = missing("user", "sender_id", account.id)
            else:
                users[account.id] = user(account, user_fields)
        if "attachments.media_keys" in expansions and dm.media is not None:
            media[dm.media.key] = media_object(dm, dm.media, media_fields, ton_url)
    found: Json = {}
    if users:
        found["users"] = list(users.values())
    if media:
        found["media"] = list(media.values())
    return found, list(errors.values())
