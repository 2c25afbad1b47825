"""From bytes to a `Mail`: header fields, parts, letters, files, HTML. Never raises, whatever the bytes are."""
