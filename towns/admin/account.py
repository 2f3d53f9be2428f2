"""Accounts: staff and owners, and the groups. Who isn't a superuser can make none."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from towns.admin.base import ReadOnlyAdmin, TellingAdmin
from towns.second_factor.authenticator import reset
from towns.tokens import made_by

if TYPE_CHECKING:
    Users = UserAdmin[User]
    Groups = GroupAdmin
else:
    from unfold.admin import ModelAdmin

    class Users(UserAdmin, ModelAdmin):
        """Django's, themed."""

    class Groups(GroupAdmin, ModelAdmin):
        """Django's, themed."""


admin.site.unregister(User)
admin.site.unregister(Group)
admin.site.unregister(TOTPDevice)  # they show keys; `towns.second_factor` makes and resets them
admin.site.unregister(StaticDevice)
ONLY_SUPERUSERS = ("is_superuser", "user_permissions")


@admin.register(User)
class AccountAdmin(TellingAdmin[User], Users):
    """Accounts are closed rather than deleted: their history names them."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_staff", "second_factor", "is_active", "last_login")
    actions = ("reset_second_factor",)
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """What would let somebody do more than they may themselves."""
        fields = ("last_login", "date_joined")
        return fields if request.user.is_superuser else (*fields, *ONLY_SUPERUSERS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """An account that may do more than they themselves is for others to change."""
        if obj is not None and not request.user.is_superuser and _is_mightier(obj, request):
            return False
        return super().has_change_permission(request, obj)

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Nobody puts anybody into a group that may do more than they may themselves."""
        if db_field.name == "groups" and not request.user.is_superuser:
            kwargs["queryset"] = Group.objects.filter(pk__in=_groups_within(request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Close it instead."""
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Whoever leaves may have kept the secrets of tokens, which are no part of the account."""
        super().save_model(request, obj, form, change)
        goes_on = obj.is_active and obj.is_staff
        if goes_on or not {"is_active", "is_staff"} & set(form.changed_data):
            return
        if kept := [token.name for token in made_by(obj.get_username(), timezone.now())]:
            told = f"{obj} made tokens that still work: {', '.join(kept)}."
            messages.warning(request, f"{told} Revoke them under API tokens, or make them anew.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Without the accounts of tokens, which are revoked where they are listed."""
        enrolled = TOTPDevice.objects.filter(user=OuterRef("pk"), confirmed=True)
        accounts = super().get_queryset(request).filter(api_token=None)
        return accounts.annotate(has_second_factor=Exists(enrolled))

    @admin.display(description="second factor", boolean=True)
    def second_factor(self, account: User) -> bool:
        """Whether they have enrolled an authenticator."""
        return bool(account.has_second_factor)  # type: ignore[attr-defined]  # annotated above

    @admin.action(description="Reset the second factor", permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Take away what is lost: they enrol anew. One's own is replaced with a code of it."""
        assert isinstance(request.user, User)
        for account in queryset:
            if account.pk == request.user.pk:
                messages.warning(request, f"{account}: replace your own under Second factor.")
            elif not self.has_change_permission(request, account):
                messages.warning(request, f"{account} may do more than you. Ask a superuser.")
            elif reset(account, by=request.user):
                messages.success(request, f"{account} enrols anew at the next sign-in.")
            else:
                messages.info(request, f"{account} had no second factor.")


def _may_do_all(request: HttpRequest, permissions: Iterable[str]) -> bool:
    assert request.user.is_authenticated
    return set(permissions) <= request.user.get_all_permissions()


def _is_mightier(account: User, request: HttpRequest) -> bool:
    """What it may do when it is open counts for one that is closed: it can be opened again."""
    held = Permission.objects.filter(Q(user=account) | Q(group__user=account))
    names = held.values_list("content_type__app_label", "codename")
    return account.is_superuser or not _may_do_all(request, (f"{a}.{c}" for a, c in names))


def _groups_within(request: HttpRequest) -> list[int]:
    """The groups that hold nothing that the caller doesn't."""
    groups = Group.objects.prefetch_related("permissions__content_type")
    return [
        group.pk
        for group in groups
        if _may_do_all(
            request,
            (f"{one.content_type.app_label}.{one.codename}" for one in group.permissions.all()),
        )
    ]


@admin.register(Group)
class StaffGroupAdmin(TellingAdmin[Group], Groups):
    """Ours follow the access table; others are superusers' to make."""

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        """A group can hold any permission: for superusers."""
        return bool(request.user.is_superuser)

    has_add_permission = has_change_permission
    has_delete_permission = has_change_permission


@admin.register(AccessAttempt)
class LockOutAdmin(ReadOnlyAdmin[AccessAttempt]):
    """Names that were given wrong passwords or codes; who deletes a row lets them try again."""

    actions = ("unlock",)
    list_display = ("username", "ip_address", "failures_since_start", "attempt_time")
    search_fields = ("username", "ip_address")
    fields = (*list_display, "user_agent", "path_info")

    @admin.action(description="Let the selected names try again", permissions=["unlock"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[AccessAttempt]) -> None:
        """Forget their wrong passwords."""
        count, _ = queryset.delete()
        messages.success(request, f"{count} unlocked.")

    def has_unlock_permission(self, request: HttpRequest) -> bool:
        """Django's permission to delete them."""
        return request.user.has_perm("axes.delete_accessattempt")
