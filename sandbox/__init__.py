"""The agent inside a town's machine: starts the town, answers for its health, keeps it in R2."""
