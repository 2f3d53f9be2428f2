"""The addresses of the second factor."""

from django.urls import path

from towns.second_factor import views

app_name = "second_factor"
urlpatterns = [
    path("", views.manage, name="manage"),
    path("code/", views.give_code, name="code"),
    path("set-up/", views.set_up, name="set_up"),
]
