"""Twilio's resources as its APIs write them, and their lists page by page.

Rule: the old API pages by a relative `next_page_uri`, the newer ones by an absolute `meta.next_page_url`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode

from sandbox.journal import Json
from sandbox.twilio.errors import ApiError
from sandbox.twilio.values import WHATSAPP, Account, Line, Media, Message, Service, iso, rfc2822

VERSION = "2010-04-01"
PAGE = 50
MAX_PAGE = 1000

T = TypeVar("T")


def account(one: Account) -> Json:
    uri = f"/{VERSION}/Accounts/{one.sid}"
    return {
        "sid": one.sid,
        "friendly_name": one.name,
        "status": one.status,
        "type": "Full",
        "owner_account_sid": one.parent or one.sid,
        "auth_token": one.auth_token,
        "date_created": rfc2822(one.created),
        "date_updated": rfc2822(one.created),
        "uri": f"{uri}.json",
        "subresource_uris": {"messages": f"{uri}/Messages.json"},
    }


def message(one: Message) -> Json:
    uri = f"/{VERSION}/Accounts/{one.account}/Messages/{one.sid}"
    outgoing = one.direction != "inbound"
    return {
        "account_sid": one.account,
        "api_version": VERSION,
        "body": one.body,
        "date_created": rfc2822(one.created),
        "date_sent": rfc2822(one.sent),
        "date_updated": rfc2822(one.updated),
        "direction": one.direction,
        "error_code": one.code,
        "error_message": one.words or None,
        "from": None if one.service and one.status == "accepted" else one.from_,
        "messaging_service_sid": one.service or None,
        "num_media": str(len(one.media_urls) or len(one.media)),
        "num_segments": str(one.segments),
        "price": None,
        "price_unit": "USD" if outgoing else None,
        "sid": one.sid,
        "status": one.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": one.to,
        "uri": f"{uri}.json",
    }


def media(one: Media) -> Json:
    return {
        "account_sid": one.account,
        "content_type": one.media_type,
        "date_created": rfc2822(one.created),
        "date_updated": rfc2822(one.created),
        "parent_sid": one.message,
        "sid": one.sid,
        "uri": f"/{VERSION}/Accounts/{one.account}/Messages/{one.message}/Media/{one.sid}.json",
    }


def number(one: Line) -> Json:
    return {
        "account_sid": one.account,
        "api_version": VERSION,
        "capabilities": {"voice": False, "sms": True, "mms": one.mms, "fax": False},
        "date_created": rfc2822(one.created),
        "date_updated": rfc2822(one.created),
        "friendly_name": one.name or one.address,
        "phone_number": one.address,
        "sid": one.sid,
        "sms_application_sid": "",
        "sms_fallback_method": one.fallback_method,
        "sms_fallback_url": one.fallback_url,
        "sms_method": one.method,
        "sms_url": one.url,
        "status_callback": one.status_url,
        "status_callback_method": one.status_method,
        "status": "in-use",
        "uri": f"/{VERSION}/Accounts/{one.account}/IncomingPhoneNumbers/{one.sid}.json",
    }


def service(one: Service, base: str) -> Json:
    url = f"{base}/v1/Services/{one.sid}"
    return {
        "sid": one.sid,
        "account_sid": one.account,
        "friendly_name": one.name,
        "inbound_request_url": one.inbound_url or None,
        "inbound_method": one.inbound_method,
        "fallback_url": one.fallback_url or None,
        "fallback_method": one.fallback_method,
        "status_callback": one.status_url or None,
        "use_inbound_webhook_on_number": one.on_number,
        "sticky_sender": True,
        "smart_encoding": False,
        "validity_period": 36_000,
        "date_created": iso(one.created),
        "date_updated": iso(one.created),
        "url": url,
        "links": {"phone_numbers": f"{url}/PhoneNumbers"},
    }


def pooled(one: Line, base: str) -> Json:
    """A number as part of a service."""
    return {
        "sid": one.sid,
        "account_sid": one.account,
        "service_sid": one.service,
        "phone_number": one.address,
        "country_code": "",
        "capabilities": ["SMS", "MMS"] if one.mms else ["SMS"],
        "date_created": iso(one.created),
        "date_updated": iso(one.created),
        "url": f"{base}/v1/Services/{one.service}/PhoneNumbers/{one.sid}",
    }


def sender(one: Line, base: str) -> Json:
    return {
        "sid": one.sid,
        "status": one.status,
        "sender_id": one.address,
        "configuration": {"waba_id": one.sid[2:17], "verification_method": "sms"},
        "webhook": {
            "callback_url": one.url or None,
            "callback_method": one.method,
            "fallback_url": one.fallback_url or None,
            "fallback_method": one.fallback_method,
            "status_callback_url": one.status_url or None,
            "status_callback_method": one.status_method,
        },
        "profile": {"name": one.name or one.address.removeprefix(WHATSAPP)},
        "properties": {"quality_rating": "HIGH", "messaging_limit": "1K Customers/24hr"},
        "offline_reasons": None,
        "url": f"{base}/v2/Channels/Senders/{one.sid}",
    }


def alert(one: Json, account_sid: str) -> Json:
    return {
        "sid": one["sid"],
        "account_sid": account_sid,
        "alert_text": f"{one['message']} {one['detail']}".strip(),
        "error_code": str(one["code"]),
        "log_level": "error",
        "request_url": one["url"],
        "resource_sid": one["resource"],
        "more_info": f"https://www.twilio.com/docs/errors/{one['code']}",
    }


def cut(items: Sequence[T], query: Mapping[str, str], sid: Callable[[T], str]) -> tuple[list[T], str, int]:
    """Take one page: its items, the token of the next page (empty: none), and the page size.

    A token names the last item seen, so that what comes in meanwhile neither shifts nor doubles anything.
    """
    given = query.get("PageSize", "")
    size = min(int(given), MAX_PAGE) if given.isdigit() and int(given) else PAGE
    start = 0
    if token := query.get("PageToken", ""):
        places = [place for place, item in enumerate(items) if f"PA{sid(item)}" == token]
        if not places:
            raise ApiError(20001, "PageToken")
        start = places[0] + 1
    page = list(items[start : start + size])
    more = start + size < len(items)
    return page, f"PA{sid(page[-1])}" if more else "", size


def old_list(name: str, items: Sequence[T], query: Mapping[str, str], path: str, show: Callable[[T], Json]) -> Json:
    """Write a list of the 2010 API. `path` is without host and prefix, as `next_page_uri` is."""
    shown = [(item, show(item)) for item in items]
    page, token, size = cut(shown, query, lambda pair: str(pair[1]["sid"]))
    number_of_page = int(query.get("Page", "0")) if query.get("Page", "0").isdigit() else 0
    kept = {key: value for key, value in query.items() if key not in ("Page", "PageToken", "PageSize")}

    def uri(place: int, mark: str) -> str:
        return f"{path}?{urlencode({**kept, 'PageSize': size, 'Page': place, **({'PageToken': mark} if mark else {})})}"

    return {
        name: [one for _, one in page],
        "page": number_of_page,
        "page_size": size,
        "start": number_of_page * size,
        "end": number_of_page * size + max(0, len(page) - 1),
        "uri": uri(number_of_page, query.get("PageToken", "")),
        "first_page_uri": uri(0, ""),
        "next_page_uri": uri(number_of_page + 1, token) if token else None,
        "previous_page_uri": None,
    }


def new_list(name: str, items: Sequence[Json], query: Mapping[str, str], url: str) -> Json:
    """Write a list of the newer APIs. `url` is absolute."""
    page, token, size = cut(items, query, lambda one: str(one["sid"]))
    number_of_page = int(query.get("Page", "0")) if query.get("Page", "0").isdigit() else 0
    kept = {key: value for key, value in query.items() if key not in ("Page", "PageToken", "PageSize")}
    following = urlencode({**kept, "PageSize": size, "Page": number_of_page + 1, "PageToken": token})
    return {
        name: page,
        "meta": {
            "key": name,
            "page": number_of_page,
            "page_size": size,
            "url": f"{url}?{urlencode({**kept, 'PageSize': size, 'Page': number_of_page})}",
            "first_page_url": f"{url}?{urlencode({**kept, 'PageSize': size, 'Page': 0})}",
            "next_page_url": f"{url}?{following}" if token else None,
            "previous_page_url": None,
        },
    }
