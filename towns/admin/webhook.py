"""Webhooks: made, halted and removed here; a secret is shown once, on the page that follows."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from towns.admin.base import OpsAdmin
from towns.changes import InvalidChange
from towns.display import NOTHING, exact, tag, when
from towns.history import Actor
from towns.models import WebhookEndpoint
from towns.posting import webhook_host
from towns.webhooks.endpoints import (
    Made,
    change_webhook,
    create_webhook,
    owner_called,
    remove_webhook,
    replace_secret,
    standing,
    waiting,
)
from towns.webhooks.trail import latest

if TYPE_CHECKING:
    Form = forms.ModelForm[WebhookEndpoint]
else:
    Form = forms.ModelForm


class WebhookForm(Form):
    """What a new webhook is."""

    owner = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The name of the owner whose towns it hears of. Empty: the whole fleet.",
    )
    kinds = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kinds of events, such as stop_succeeded, with blanks between. Empty: all.",
    )
    made: Made | None = None

    class Meta:
        model = WebhookEndpoint
        fields = ("name", "url")
        widgets = {"name": UnfoldAdminTextInputWidget, "url": UnfoldAdminTextInputWidget}
        labels = {"url": "Address"}
        help_texts = {"url": "Begins with https://. Of it only the host is shown afterwards."}

    field_order = ("name", "url", "kinds", "owner")

    def make(self, actor: Actor) -> None:
        """Make it; what it can't be is told beside its field."""
        wanted = self.cleaned_data
        try:
            self.made = create_webhook(
                wanted["name"],
                wanted["url"],
                kinds=wanted["kinds"].replace(",", " ").split(),
                owner=owner_called(wanted["owner"]) if wanted["owner"] else None,
                actor=actor,
                now=timezone.now(),
            )
        except InvalidChange as error:
            self.add_error(error.field, error.message)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(OpsAdmin[WebhookEndpoint]):
    """Nothing is changed in place: what is wrong is removed and made anew, or halted."""

    list_display = ("name", "host", "hears_of", "of", "state", "waiting", "last_sent")
    list_filter = ("enabled",)
    search_fields = ("name", "owner__username")
    list_select_related = ("owner",)
    fields = (
        "name",
        "host",
        "hears_of",
        "of",
        "state",
        "disabled_why",
        exact("disabled_at"),
        "waiting",
        "failures",
        exact("paused_until", "left alone until"),
        exact("last_sent_at", "last arrived"),
        "secret",
        exact("created_at", "made at"),
        "created_by",
        "trail",
    )
    actions = ["enable", "enable_from_now", "disable", "remove"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        """Those that are not removed, with how many deliveries wait."""
        return standing().annotate(waits=waiting()).order_by("name", "id")

    def get_fields(self, request: HttpRequest, obj: WebhookEndpoint | None = None) -> list[Any]:
        """Without the way to another secret for those who may not go it."""
        names = list(super().get_fields(request, obj))
        if not self.has_halt_permission(request):
            names.remove("secret")
        return names

    def get_urls(self) -> list[URLPattern]:
        """The address at which a secret is replaced."""
        view = self.admin_site.admin_view(self.secret_view)
        name = "towns_webhookendpoint_secret"
        return [path("<uuid:webhook_id>/secret/", view, name=name), *super().get_urls()]

    def has_change_permission(
        self, request: HttpRequest, obj: WebhookEndpoint | None = None
    ) -> bool:
        """Nothing is to be changed in place."""
        return False

    def has_halt_permission(self, request: HttpRequest) -> bool:
        """Who may halt one, or give it another secret."""
        return request.user.has_perm("towns.change_webhookendpoint")

    def has_remove_permission(self, request: HttpRequest) -> bool:
        """Who may remove one."""
        return request.user.has_perm("towns.delete_webhookendpoint")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form of a new one, and then its secret: in this answer and never again."""
        if not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        form = WebhookForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            form.make(_actor(request))
        return self._page(request, "New webhook", form=form, made=form.made)

    def secret_view(self, request: HttpRequest, webhook_id: UUID) -> HttpResponse:
        """Ask once more, then give it another secret and show that."""
        if not self.has_halt_permission(request):
            raise PermissionDenied("It lacks the permission to change webhooks.")
        webhook = self.get_queryset(request).filter(pk=webhook_id).first()
        if webhook is None:
            raise Http404
        made = None
        if request.method == "POST":
            made = replace_secret(webhook.pk, actor=_actor(request), now=timezone.now())
        return self._page(request, f"Secret of {webhook}", webhook=webhook, made=made)

    def _page(self, request: HttpRequest, title: str, **more: Any) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            **more,
        }
        return TemplateResponse(request, "admin/towns/webhookendpoint/new.html", context)

    @admin.action(description="Enable: go on from where it stopped", permissions=["halt"])
    def enable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """Have them hear again, also of what they missed."""
        self._switch(request, queryset, {"enabled": True})

    @admin.action(description="Enable, and skip what was missed", permissions=["halt"])
    def enable_from_now(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """Have them hear again of what happens from now on."""
        self._switch(request, queryset, {"enabled": True, "skip_missed": True})

    @admin.action(description="Disable the selected webhooks", permissions=["halt"])
    def disable(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """Have them hear of nothing until they are enabled."""
        self._switch(request, queryset, {"enabled": False})

    def _switch(
        self,
        request: HttpRequest,
        queryset: QuerySet[WebhookEndpoint],
        changes: dict[str, Any],
    ) -> None:
        done = [
            change_webhook(one.pk, changes, actor=_actor(request), now=timezone.now()).name
            for one in queryset
            if one.enabled != changes["enabled"]
        ]
        word = "Enabled" if changes["enabled"] else "Disabled"
        told = f"{word}: {', '.join(done)}." if done else "They were so already: nothing was done."
        messages.success(request, told)

    @admin.action(description="Remove the selected webhooks", permissions=["remove"])
    def remove(self, request: HttpRequest, queryset: QuerySet[WebhookEndpoint]) -> None:
        """Have them hear of nothing more."""
        actor, now = _actor(request), timezone.now()
        names = [one.name for one in queryset if remove_webhook(one.pk, actor=actor, now=now)]
        messages.success(request, f"Removed: {', '.join(names)}.")

    @admin.display(description="host")
    def host(self, webhook: WebhookEndpoint) -> str:
        """Of its address only the host: others put keys into theirs."""
        return webhook_host(webhook.url)

    @admin.display(description="hears of")
    def hears_of(self, webhook: WebhookEndpoint) -> str:
        """Which kinds of events."""
        return ", ".join(webhook.kinds) or "all events"

    @admin.display(description="towns", ordering="owner__username")
    def of(self, webhook: WebhookEndpoint) -> str:
        """Whose."""
        return "the whole fleet" if webhook.owner is None else f"those of {webhook.owner}"

    @admin.display(description="state", ordering="enabled")
    def state(self, webhook: WebhookEndpoint) -> SafeString:
        """How it does."""
        if not webhook.enabled:
            return tag("given_up", "disabled")
        return tag("warning", "fails") if webhook.failures else tag("running", "works")

    @admin.display(description="waiting")
    def waiting(self, webhook: Any) -> SafeString | str:
        """How many deliveries, as a link to them."""
        link = reverse("admin:towns_webhookdelivery_changelist")
        return format_html(
            '<a href="{}?endpoint__id__exact={}">{}</a>', link, webhook.pk, webhook.waits
        )

    @admin.display(description="last arrived", ordering="last_sent_at")
    def last_sent(self, webhook: WebhookEndpoint) -> SafeString | str:
        """When something arrived there."""
        return when(webhook.last_sent_at, timezone.now())

    @admin.display(description="what was done")
    def trail(self, webhook: WebhookEndpoint) -> SafeString:
        """By whom and when, the newest first."""
        now = timezone.now()
        rows = ((when(one.action_time, now), one.change_message) for one in latest(webhook))
        lines = format_html_join("", "<li>{}: {}</li>", rows)
        return format_html('<ul class="ops-plain">{}</ul>', lines or NOTHING)

    @admin.display(description="secret")
    def secret(self, webhook: WebhookEndpoint) -> SafeString:
        """Never shown; it can be replaced."""
        link = reverse("admin:towns_webhookendpoint_secret", args=[webhook.pk])
        return format_html(
            'since {} <a class="ops-button" href="{}">Replace it</a>',
            when(webhook.secret_at, timezone.now()),
            link,
        )


def _actor(request: HttpRequest) -> Actor:
    assert request.user.is_authenticated
    return Actor.person(request.user)
