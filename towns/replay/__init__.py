"""What the recorded days would have been under other settings (product.md 1.7), and wrong stops."""
