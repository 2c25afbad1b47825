"""SMS and WhatsApp by Twilio: one account, one adapter, two kinds."""
