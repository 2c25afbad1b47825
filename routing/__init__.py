"""What happens next: decides, pure. Reads facts, answers changes."""
