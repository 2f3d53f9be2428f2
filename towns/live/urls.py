"""The addresses of what is live."""

from django.urls import path

from towns.live.stream import events

app_name = "live"
urlpatterns = [path("events", events, name="events")]
