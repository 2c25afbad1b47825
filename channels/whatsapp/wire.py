"""What WhatsApp's webhooks look like on the wire, as far as we read them.

Rule: every field but the ids may be missing or wrong, for none of it is ours; what is wrong is left out, not raised.
Lists are of raw items, so that a wrong one costs none of the others.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from channels.wire import Number, Wire

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Seconds = str | Number  # digits, as a string


class Metadata(Wire, frozen=True):
    phone_number_id: str | Number
    display_phone_number: str = ""


class Profile(Wire, frozen=True):
    name: str = ""
    username: str = ""


class Contact(Wire, frozen=True):
    """Who wrote: without a phone number where a person shows a username instead."""

    profile: Profile | None = None
    wa_id: str = ""
    user_id: str = ""


class Text(Wire, frozen=True):
    body: str = ""


class Media(Wire, frozen=True):
    id: Annotated[str, msgspec.Meta(max_length=512)] = ""  # without it the words beside the file are left
    mime_type: str = ""
    sha256: str = ""
    caption: str = ""
    filename: str = ""
    voice: bool = False


class Location(Wire, frozen=True):
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    name: str = ""
    address: str = ""


class CardName(Wire, frozen=True):
    formatted_name: str = ""
    first_name: str = ""
    last_name: str = ""


class Phone(Wire, frozen=True):
    phone: str = ""
    wa_id: str = ""


class Email(Wire, frozen=True):
    email: str = ""


class Card(Wire, frozen=True):
    """An entry of an address book, passed on."""

    name: CardName | None = None
    phones: list[msgspec.Raw] = []  # noqa: RUF012  a struct copies it
    emails: list[msgspec.Raw] = []  # noqa: RUF012


class Button(Wire, frozen=True):
    text: str = ""
    payload: str = ""


class Reply(Wire, frozen=True):
    id: str = ""
    title: str = ""
    description: str = ""


class Form(Wire, frozen=True):
    """A filled-in form; `response_json` is what was filled in, and may be anything."""

    name: str = ""
    body: str = ""
    response_json: str = ""


class Interactive(Wire, frozen=True):
    type: str = ""
    button_reply: Reply | None = None
    list_reply: Reply | None = None
    nfm_reply: Form | None = None


class Reaction(Wire, frozen=True):
    message_id: Id
    emoji: str = ""


class Item(Wire, frozen=True):
    product_retailer_id: str = ""
    quantity: Number | float | str = 1
    item_price: Number | float | str = ""
    currency: str = ""


class Order(Wire, frozen=True):
    text: str = ""
    product_items: list[msgspec.Raw] = []  # noqa: RUF012


class System(Wire, frozen=True):
    type: str = ""
    wa_id: str = ""
    new_wa_id: str = ""  # as it was called once
    user_id: str = ""
    previous_user_id: str = ""


class Product(Wire, frozen=True):
    product_retailer_id: str = ""


class Context(Wire, frozen=True):
    id: str = ""
    forwarded: bool = False
    frequently_forwarded: bool = False
    referred_product: Product | None = None


class Referral(Wire, frozen=True):
    """The advertisement a chat began with."""

    source_url: str = ""
    headline: str = ""
    body: str = ""


class Revoke(Wire, frozen=True):
    original_message_id: Id


class Unsupported(Wire, frozen=True):
    type: str = ""


class Content(Wire, frozen=True):
    """What was said, as a message and the new version of an edited one tell it."""

    type: str = ""
    context: Context | None = None
    text: Text | None = None
    image: Media | None = None
    video: Media | None = None
    audio: Media | None = None
    voice: Media | None = None  # older, now `audio` with a mark
    document: Media | None = None
    sticker: Media | None = None
    location: Location | None = None
    contacts: list[msgspec.Raw] = []  # noqa: RUF012
    button: Button | None = None
    interactive: Interactive | None = None
    order: Order | None = None
    unsupported: Unsupported | None = None


class Edit(Wire, frozen=True):
    original_message_id: Id
    message: Content


class Message(Content, frozen=True):
    id: Id = ""
    sender: str = ""
    from_user_id: str = ""
    to: str = ""  # of an echo
    to_user_id: str = ""
    group_id: str = ""
    timestamp: Seconds = ""
    referral: Referral | None = None
    reaction: Reaction | None = None
    system: System | None = None
    edit: Edit | None = None
    revoke: Revoke | None = None


class Status(Wire, frozen=True):
    id: Id
    status: str
    timestamp: Seconds = ""
    biz_opaque_callback_data: str = ""
    errors: list[msgspec.Raw] = []  # noqa: RUF012


class Value(Wire, frozen=True):
    metadata: Metadata
    contacts: list[msgspec.Raw] = []  # noqa: RUF012
    messages: list[msgspec.Raw] = []  # noqa: RUF012
    message_echoes: list[msgspec.Raw] = []  # noqa: RUF012
    statuses: list[msgspec.Raw] = []  # noqa: RUF012
    errors: list[msgspec.Raw] = []  # noqa: RUF012
