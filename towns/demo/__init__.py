"""`make demo`: the whole fleet on one computer, driven by the code that drives Fly."""
