"""The pages of the second factor: giving a code, enrolling, and what can be changed later."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from django_otp import login as note_second_factor

from towns.readable import duration
from towns.second_factor import recovery
from towns.second_factor.authenticator import (
    AlreadyEnrolled,
    Offer,
    TakenAway,
    authenticator_of,
    enrol,
    renew_codes,
)
from towns.second_factor.codes import Checked, check
from towns.second_factor.forms import WRONG, WRONG_RECOVERY, AppCodeForm, CodeForm
from towns.second_factor.gate import needs
from towns.second_factor.pending import KEPT, Pending, forget

_KEY, _REPLACING = "second_factor_key", "second_factor_replacing"
View = Callable[[HttpRequest], HttpResponse]


def _page(view: View) -> View:
    """What all pages share: they are kept by nobody, their codes are in no report of an error, and
    they are not there when the setting is off."""

    @wraps(view)
    def shown(request: HttpRequest) -> HttpResponse:
        if not settings.GASTOWN_STAFF_TWO_FACTOR:
            raise Http404("Two-factor login is off here (GASTOWN_STAFF_TWO_FACTOR).")
        return view(request)

    return require_http_methods(["GET", "HEAD", "POST"])(
        never_cache(sensitive_post_parameters("code")(shown))
    )


@_page
def give_code(request: HttpRequest) -> HttpResponse:
    """The second step of signing in."""
    pending, user = _half_way(request)
    if pending is None or user is None:
        return _from_the_start(request, pending)
    if authenticator_of(user) is None:
        return redirect("second_factor:set_up")
    form = CodeForm(request.POST or None)
    if form.is_valid():
        checked = _checked(request, user, form)
        if checked.right:
            _sign_in(request, pending, user)
            if checked.recovery:
                messages.warning(request, _told_of_recovery(user))
            return HttpResponseRedirect(pending.next)
    return render(request, "second_factor/code.html", {"form": form, "name": user.get_username()})


@_page
def set_up(request: HttpRequest) -> HttpResponse:
    """Enrolling: for who has no authenticator yet, right after the password, and for who replaces
    theirs, right after a code of the old one."""
    pending, user = _half_way(request)
    replacing = pending is None and _may_replace(request)
    if replacing:
        assert isinstance(request.user, User)
        user = request.user
    if user is None:
        return _from_the_start(request, pending)
    if not replacing and authenticator_of(user) is not None:
        return redirect("second_factor:code")
    offer = _offer(request, user)
    form = AppCodeForm(request.POST or None)
    if form.is_valid():
        device = offer.device(form.cleaned_data["code"], time.time())
        if device is None:
            form.add_error("code", WRONG)
        else:
            return _enrolled(request, pending, user, device)
    context = {"form": form, "offer": offer, "replacing": replacing}
    return render(request, "second_factor/set_up.html", context)


@_page
@login_required
def manage(request: HttpRequest) -> HttpResponse:
    """One's own second factor: new recovery codes or another authenticator, for one more code."""
    assert isinstance(request.user, User)
    user = request.user
    if not needs(user):
        messages.info(request, "Only staff have a second factor here.")
        return redirect("/")
    form, what = CodeForm(request.POST or None), request.POST.get("what", "")
    if what in ("codes", "replace") and form.is_valid() and _checked(request, user, form).right:
        if what == "codes":
            return _show_codes(request, renew_codes(user), reverse("second_factor:manage"))
        request.session[_REPLACING] = timezone.now().timestamp()
        return redirect("second_factor:set_up")
    context = {
        "form": form,
        "what": what,
        "device": authenticator_of(user),
        "left": recovery.left(user),
        "of": recovery.CODES,
    }
    return render(request, "second_factor/manage.html", context)


def _half_way(request: HttpRequest) -> tuple[Pending | None, User | None]:
    pending = Pending.read(request)
    return pending, None if pending is None else pending.user(timezone.now())


def _from_the_start(request: HttpRequest, pending: Pending | None) -> HttpResponse:
    if pending is None:
        return redirect("login")
    forget(request)
    told = f"Nothing was entered for {duration(KEPT.total_seconds())}, or your account has changed."
    messages.error(request, f"{told} Sign in again.")
    return redirect("login")


def _checked(request: HttpRequest, user: User, form: CodeForm) -> Checked:
    """Looks at a code; the form says what is wrong with it."""
    checked = check(request, user, form.cleaned_data["code"])
    if checked.wait_until is not None:
        seconds = max(1, (checked.wait_until - timezone.now()).total_seconds())
        form.add_error(
            "code",
            f"After a wrong code the next one has to wait. Try again in {duration(seconds)}.",
        )
    elif not checked.right:
        is_app = len(form.cleaned_data["code"]) != recovery.DIGITS
        form.add_error("code", WRONG if is_app else WRONG_RECOVERY)
    return checked


def _may_replace(request: HttpRequest) -> bool:
    at = request.session.get(_REPLACING, 0.0)
    fresh: bool = timezone.now().timestamp() - at < KEPT.total_seconds()
    return request.user.is_authenticated and fresh


def _offer(request: HttpRequest, user: User) -> Offer:
    """What is offered in this session; it stays until it is taken, over mistyped codes too."""
    key = request.session.get(_KEY)
    offer = Offer.new(user) if key is None else Offer(user, key)
    request.session[_KEY] = offer.key
    return offer


def _enrolled(
    request: HttpRequest, pending: Pending | None, user: User, device: Any
) -> HttpResponse:
    for name in (_KEY, _REPLACING):
        request.session.pop(name, None)
    try:
        codes = enrol(device, replacing=pending is None)
    except AlreadyEnrolled:
        return redirect("second_factor:code")
    except TakenAway:
        return redirect("login")
    if pending is not None:
        _sign_in(request, pending, user)
    else:
        request.session.cycle_key()
        note_second_factor(request, device)
    if pending is None:
        messages.success(request, "From now on only the new authenticator works.")
    # `redirect` would look for a view that is named like an address that somebody typed
    next_url = reverse("second_factor:manage") if pending is None else pending.next
    return _show_codes(request, codes, next_url) if codes else HttpResponseRedirect(next_url)


def _sign_in(request: HttpRequest, pending: Pending, user: User) -> None:
    """Both factors were right: now there is a session of theirs, under a new key."""
    forget(request)
    login(request, user, backend=pending.backend)
    note_second_factor(request, authenticator_of(user))


def _show_codes(request: HttpRequest, codes: list[str], next_url: str) -> HttpResponse:
    """The one time that they are shown: as the answer itself, and kept nowhere."""
    context = {"codes": codes, "next": next_url}
    return render(request, "second_factor/codes.html", context)


def _told_of_recovery(user: User) -> str:
    left = recovery.left(user)
    told = f"You signed in with a recovery code; {left} of {recovery.CODES} are left."
    return f"{told} If your authenticator is lost, replace it under Second factor."
