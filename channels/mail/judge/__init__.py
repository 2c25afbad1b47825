"""Who wrote this and whether it was a person: machines, bounces, and how far a sender is believed."""
