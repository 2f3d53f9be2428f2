"""The dashboard's addresses."""

from django.urls import path

from towns.dashboard import views

app_name = "dashboard"
urlpatterns = [
    path("", views.show_towns, name="towns"),
    path("towns/new", views.create_town, name="create"),
    path("towns/<uuid:town_id>/", views.show_town, name="town"),
    path("towns/<uuid:town_id>/stay", views.stay, name="stay"),
    path("towns/<uuid:town_id>/destroy", views.destroy_town, name="destroy"),
    path("towns/<uuid:town_id>/change/<slug:what>", views.change, name="change"),
    path("towns/<uuid:town_id>/<slug:kind>", views.ask_for, name="ask"),
]
