"""Tokens of the API: made and revoked here; a secret is shown once, on the page that follows."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from towns.admin.base import OpsAdmin
from towns.changes import InvalidChange
from towns.display import exact, tag, when
from towns.history import Actor
from towns.models import ApiToken
from towns.scopes import TOLD, Scope, permissions_of
from towns.tokens import Made, create_token, revoke_token, works

if TYPE_CHECKING:
    Form = forms.ModelForm[ApiToken]
else:
    Form = forms.ModelForm


class TokenForm(Form):
    """What a new token is."""

    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{scope.value}: {told}") for scope, told in TOLD.items()],
        widget=forms.CheckboxSelectMultiple,
        help_text="As few as will do, and nothing that you may not do yourself.",
    )
    owner = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The name of the owner whom it acts for. Empty: it acts for itself, or with "
        "owners:act for whomever each call names.",
    )
    made: Made | None = None

    class Meta:
        model = ApiToken
        fields = ("name", "scopes", "expires_at")
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "expires_at": UnfoldAdminSplitDateTimeWidget,
        }
        field_classes = {"expires_at": forms.SplitDateTimeField}

    def __init__(self, maker: User, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self._maker = maker

    def clean_scopes(self) -> list[str]:
        """Nobody gives a machine what they may not do themselves."""
        scopes: list[str] = self.cleaned_data["scopes"]
        for scope in scopes:
            needed = sorted(f"towns.{name}" for name in permissions_of(Scope(scope)))
            if lacking := [name for name in needed if not self._maker.has_perm(name)]:
                told = f"{scope} allows more than you may do yourself: {', '.join(lacking)}."
                raise forms.ValidationError(f"{told} Ask an administrator for that token.")
        return scopes

    def make(self, actor: Actor) -> None:
        """Make it; what it can't be is told beside its field."""
        wanted = self.cleaned_data
        try:
            self.made = create_token(
                wanted["name"],
                wanted["scopes"],
                actor=actor,
                now=timezone.now(),
                expires_at=wanted.get("expires_at"),
                owner=wanted["owner"] or None,
            )
        except InvalidChange as error:
            self.add_error(error.field, error.message)


@admin.register(ApiToken)
class ApiTokenAdmin(OpsAdmin[ApiToken]):
    """Nothing of a token is changed but that it is revoked."""

    list_display = ("name", "begins", "scopes_told", "acts_for", "last_used", "expires", "state")
    fields = (
        "name",
        "begins",
        "scopes_told",
        "acts_for",
        exact("created_at"),
        "created_by",
        exact("last_used_at"),
        exact("expires_at"),
        exact("revoked_at"),
        "revoked_by",
    )
    actions = ["revoke"]
    search_fields = ("name",)
    list_select_related = ("user", "owner")

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """Nothing is to be changed."""
        return False

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form of a new one, and then its secret: in this answer and never again."""
        if not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        assert request.user.is_authenticated
        form = TokenForm(request.user, request.POST or None)
        if request.method == "POST" and form.is_valid():
            form.make(Actor.person(request.user))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "New API token",
            "form": form,
            "made": form.made,
        }
        return TemplateResponse(request, "admin/towns/apitoken/new.html", context)

    @admin.action(description="Revoke the selected tokens", permissions=["delete_token"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        """Have them work no more."""
        assert request.user.is_authenticated
        actor, now = Actor.person(request.user), timezone.now()
        done = [one.name for one in queryset if revoke_token(one.name, actor=actor, now=now)]
        told = f"Revoked: {', '.join(done)}." if done else "None of them worked: nothing was done."
        messages.success(request, told)

    def has_delete_token_permission(self, request: HttpRequest) -> bool:
        """Who may revoke: Django's permission to delete, as there is no other end of a token."""
        return request.user.has_perm("towns.delete_apitoken")

    @admin.display(description="begins")
    def begins(self, token: ApiToken) -> str:
        """Its first letters."""
        return f"{token.start}…"

    @admin.display(description="scopes")
    def scopes_told(self, token: ApiToken) -> str:
        """What it may do."""
        return ", ".join(token.scopes)

    @admin.display(description="acts for")
    def acts_for(self, token: ApiToken) -> str:
        """Whom it acts for."""
        if token.owner is not None:
            return token.owner.get_username()
        return "any owner" if Scope.OWNERS in token.scopes else "itself"

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, token: ApiToken) -> SafeString | str:
        """To a minute."""
        return when(token.last_used_at, timezone.now())

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, token: ApiToken) -> SafeString | str:
        """When, if ever."""
        return when(token.expires_at, timezone.now())

    @admin.display(description="state")
    def state(self, token: ApiToken) -> SafeString:
        """Whether it works."""
        if works(token, timezone.now()):
            return tag("ok", "works")
        return tag("stopped", "revoked" if token.revoked_at else "expired")
