"""What Telegram's updates look like on the wire, as far as we read them, and which of their parts say something.

Rule: every field but the ids may be missing or wrong, for none of it is ours; what is wrong is left out, not raised.
Bot API 10.3, https://core.telegram.org/bots/api#available-types.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from channels.wire import Number, Wire

# --- what says something


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Updates we never subscribe to and that no customer's words travel in.
NOT_OURS = words(
    "update_id business_connection channel_post edited_channel_post message_reaction_count inline_query "
    "chosen_inline_result shipping_query pre_checkout_query purchased_paid_media poll poll_answer chat_member "
    "chat_join_request chat_boost removed_chat_boost managed_bot subscription stopped_message_generation"
)

# Keys that surround what was said; whatever else a message without text and file carries names its kind.
FRAME = words(
    "message_id message_thread_id direct_messages_topic from sender_chat sender_boost_count sender_business_bot "
    "sender_tag guest_query_id guest_bot_caller_user guest_bot_caller_chat date edit_date chat business_connection_id "
    "is_topic_message is_automatic_forward is_from_offline is_paid_post paid_star_count reply_to_message "
    "external_reply quote reply_to_story reply_to_checklist_task_id reply_to_poll_option_id via_bot forward_origin "
    "forward_from forward_from_chat forward_from_message_id forward_signature forward_sender_name forward_date "
    "has_protected_content has_media_spoiler show_caption_above_media media_group_id author_signature "
    "link_preview_options suggested_post_info effect_id entities caption caption_entities reply_markup "
    "receiver_user ephemeral_message_id text"
)

# Messages Telegram itself writes into a chat: nobody said them.
SERVICE = words(
    "new_chat_members left_chat_member chat_owner_left chat_owner_changed new_chat_title new_chat_photo "
    "delete_chat_photo group_chat_created supergroup_chat_created channel_chat_created "
    "message_auto_delete_timer_changed migrate_to_chat_id migrate_from_chat_id pinned_message connected_website "
    "write_access_allowed proximity_alert_triggered boost_added chat_background_set direct_message_price_changed "
    "paid_message_price_changed forum_topic_created forum_topic_edited forum_topic_closed forum_topic_reopened "
    "general_forum_topic_hidden general_forum_topic_unhidden managed_bot_created video_chat_scheduled "
    "video_chat_started video_chat_ended video_chat_participants_invited community_chat_added "
    "community_chat_removed community_chat_joined"
)

# --- shapes


class User(Wire, frozen=True):
    id: Number
    is_bot: bool = False
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = None


class Chat(Wire, frozen=True):
    id: Number
    type: str
    title: str | None = None


class Entity(Wire, frozen=True):
    type: str
    offset: Number
    length: Number
    url: str | None = None


class File(Wire, frozen=True):
    file_id: str
    file_unique_id: str = ""
    file_size: Number | None = None
    file_name: str | None = None
    mime_type: str | None = None
    width: Number = 0
    height: Number = 0


class Sticker(Wire, frozen=True):
    file_id: str
    file_unique_id: str = ""
    file_size: Number | None = None
    is_animated: bool = False
    is_video: bool = False
    emoji: str | None = None
    thumbnail: File | None = None


class Location(Wire, frozen=True):
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]


class Venue(Wire, frozen=True):
    location: Location
    title: str = ""
    address: str = ""


class Contact(Wire, frozen=True):
    phone_number: str
    first_name: str = ""
    last_name: str | None = None
    user_id: Number | None = None


class Origin(Wire, frozen=True):
    sender_user: User | None = None
    sender_user_name: str | None = None
    sender_chat: Chat | None = None
    chat: Chat | None = None


class Quote(Wire, frozen=True):
    text: str


class ExternalReply(Wire, frozen=True):
    origin: Origin | None = None


class Button(Wire, frozen=True):
    text: str = ""
    callback_data: str | None = None


class Keyboard(Wire, frozen=True):
    inline_keyboard: list[list[Button]] = []  # noqa: RUF012  a struct copies it


class Quoted(Wire, frozen=True):
    """A message another one points at; often out of the bot's reach, then only its ids."""

    message_id: Number
    chat: Chat
    text: str | None = None
    caption: str | None = None
    reply_markup: Keyboard | None = None
    business_connection_id: str | None = None
    message_thread_id: Number | None = None


class Message(Wire, frozen=True):
    message_id: Number
    chat: Chat
    date: Number = 0
    sender: User | None = None
    edit_date: Number = 0
    business_connection_id: str | None = None
    message_thread_id: Number | None = None
    media_group_id: str | None = None
    via_bot: User | None = None
    reply_to_message: Quoted | None = None
    external_reply: ExternalReply | None = None
    quote: Quote | None = None
    forward_origin: Origin | None = None
    migrate_to_chat_id: Number | None = None
    text: str | None = None
    entities: list[Entity] | None = None
    caption: str | None = None
    caption_entities: list[Entity] | None = None
    photo: list[File] | None = None
    animation: File | None = None
    document: File | None = None
    audio: File | None = None
    video: File | None = None
    voice: File | None = None
    video_note: File | None = None
    sticker: Sticker | None = None
    location: Location | None = None
    venue: Venue | None = None
    contact: Contact | None = None
    paid_media: Any = None


class Press(Wire, frozen=True):
    id: str
    sender: User
    message: Quoted | None = None
    data: str | None = None


class Standing(Wire, frozen=True):
    status: str


class Membership(Wire, frozen=True):
    chat: Chat
    sender: User
    new_chat_member: Standing
    date: Number = 0


class Reaction(Wire, frozen=True):
    type: str
    emoji: str | None = None


class Reactions(Wire, frozen=True):
    chat: Chat
    message_id: Number
    new_reaction: list[Reaction]
    user: User | None = None
    date: Number = 0


class Deletion(Wire, frozen=True):
    business_connection_id: str
    chat: Chat
    message_ids: list[Number]
