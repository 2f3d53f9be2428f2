"""The owner's dashboard: their own towns as cards, with what can be done and what comes next."""
