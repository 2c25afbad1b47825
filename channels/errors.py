"""What can go wrong at a channel, named by the caller's next move. A docstring here is the message a person reads."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

FILE_TOO_BIG = "file_too_big"  # provider_code of a `Refused` that a smaller file would not have met


class ChannelError(Exception):
    """The channel could not do this."""

    code: ClassVar[str] = "channel_error"

    def __init__(self, detail: str = "", *, provider_code: str = "") -> None:
        self.detail = detail
        self.provider_code = provider_code
        super().__init__(detail or (type(self).__doc__ or "").strip())


class Unverified(ChannelError):
    """The request is not signed by the provider."""

    code = "unverified"


class Malformed(ChannelError):
    """The request is the provider's, but its body cannot be read."""

    code = "malformed"


class SendFailed(ChannelError):
    """The message was not sent."""

    code = "send_failed"


class Retry(SendFailed):
    """The provider asks to try again later."""

    code = "retry"

    def __init__(
        self,
        detail: str = "",
        *,
        after: timedelta | None = None,
        whole_channel: bool = False,
        provider_code: str = "",
    ) -> None:
        """`after` is the provider's own Retry-After; `whole_channel` when it is not about this address alone."""
        super().__init__(detail, provider_code=provider_code)
        self.after = after
        self.whole_channel = whole_channel


class InDoubt(SendFailed):
    """The line broke after the request was written: it may have arrived."""

    code = "in_doubt"


class Refused(SendFailed):
    """The provider will never accept this message."""

    code = "refused"


class WindowClosed(Refused):
    """The time in which this customer may be answered freely is over."""

    code = "window_closed"


class Unreachable(Refused):
    """This customer cannot be reached here any more: they blocked us or their account is gone."""

    code = "unreachable"


class Unwanted(Unreachable):
    """This customer has asked for no more messages here. They can write START to hear from us again."""

    code = "opted_out"


class Misconfigured(Refused):
    """The channel's own credentials or set-up are refused. Nothing can be sent here until that is mended."""

    code = "misconfigured"


class Moved(Retry):
    """The customer is reached at another address of this channel from now on."""

    code = "moved"

    def __init__(self, value: str) -> None:
        super().__init__()
        self.value = value
