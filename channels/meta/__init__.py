"""Messenger and Instagram, and `graph`, by which WhatsApp calls Meta as well."""
