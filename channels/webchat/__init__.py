"""The chat bubble on the shop's pages: its adapter, and who its visitors are. Its page and line are in `app`."""
