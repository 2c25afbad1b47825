"""Twilio's error codes, their words and how each reaches the caller.

Rule: one table for refusals at once (HTTP), failures later (`ErrorCode`) and the Debugger: Twilio uses one numbering.
Pages: https://www.twilio.com/docs/api/errors/<code>.
"""

from __future__ import annotations

from sandbox.journal import Json

WORDS: dict[int, str] = {
    11200: "HTTP retrieval failure",
    11205: "HTTP connection failure",
    11750: "TwiML response body too large",
    11751: "Media exceeds the size limit",
    12100: "Document parse failure",
    12200: "Schema validation warning",
    12300: "Invalid Content-Type",
    20001: "Invalid parameter",
    20003: "Authenticate",
    20005: "Account not active",
    20009: "Cannot delete this resource before it is complete",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    20503: "Service unavailable",
    21211: "Invalid 'To' Phone Number",
    21212: "Invalid From Number",
    21266: "'To' and 'From' number cannot be the same",
    21402: "Url is not a valid URL",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21603: "A 'From' phone number is required",
    21604: "A 'To' phone number is required",
    21606: "The 'From' phone number is not a valid, message-capable Twilio phone number for this destination",
    21609: "The 'StatusCallback' URL is not a valid URL",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number is not currently reachable using the 'From' phone number",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21619: "A text message body or media urls must be specified",
    21620: "Invalid media URL(s)",
    21623: "Number of media files exceeds allowed limit",
    21655: "The ContentSid is invalid",
    21656: "The ContentVariables parameter is invalid",
    21701: "The Messaging Service does not exist",
    21703: "The Messaging Service does not have a sender available for this recipient",
    21910: "Invalid 'From' and 'To' pair. 'From' and 'To' should be of the same channel",
    30001: "Queue overflow",
    30002: "Account suspended",
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    63003: "Channel could not find To address",
    63005: "Channel did not accept given content",
    63007: "Twilio could not find a Channel with the specified From address",
    63014: "Message blocked by user action",
    63016: "Failed to send freeform message because you are outside the allowed window",
    63018: "Rate limit exceeded for channel",
    63019: "Media failed to download",
    63021: "Channel invalid content error",
    63024: "Invalid message recipient",
    63027: "Template does not exist for a language and locale",
    63028: "Number of parameters provided does not match the expected number of parameters",
    63032: "The channel chose not to deliver this message",
    63033: "Recipient blocked to receive message",
    63034: "Media exceeds the channel's size limit",
    63040: "Template rejected",
    63041: "Template paused",
}
STATUSES = {20003: 401, 20005: 403, 20009: 409, 20404: 404, 20429: 429, 20500: 500, 20503: 503}


class ApiError(Exception):
    """A refusal as Twilio answers it: `code` is Twilio's, `status` HTTP's, `retry_after` in seconds."""

    def __init__(
        self, code: int, detail: str = "", *, status: int | None = None, retry_after: int | None = None
    ) -> None:
        words = WORDS.get(code, "Error")
        self.code = code
        self.status = STATUSES.get(code, 400) if status is None else status
        self.message = f"{words}: {detail}" if detail else words
        self.retry_after = retry_after
        super().__init__(f"{code} {self.message}")

    @property
    def page(self) -> str:
        return f"https://www.twilio.com/docs/errors/{self.code}"

    def plain(self) -> Json:
        return {"code": self.code, "message": self.message, "more_info": self.page, "status": self.status}

    def problem(self) -> Json:
        """As the newer products answer (RFC 9457)."""
        title = WORDS.get(self.code, "Error")
        return {"type": self.page, "title": title, "status": self.status, "code": self.code, "detail": self.message}
