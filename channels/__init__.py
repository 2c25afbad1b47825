"""One module per provider: verify, parse, send. Knows nothing of storage or Slack."""
