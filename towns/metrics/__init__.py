"""What Prometheus is told (`/metrics`). A web worker knows little of what goes on: the truth is in
the database, and what only the other processes see they count (`tally`) and add up there (`store`).
"""
