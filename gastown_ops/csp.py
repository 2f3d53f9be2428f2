"""Content Security Policy: only what we serve ourselves, and nothing inline.

The theme of the admin needs two things more, and only there: its framework evaluates expressions in
attributes (`unsafe-eval`), and htmx puts one style sheet into the page, named here by its hash.
"""

from csp.constants import NONE, SELF, UNSAFE_EVAL
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HTMX_STYLE = "'sha256-bsV5JivYxvGywDAZ22EZJKBFip65Ng9xoJVLbBg7bdo='"
POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
ADMIN = "/admin/"


class PolicyMiddleware(CSPMiddleware):
    """Widens the policy under the admin, as far as its theme needs."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """The policy of an answer."""
        parts = super().get_policy_parts(request, response, report_only)
        if request.path.startswith(ADMIN):
            parts.update = {"script-src": [UNSAFE_EVAL], "style-src": [HTMX_STYLE]}
        return parts
