"""The agents' side, in Slack. Not a channel: its verbs differ."""
