"""An answer becomes a mail that looks like a person wrote it, and leaves over SMTP exactly once or in doubt."""
