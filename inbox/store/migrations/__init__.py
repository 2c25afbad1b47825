"""Tortoise migrations, in SQL by hand: the ORM cannot express half of what matters here (see docs/decisions/0003)."""
