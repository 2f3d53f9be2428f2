"""Webhooks: lifecycle events told to others, signed, as they are read from the history."""
