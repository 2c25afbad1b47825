"""The old place of two names of `app.config.sections`, until who imports them from here looks there."""

from app.config.kinds import EmailConfig as EmailConfig
from app.config.sections import TeamConfig as TeamConfig
