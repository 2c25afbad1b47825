"""Telegram: bots, and owners' accounts that a bot is connected to."""
