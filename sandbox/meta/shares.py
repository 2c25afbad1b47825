"""What people send besides words and files: places, contacts, orders, forms, stories, shares, and what no bot can read.

Rule: each is an action of `World`, whose first parameter it takes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.meta import page_events, whatsapp_events
from sandbox.meta.people import on_a_page, participants, tell_shop
from sandbox.meta.shelf import STORY_LIFE
from sandbox.meta.values import Entry, Json, Kind, Line, Person

if TYPE_CHECKING:
    from sandbox.meta.world import World


def _on_whatsapp(world: World, person: str, line: str) -> tuple[Person, Line]:
    who, whom = participants(world, person, line)
    if whom.kind is not Kind.WHATSAPP:
        raise ValueError("only WhatsApp has it")
    return who, whom


async def share_location(
    world: World, person: str, line: str, latitude: float, longitude: float, name: str = "", address: str = ""
) -> str:
    """Send a pin. Without a name it is where the person stands."""
    who, whom = participants(world, person, line)
    entry = world.write(whom, who.key, "customer", kind="location", text=name or f"{latitude}, {longitude}")
    if whom.kind is not Kind.WHATSAPP:
        body: Json = {"attachments": [page_events.location(latitude, longitude, name)]}
        return tell_shop(world, entry, whom, who, body)
    place: Json = {"latitude": latitude, "longitude": longitude}
    place |= ({"name": name} if name else {}) | ({"address": address} if address else {})
    return tell_shop(world, entry, whom, who, {"type": "location", "location": place})


async def share_contact(world: World, person: str, line: str, name: str = "", phone: str = "") -> str:
    """Send a card of somebody's, which may have no name."""
    who, whom = _on_whatsapp(world, person, line)
    entry = world.write(whom, who.key, "customer", kind="contacts", text=" ".join(filter(None, (name, phone))))
    digits = "".join(letter for letter in phone if letter.isdigit())
    card: Json = {"phones": [{"phone": phone, "wa_id": digits, "type": "CELL"}]} if phone else {}
    if name:
        first, _, last = name.partition(" ")
        card["name"] = {"formatted_name": name, "first_name": first} | ({"last_name": last} if last else {})
    return tell_shop(world, entry, whom, who, {"type": "contacts", "contacts": [card]})


async def order(world: World, person: str, line: str, items: list[Json], text: str = "", catalog: str = "901") -> str:
    """Order from the catalogue: `items` of `{product_retailer_id, quantity, item_price, currency}`."""
    who, whom = _on_whatsapp(world, person, line)
    entry = world.write(whom, who.key, "customer", kind="order", text=text)
    told = {"catalog_id": catalog, "text": text, "product_items": items}
    return tell_shop(world, entry, whom, who, {"type": "order", "order": told})


async def fill_form(world: World, person: str, line: str, entry: str, response: Any, name: str = "flow") -> str:
    """Send a form (a flow) back. `response` as a string goes out as it is, be it valid JSON or not."""
    who, whom = _on_whatsapp(world, person, line)
    made = world.write(whom, who.key, "customer", kind="nfm_reply", text="Sent", reply_to=entry)
    written = response if isinstance(response, str) else json.dumps(response)
    told = {"name": name, "body": "Sent", "response_json": written}
    return tell_shop(
        world, made, whom, who, {"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": told}}
    )


async def send_unsupported(world: World, person: str, line: str, what: str = "poll") -> str:
    """Send what no bot is shown: a poll, a view-once picture."""
    who, whom = participants(world, person, line)
    entry = world.write(whom, who.key, "customer", kind="unsupported", text=f"({what})")
    body: Json = {"is_unsupported": True}
    if whom.kind is Kind.WHATSAPP:
        errors = [whatsapp_events.error(131051)]
        body = {"type": "unsupported", "errors": errors, "unsupported": {"type": what}}
    return tell_shop(world, entry, whom, who, body)


async def come_from_ad(world: World, person: str, line: str, text: str, headline: str = "Summer sale") -> str:
    """Write after a click on an advertisement."""
    who, whom = participants(world, person, line)
    number = str(world.rng.randrange(10**11, 10**12))
    entry = world.write(whom, who.key, "customer", text=text)
    if whom.kind is Kind.WHATSAPP:
        referral = whatsapp_events.referral(headline, number)
        return tell_shop(world, entry, whom, who, {"type": "text", "text": {"body": text}, "referral": referral})
    context = {"ad_title": headline, "post_id": f"{whom.id}_{number}"}
    referral = {"source": "ADS", "type": "OPEN_THREAD", "ad_id": number, "ads_context_data": context}
    return tell_shop(world, entry, whom, who, {"text": text, "referral": referral})


async def share(world: World, person: str, line: str, kind: str, url: str = "") -> str:
    """Share a post, a reel, or a link: fallback, share, ig_reel, reel, ig_post, like_heart, ephemeral, …

    Without `url` it is as odd as such have been seen: a path instead of a URL, or no payload at all.
    """
    who, whom = on_a_page(world, person, line)
    entry = world.write(whom, who.key, "customer", kind=kind, text=url or f"({kind})")
    return tell_shop(world, entry, whom, who, {"attachments": [page_events.attachment(kind, url)]})


async def thumbs_up(world: World, person: str, line: str) -> str:
    """Send the thumb, which comes as a picture with a sticker's id."""
    who, whom = on_a_page(world, person, line)
    entry = world.write(whom, who.key, "customer", kind="image", text="👍")
    url = "https://scontent.example/thumb.png"
    image = page_events.attachment("image", url, sticker_id=int(page_events.THUMBS_UP))
    return tell_shop(world, entry, whom, who, {"sticker_id": int(page_events.THUMBS_UP), "attachments": [image]})


async def mention_in_story(world: World, person: str, line: str, file: Json) -> str:
    """Name the shop in a story, which is to be seen for a day."""
    who, whom = on_a_page(world, person, line)
    kept = world.shelf.read(whom, file)
    entry = world.write(whom, who.key, "customer", kind="story_mention", file=kept)
    url = world.url(whom, kept, STORY_LIFE)
    return tell_shop(world, entry, whom, who, {"attachments": [page_events.attachment("story_mention", url)]})


async def reply_to_story(world: World, person: str, line: str, text: str, file: Json) -> str:
    """Answer a story of the shop's; `file` is the story."""
    who, whom = on_a_page(world, person, line)
    kept = world.shelf.read(whom, file)
    entry = world.write(whom, who.key, "customer", kind="story_reply", text=text, file=kept)
    story = {"id": str(world.rng.randrange(10**16, 10**17)), "url": world.url(whom, kept, STORY_LIFE)}
    return tell_shop(world, entry, whom, who, {"text": text, "reply_to": {"story": story}})


async def expire_media(world: World, entry: str) -> None:
    """Let every URL to the file of a message end now, or the story be deleted."""
    found: Entry | None = world.find(entry)
    if found is None or found.file is None:
        raise KeyError("no such file")
    world.shelf.expire(found.file)
