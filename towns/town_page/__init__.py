"""What a town's page shows of its past: one timeline of all that happened, and charts."""
