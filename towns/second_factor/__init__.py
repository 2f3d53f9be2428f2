"""Two-factor login of staff: a password, then a code of an authenticator app (django-otp)."""
