"""The JSON views (product.md 5.3)."""
