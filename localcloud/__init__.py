"""Fly and R2 on a laptop: a Machines API server whose machines are real processes, and S3."""
