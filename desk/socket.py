"""Socket Mode: Slack over a connection we open, for shops without a public address. The same code acts as over HTTP.

Rule: an event is acknowledged after it is stored; what is not acknowledged Slack sends again.
"""

from __future__ import annotations

import orjson
import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from desk.events import Events

log = structlog.get_logger()


class Socket:
    """One connection to Slack, kept open by the SDK."""

    def __init__(self, app_token: str, api_url: str, events: Events, app: AsyncApp) -> None:
        self._events = events
        self._app = app
        self._client = SocketModeClient(app_token=app_token, web_client=AsyncWebClient(base_url=api_url))
        self._client.socket_mode_request_listeners.append(self._hear)

    async def open(self) -> None:
        """Connect. Raises what slack_sdk does when the app token is refused."""
        await self._client.connect()  # type: ignore[no-untyped-call]

    async def close(self) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]

    async def connected(self) -> bool:
        return bool(await self._client.is_connected())

    async def _hear(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        answer = SocketModeResponse(envelope_id=request.envelope_id)
        if request.type == "events_api":
            try:
                await self._events.receive(request.payload)
            except Exception as error:  # noqa: BLE001 - not acknowledged, so Slack sends it again
                log.warning("slack.event_not_stored", error=type(error).__name__)
                return
        else:
            response = await self._app.async_dispatch(AsyncBoltRequest(mode="socket_mode", body=request.payload))
            if response.status != 200:
                return
            if response.body and response.first_headers_without_set_cookie().get("content-type", "").startswith(
                "application/json"
            ):
                answer = SocketModeResponse(envelope_id=request.envelope_id, payload=_json(response.body))
        await client.send_socket_mode_response(answer)


def _json(body: str) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(body)
    return found
