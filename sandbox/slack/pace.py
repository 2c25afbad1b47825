"""How fast Slack lets an app call: tiers per method and minute, and one post a second per Slack channel.

Rule: pure but for its own memory; time is a parameter, in monotonic seconds.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from sandbox.slack.refusal import Refusal
from sandbox.slack.settings import Settings

# Calls a minute: docs.slack.dev/apis/web-api/rate-limits. Tier 1 says "1+" and tolerates bursts.
_TIER_1, _TIER_2, _TIER_3, _TIER_4, _HUNDREDS = 20, 20, 50, 100, 300
_TIERS = {
    _TIER_1: "apps.connections.open",
    _TIER_2: "conversations.list users.list users.conversations usergroups.list usergroups.users.list reactions.remove",
    _TIER_3: "conversations.history conversations.replies conversations.info conversations.join conversations.open"
    " chat.update chat.delete reactions.add reactions.get files.delete team.info bots.info users.getPresence",
    _TIER_4: "users.info conversations.members chat.postEphemeral views.open views.push views.update views.publish"
    " files.info files.getUploadURLExternal files.completeUploadExternal",
    _HUNDREDS: "auth.test chat.getPermalink",
}
CALLS_A_MINUTE = {method: calls for calls, methods in _TIERS.items() for method in methods.split()}

# A sender that waits exactly one second is on time even if its clock is a little fast.
_TOLERANCE = 0.05


@dataclass(slots=True)
class Pace:
    _calls: dict[str, deque[float]] = field(default_factory=dict)
    _posts: dict[str, tuple[float, float]] = field(default_factory=dict)  # tokens left, as of when
    _all_posts: deque[float] = field(default_factory=deque)

    def call(self, method: str, settings: Settings, now: float) -> None:
        """Count a call. Raises `ratelimited` when there were too many in the last minute."""
        calls = CALLS_A_MINUTE.get(method)
        if calls is None or not settings.tier_scale:
            return
        _window(self._calls.setdefault(method, deque()), max(1, int(calls * settings.tier_scale)), now)

    def post(self, channel: str, settings: Settings, now: float) -> None:
        """Count a message posted to a Slack channel. Raises `ratelimited`."""
        rate, burst = settings.posts_per_second, max(1, settings.burst)
        if not rate:
            return
        left, at = self._posts.get(channel, (float(burst), now))
        left = min(float(burst), left + (now - at) * rate)
        if left < 1 - _TOLERANCE:
            self._posts[channel] = (left, now)
            raise Refusal("ratelimited", retry_after=max(1, math.ceil((1 - _TOLERANCE - left) / rate)))
        if settings.posts_per_minute:
            _window(self._all_posts, settings.posts_per_minute, now)
        self._posts[channel] = (left - 1, now)


def _window(calls: deque[float], at_most: int, now: float) -> None:
    while calls and calls[0] <= now - 60:
        calls.popleft()
    if len(calls) >= at_most:
        raise Refusal("ratelimited", retry_after=max(1, math.ceil(calls[0] + 60 - now)))
    calls.append(now)
