"""The page before an action on towns: what will happen to each, and then doing it.

It names the towns by id, so that exactly those are acted on that the page has shown.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse

from towns.actions import NotAllowed, Requested
from towns.admin.stakes import stakes
from towns.admin.sweep_now import sweep_now
from towns.admin.town_actions import ACTIONS, TOWNS_AT_ONCE, TownAction, may, previews, request
from towns.changes import REASON_LENGTH
from towns.history import Actor
from towns.models import Town
from towns.presenting import presentable
from towns.services import default_services
from towns.words import OperationKind

REFUSALS_TOLD = 20


class ConfirmForm(forms.Form):
    """The reason, and for a destroy what has to be typed."""

    reason = forms.CharField(
        required=False,
        max_length=REASON_LENGTH,
        help_text="Kept in the history of each town.",
        widget=forms.TextInput(attrs={"class": "vTextField"}),
    )
    typed = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off"}))
    discard = forms.BooleanField(
        required=False,
        label="Discard the data",
        help_text="Go on without a last verified backup. What is not backed up is lost for good.",
    )
    from_backup = forms.BooleanField(
        required=False,
        label="Give up its volume",
        help_text="Where its host has no room: make it anew from its last backup. "
        "What was written since is on the old volume, which stays.",
    )

    def __init__(
        self, *args: Any, action: TownAction, towns: Sequence[Town], discard: bool, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._expected = towns[0].name if len(towns) == 1 else str(len(towns))
        if action.kind != OperationKind.DESTROY:
            del self.fields["typed"]
        elif len(towns) == 1:
            self.fields["typed"].label = f"To confirm, type the town's name: {self._expected}"
        else:
            self.fields["typed"].label = f"To confirm, type how many towns: {self._expected}"
        if not (discard and _can_discard(action, towns)):
            del self.fields["discard"]
        if action.kind != OperationKind.RECOVER or len(towns) != 1:
            del self.fields["from_backup"]
        if action.kind is None:
            del self.fields["reason"]

    def clean_typed(self) -> str:
        """It must be what was asked for, to the letter."""
        typed: str = self.cleaned_data["typed"].strip()
        if typed != self._expected:
            raise forms.ValidationError(
                "That is not “%(expected)s”. Nothing was done.", params={"expected": self._expected}
            )
        return typed


def act_view(site: admin.AdminSite, req: HttpRequest, name: str) -> HttpResponse:
    """The address of an action: GET and unconfirmed POST show the page, a confirmed POST acts."""
    action = ACTIONS.get(name)
    if action is None:
        raise Http404(f"There is no action “{name}”.")
    if not may(req.user, action):
        raise PermissionDenied(f"It lacks the permission to {action.name} towns.")
    ids = _ids(req.POST.get("towns", "") if req.method == "POST" else req.GET.get("towns", ""))
    if len(ids) > TOWNS_AT_ONCE:
        return _nothing(req, f"At most {TOWNS_AT_ONCE} towns at once; nothing was done.")
    towns = list(presentable(Town.objects.filter(pk__in=ids).order_by("owner__username", "name")))
    if not towns:
        return _nothing(req, "No town was selected; nothing was done.")
    if req.method == "POST" and "confirmed" in req.POST:
        discard = req.user.has_perm("towns.discard_town")
        form = ConfirmForm(req.POST, action=action, towns=towns, discard=discard)
        if not form.is_valid():
            return confirm_page(site, req, action, towns, form)
        _carry_out(req, action, towns, form.cleaned_data)
        return _back(towns)
    return confirm_page(site, req, action, towns)


def confirm_page(
    site: admin.AdminSite,
    req: HttpRequest,
    action: TownAction,
    towns: Sequence[Town],
    form: ConfirmForm | None = None,
) -> HttpResponse:
    """Who will be acted on and how, who is skipped and why. Changes nothing."""
    now = default_services().clock.now()
    can_discard = req.user.has_perm("towns.discard_town") and _can_discard(action, towns)
    told = previews(action, towns, now, discard=can_discard)
    taken = [town for town, outcome in told if outcome.allowed]
    if form is not None and len(taken) != len(towns):
        messages.warning(req, "Things have changed meanwhile. Have another look; nothing was done.")
        form = None
    if form is None and taken:
        form = ConfirmForm(action=action, towns=taken, discard=can_discard)
    destroys = action.kind == OperationKind.DESTROY
    at_stake = stakes([town for town, _ in told], now) if destroys else {}
    context = {
        **site.each_context(req),
        "title": f"{action.label}: {_count(len(taken))}",
        "opts": Town._meta,
        "action": action,
        "acted_on": [(t, outcome.text, at_stake.get(t.pk)) for t, outcome in told if t in taken],
        "skipped": [(t, outcome.text) for t, outcome in told if t not in taken],
        "ids": ",".join(str(town.pk) for town in taken),
        "form": form,
        "destroys": destroys,
        "retention_days": settings.GASTOWN_RETENTION_DAYS,
        "button": f"{action.label} {_count(len(taken))}",
    }
    return TemplateResponse(req, "admin/towns/town/confirm.html", context)


def _can_discard(action: TownAction, towns: Sequence[Town]) -> bool:
    """Data are discarded town by town, each by its name."""
    return action.kind == OperationKind.DESTROY and len(towns) == 1


def _ids(text: str) -> list[UUID]:
    """Ids from the form. A word that is none was not made by our pages: it names no town."""
    ids = []
    for word in filter(None, text.split(",")):
        try:
            ids.append(UUID(word))
        except ValueError as error:
            raise Http404(f"“{word}” is not the id of a town.") from error
    return ids


def _carry_out(
    req: HttpRequest, action: TownAction, towns: Sequence[Town], given: dict[str, Any]
) -> None:
    services = default_services()
    if action.kind is None:
        sweep_now(req, towns, services)
        return
    assert req.user.is_authenticated
    actor, done, refused = Actor.person(req.user), list[Requested](), list[str]()
    for town in towns:
        try:
            done.append(
                request(
                    action,
                    town.pk,
                    actor=actor,
                    now=services.clock.now(),
                    reason=given["reason"],
                    discard=given.get("discard", False),
                    from_backup=given.get("from_backup", False),
                )
            )
        except NotAllowed as error:
            refused.append(error.reason)
    _tell(req, action, done, refused)


def _tell(req: HttpRequest, action: TownAction, done: list[Requested], refused: list[str]) -> None:
    if done:
        note = done[0].note if len(done) == 1 else ""
        text = f"{action.label}: requested for {_count(len(done))}. {note}".strip()
        messages.success(req, text)
    for reason in refused[:REFUSALS_TOLD]:
        messages.warning(req, f"Refused: {reason}")
    if len(refused) > REFUSALS_TOLD:
        messages.warning(req, f"Refused for {len(refused) - REFUSALS_TOLD} more towns.")


def _count(number: int) -> str:
    return "1 town" if number == 1 else f"{number} towns"


def _nothing(req: HttpRequest, text: str) -> HttpResponse:
    messages.warning(req, text)
    return redirect("admin:towns_town_changelist")


def _back(towns: Sequence[Town]) -> HttpResponse:
    if len(towns) == 1:
        return redirect(reverse("admin:towns_town_change", args=[towns[0].pk]))
    return redirect("admin:towns_town_changelist")
