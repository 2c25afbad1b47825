"""What Messenger's and Instagram's events look like on the wire, as far as we read them.

Rule: every field but the ids may be missing or wrong, for none of it is ours; what is wrong is left out, not raised.
https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from channels.wire import Number, Wire

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]


class Party(Wire, frozen=True):
    id: str | Number = ""


class Echo(Wire, frozen=True):
    is_echo: bool = False


class Item(Wire, frozen=True, rename=None):
    sender: Party = Party()
    recipient: Party = Party()
    timestamp: Number | str = 0
    message: Echo = Echo()


class Pressed(Wire, frozen=True):
    payload: str = ""


class Story(Wire, frozen=True):
    url: str = ""


class ReplyTo(Wire, frozen=True):
    mid: str = ""
    story: Story | None = None


class Advertised(Wire, frozen=True):
    ad_title: str = ""


class Referral(Wire, frozen=True):
    ref: str = ""
    ad_id: str | Number = ""
    referer_uri: str = ""
    product: Party | None = None
    ads_context_data: Advertised | None = None


class Place(Wire, frozen=True):
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    long: Annotated[float, msgspec.Meta(ge=-180, le=180)]


class Load(Wire, frozen=True):
    url: str = ""
    title: str = ""
    sticker_id: str | Number = ""
    coordinates: Place | None = None


class Piece(Wire, frozen=True):
    type: str = ""
    title: str = ""
    url: str = ""
    payload: Load | None = None


class Message(Wire, frozen=True):
    mid: Id
    text: str = ""
    attachments: msgspec.Raw = msgspec.Raw(b"null")
    quick_reply: Pressed | None = None
    reply_to: ReplyTo | None = None
    referral: Referral | None = None
    metadata: str = ""
    app_id: str | Number = ""
    is_deleted: bool = False
    is_unsupported: bool = False


class Edit(Wire, frozen=True):
    mid: Id
    text: str = ""
    num_edit: Number | str = 0


class Postback(Wire, frozen=True):
    mid: str = ""
    title: str = ""
    payload: str = ""
    referral: Referral | None = None


class Reaction(Wire, frozen=True):
    mid: Id
    action: str = ""
    reaction: str = ""
    emoji: str = ""


class Delivery(Wire, frozen=True):
    mids: list[msgspec.Raw] = []  # noqa: RUF012  a struct copies it


class Read(Wire, frozen=True):
    mid: str = ""
    watermark: Number | str = 0


class OptIn(Wire, frozen=True):
    ref: str = ""
    payload: str = ""
