"""Orders, parcels, returns: what the shop knows. Empty in this version."""
