"""The addresses of the second factor."""

from django.urls import path

from towns.second_factor import views

urlpatterns = [
    path("", views.second_factor, name="second_factor"),
    path("enrol/", views.enrol, name="second_factor_enrol"),
    path("codes/", views.codes, name="second_factor_codes"),
]
