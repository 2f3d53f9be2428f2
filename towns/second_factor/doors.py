"""The two doors, `/accounts/login/` and `/admin/login/`: who needs a second factor is signed in by
neither, but led to where it is given."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone

from towns.second_factor.gate import needs
from towns.second_factor.pending import Pending, forget


class Door(LoginView):
    """Django's, with the second step. `next` is checked by Django, and kept in the session."""

    template_name = "dashboard/login.html"

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """The password is right."""
        if not needs(form.get_user()):
            forget(self.request)  # whoever gave a password here before: Django keeps the session
            return super().form_valid(form)
        Pending.begin(self.request, form.get_user(), self.get_success_url(), timezone.now())
        return redirect("second_factor:code")


class AdminDoor(Door):
    """As `AdminSite.login`, which takes no other view than Django's."""

    template_name = "admin/login.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Who is in already goes in."""
        if admin.site.has_permission(request):
            return redirect("admin:index")
        return super().get(request, *args, **kwargs)

    def get_form_class(self) -> type[AuthenticationForm]:
        """The theme's; it takes staff alone."""
        assert admin.site.login_form is not None
        return admin.site.login_form

    def get_default_redirect_url(self) -> str:
        """The overview."""
        return reverse("admin:index")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """What the theme's page needs."""
        self.request.current_app = admin.site.name  # as AdminSite does
        return {
            **super().get_context_data(**kwargs),
            **admin.site.each_context(self.request),
            "title": "Log in",
            "subtitle": None,
            "app_path": self.request.get_full_path(),
            "username": self.request.user.get_username(),
        }
