"""The figures Santral shows on `/metrics`. Prometheus keeps them per process; names follow its naming rules."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ARRIVED = Counter("santral_arrivals", "Events stored, by channel and what they were", ["channel", "what"])
REFUSED = Counter("santral_refused", "Requests refused, by door and reason", ["door", "reason"])
QUARANTINED = Counter("santral_quarantined", "Requests kept aside because they could not be read", ["channel"])
COMMIT = Histogram(
    "santral_commit_seconds", "One intake transaction", buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2)
)
COMMIT_SIZE = Histogram(
    "santral_commit_events", "Events in one intake transaction", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
READ_SECONDS = Histogram(
    "santral_read_seconds",
    "Reading one kept letter, averaged over its batch",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2, 20),
)
RAN = Counter("santral_work", "Pieces of work run, by kind and outcome", ["kind", "outcome"])
WAITING = Gauge("santral_work_waiting", "Pieces of work in the table, by kind", ["kind"])
PARKED = Gauge("santral_work_parked", "Pieces of work given up until a new reason comes, by kind", ["kind"])
OLDEST = Gauge("santral_work_oldest_seconds", "Age of the oldest due piece of work, by kind", ["kind"])
ACKNOWLEDGED = Counter("santral_acknowledgements", "Customers told that a person will answer, or not", ["kind"])
ASSIGNED = Counter("santral_assigned", "Conversations given to an agent by themselves", ["team"])
PROMISED = Counter("santral_promises", "Promises about to break, and broken", ["team", "promise", "state"])
UNDERSTOOD = Counter("santral_understood", "Messages the learned model read, by what came of it", ["outcome"])
OPTED_OUT = Counter("santral_opted_out", "Times customers asked for no more messages or blocked us", ["channel"])
DELIVERED = Counter("santral_deliveries", "Deliveries settled, by channel and outcome", ["channel", "outcome"])
PROVIDER = Histogram(
    "santral_provider_seconds",
    "One call to a provider or to Slack",
    ["who", "call"],
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
