"""`santral.toml`: everything Santral is told from outside, read, checked and frozen. What others need is named here.

What one key can hold stands in `values`, `deciding` and `mail_values`; which keys a section has in `sections`, those of
channels in `kinds`; which sections there are in `whole`; what shows only when keys are seen together in `across`,
`accounts` and `contact`. `reading` reads, `variables` fills in the environment. `mail` is what looking at a mail takes.
"""

from app.config.reading import load, right_part, slack_calls
from app.config.whole import Config, IntakeConfig, StoreConfig

__all__ = ["Config", "IntakeConfig", "StoreConfig", "load", "right_part", "slack_calls"]
