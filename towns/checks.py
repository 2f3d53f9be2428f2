"""System checks: a missing or senseless setting is named, with what to write."""
