"""Upkeep of the database: partitions made ahead, hourly figures, what is old pruned."""
