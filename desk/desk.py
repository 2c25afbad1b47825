"""What everything that listens to agents works with, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from desk.people import People
from desk.slack import Slack
from desk.teams import Teams
from inbox.replies import Replies
from inbox.store.database import Database
from templates.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The agents' side as its listeners need it. `kinds` tells what kind each configured channel is."""

    database: Database
    slack: Slack
    teams: Teams
    people: People
    replies: Replies
    kinds: Mapping[str, str]
    catalog: Catalog
    now: Callable[[], datetime]
