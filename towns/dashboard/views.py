"""The dashboard's pages. Opening a town is a visit; the list is none, and neither is a page that
refreshes itself."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from towns import actions, interactions
from towns.actions import NotAllowed
from towns.changes import (
    InvalidChange,
    validated_changes,
    validated_name,
    validated_region,
)
from towns.dashboard.cards import LABELS, Card, own_town, own_towns, stakes_of
from towns.dashboard.forms import DestroyForm, KeepAwakeForm, NewTownForm, SettingsForm
from towns.history import Actor
from towns.live.pages import REFRESH_HEADER
from towns.models import Town
from towns.rules import retention
from towns.words import InteractionKind, OperationKind

_DONE = {
    OperationKind.START: "It is starting.",
    OperationKind.STOP: "It is backed up and then stopped.",
    OperationKind.RESTART: "It is restarting.",
    OperationKind.BACKUP: "It is being backed up.",
    OperationKind.RESTORE: "It is being restored from its backup.",
}


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _own(request: HttpRequest, town_id: UUID) -> Card:
    card = own_town(_user(request), town_id, timezone.now())
    if card is None:
        raise Http404("You have no such town.")
    return card


@require_safe
@login_required
@never_cache
def show_towns(request: HttpRequest) -> HttpResponse:
    """Their towns; looking at the list is no visit."""
    towns = own_towns(
        _user(request),
        timezone.now(),
        wanted=request.GET.get("q", "").strip()[:40],
        page=request.GET.get("page", ""),
    )
    context = {"towns": towns, "form": NewTownForm(), "retention_days": retention().days}
    return render(request, "dashboard/towns.html", context)


@require_safe
@login_required
@never_cache
def show_town(request: HttpRequest, town_id: UUID) -> HttpResponse:
    """One town. A visit, which wakes it if it sleeps, unless the page only refreshes itself."""
    card = _own(request, town_id)
    if REFRESH_HEADER not in request.headers and request.GET.get("peek") != "1":
        actor = Actor.person(_user(request))
        visit = interactions.visit
        if visit(card.town, actor=actor, kind=InteractionKind.VISIT, now=timezone.now()):
            card = _own(request, town_id)
    return _town_page(request, card, DestroyForm())


def _town_page(
    request: HttpRequest, card: Card, destroy: DestroyForm, status: int = 200
) -> HttpResponse:
    town = card.town
    context = {
        "card": card,
        "settings": SettingsForm(
            initial={
                "idle_timeout_minutes": town.idle_timeout_minutes,
                "auto_stop": town.auto_stop,
            }
        ),
        "keep": KeepAwakeForm(),
        "destroy": destroy,
        "stakes": stakes_of(town, timezone.now()),
        "retention_days": retention().days,
    }
    return render(request, "dashboard/town.html", context, status=status)


@require_POST
@login_required
def create_town(request: HttpRequest) -> HttpResponse:
    """Make a town of theirs."""

    def create() -> str:
        form = NewTownForm(request.POST)
        if not form.is_valid():
            raise InvalidChange("name", "Give the town a name.")
        user = _user(request)
        actions.create_town(
            user,
            validated_name(form.cleaned_data["name"]),
            actor=Actor.person(user),
            now=timezone.now(),
            region=validated_region(None),
        )
        return f"{form.cleaned_data['name']} is being made."

    return _done(request, create, redirect("dashboard:towns"))


@require_POST
@login_required
def ask_for(request: HttpRequest, town_id: UUID, kind: str) -> HttpResponse:
    """Start, stop, restart, back up or restore it."""
    if kind not in _DONE:
        raise Http404("There is nothing of that name to be done.")
    town, wanted = _own(request, town_id).town, OperationKind(kind)

    def ask() -> str:
        now = timezone.now()
        requested = actions.REQUESTS[wanted](town.pk, actor=Actor.person(_user(request)), now=now)
        interactions.touch(town, kind=InteractionKind.VISIT, now=now)
        return f"{town.name}: {requested.note or _DONE[wanted]}"

    return _done(request, ask, _back(request, town))


@require_POST
@login_required
def stay(request: HttpRequest, town_id: UUID) -> HttpResponse:
    """One click that says: I am here. It counts as interaction."""
    town = _own(request, town_id).town

    def visit() -> str:
        actor, now = Actor.person(_user(request)), timezone.now()
        interactions.visit(town, actor=actor, kind=InteractionKind.VISIT, now=now)
        return f"{town.name} stays awake for {town.idle_timeout_minutes} minutes more."

    return _done(request, visit, _back(request, town))


@require_POST
@login_required
def change(request: HttpRequest, town_id: UUID, what: str) -> HttpResponse:
    """Change when it goes to sleep, or keep it awake for a time."""
    town = _own(request, town_id).town

    def save() -> str:
        now = timezone.now()
        wanted = _wanted(request, what)
        changes = validated_changes(now=now, **wanted)
        actions.change_town(town.pk, changes, actor=Actor.person(_user(request)), now=now)
        interactions.touch(town, kind=InteractionKind.VISIT, now=now)
        return "Saved."

    return _done(request, save, redirect("dashboard:town", town.pk))


def _wanted(request: HttpRequest, what: str) -> dict[str, Any]:
    if what == "keep-awake":
        keep = KeepAwakeForm(request.POST)
        if not keep.is_valid():
            raise InvalidChange("minutes", "Choose for how long it is kept awake.")
        return {"keep_awake_minutes": keep.cleaned_data["minutes"]}
    form = SettingsForm(request.POST)
    if not form.is_valid():
        raise InvalidChange("idle_timeout_minutes", "The idle timeout is a number of minutes.")
    return form.cleaned_data


@require_POST
@login_required
def destroy_town(request: HttpRequest, town_id: UUID) -> HttpResponse:
    """Destroy it once its name is typed."""
    card, form = _own(request, town_id), DestroyForm(request.POST)
    town = card.town
    if not form.is_valid() or form.cleaned_data["confirm"] != town.name:
        form.errors.clear()
        form.add_error("confirm", f"That is not its name. Type {town.name}; nothing was destroyed.")
        return _town_page(request, card, form, status=422)

    def destroy() -> str:
        actor = Actor.person(_user(request))
        requested = actions.request_destroy(town.pk, actor=actor, now=timezone.now())
        told = requested.note or "It is backed up for the last time, then it goes."
        return f"{town.name}: {told} You can restore it for {retention().days} days."

    return _done(request, destroy, redirect("dashboard:towns"))


def _done(request: HttpRequest, do: Callable[[], str], then: HttpResponse) -> HttpResponse:
    """Do it, tell what came of it, also a refusal, and go back to the page."""
    try:
        messages.success(request, do())
    except NotAllowed as error:
        messages.error(request, f"Not done: {error.reason}")
    except InvalidChange as error:
        messages.error(request, f"Not done: {error.message}")
    return then


def _back(request: HttpRequest, town: Town) -> HttpResponse:
    """The page that the button was on."""
    if request.POST.get("on") == "list":
        page = request.POST.get("page", "")
        on = f"?page={page}" if page.isascii() and page.isdigit() else ""
        return redirect(f"{reverse('dashboard:towns')}{on}")
    return redirect("dashboard:town", town.pk)


assert set(_DONE) == set(LABELS), "each button has its answer"
