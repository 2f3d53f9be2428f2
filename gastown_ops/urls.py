"""The project's addresses."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from towns.api.application import api, sandbox_api
from towns.metrics.view import metrics
from towns.probes import healthz, readyz

admin.site.site_header = admin.site.site_title = "Gastown Ops"
admin.site.index_title = "Fleet"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name="admin:towns_town_changelist")),
    path("admin/", admin.site.urls),
    path("api/v1/", api.urls),
    path("api/gastown/", sandbox_api.urls),
    path("live/", include("towns.live.urls")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
]
