"""Self-service that speaks to customers, through the inbox only. Empty in this version."""
