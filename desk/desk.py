"""What everything that listens to agents works with, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from channels.channel import Capabilities
from desk.offers import Offers
from desk.people import People
from desk.slack import Slack
from desk.teams import Teams
from inbox.replies import Replies
from inbox.store.database import Database
from templates.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The agents' side as its listeners need it.

    `kinds` tells what kind each configured channel is, `capabilities` what it carries. `offers` answers what agents can
    choose from at the moment. `now` is the machine's clock, `shop` the one by which windows close.
    """

    database: Database
    slack: Slack
    teams: Teams
    people: People
    replies: Replies
    kinds: Mapping[str, str]
    capabilities: Mapping[str, Capabilities]
    offers: Callable[[], Offers]
    catalog: Catalog
    now: Callable[[], datetime]
    shop: Callable[[], datetime]
