"""WhatsApp by Meta's Cloud API. Calls go through `channels/meta/graph.py`."""
