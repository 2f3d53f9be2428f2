"""Two-factor login for staff: after the password, a code of an authenticator app (RFC 6238)."""
