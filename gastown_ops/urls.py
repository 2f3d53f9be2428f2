"""The project's addresses."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver, include, path

from towns.api.application import api, sandbox_api
from towns.metrics.view import metrics
from towns.probes import healthz, readyz
from towns.second_factor.doors import AdminDoor, Door

admin.site.site_header = admin.site.site_title = "Gastown Ops"
admin.site.index_title = "Fleet"


def home(request: HttpRequest) -> HttpResponse:
    """Staff to the admin, everybody else to their own towns."""
    staff = request.user.is_authenticated and request.user.is_staff
    return redirect("admin:index" if staff else "dashboard:towns")


urlpatterns: list[URLPattern | URLResolver] = [
    path("", home),
    path("accounts/login/", Door.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(next_page="login"), name="logout"),
    path("accounts/second-factor/", include("towns.second_factor.urls")),
    path("dashboard/", include("towns.dashboard.urls")),
    path("admin/login/", AdminDoor.as_view()),  # before the admin's own
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("api/gastown/", sandbox_api.urls),
    path("live/", include("towns.live.urls")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
]
handler400 = "towns.refusals.bad_request"
handler403 = "towns.refusals.forbidden"
handler404 = "towns.refusals.not_found"
handler500 = "towns.refusals.server_error"
