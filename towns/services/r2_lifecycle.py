"""The bucket's lifecycle rules, of which one is ours (r2.md)."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from .r2_errors import talking
from .r2_store import Store
from .r2_types import LifecycleRule

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import LifecycleRuleOutputTypeDef

RULE_ID = "gastown-retained"
RETAINED = "retained/"


def lifecycle_rules(store: Store) -> list[LifecycleRule]:
    """All rules of the bucket."""
    return [_rule(document) for document in _read(store)]


def ensure_rule(store: Store, days: int) -> bool:
    """Have the retained prefix expire after `days`; returns whether that changed anything.

    A write replaces the whole configuration: foreign rules are written back as they were read.
    """
    if days < 1:
        raise ValueError("retained backups are kept for at least a day")
    documents = _read(store)
    wanted = LifecycleRule(id=RULE_ID, prefix=RETAINED, days=days, enabled=True)
    if [rule for rule in map(_rule, documents) if rule.id == RULE_ID] == [wanted]:
        return False
    foreign = [document for document in documents if document.get("ID") != RULE_ID]
    ours: LifecycleRuleOutputTypeDef = {
        "ID": RULE_ID,
        "Status": "Enabled",
        "Filter": {"Prefix": RETAINED},
        "Expiration": {"Days": days},
    }
    with talking("write the lifecycle rules", store.bucket):
        store.client().put_bucket_lifecycle_configuration(
            Bucket=store.bucket, LifecycleConfiguration={"Rules": [*foreign, ours]}
        )
    return True


def _read(store: Store) -> "list[LifecycleRuleOutputTypeDef]":
    with talking("read the lifecycle rules", store.bucket):
        try:
            answer = store.client().get_bucket_lifecycle_configuration(Bucket=store.bucket)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NoSuchLifecycleConfiguration":
                return []
            raise
    return answer.get("Rules", [])


def _rule(document: "LifecycleRuleOutputTypeDef") -> LifecycleRule:
    prefix = document.get("Filter", {}).get("Prefix", document.get("Prefix", ""))
    return LifecycleRule(
        id=document.get("ID", ""),
        prefix=prefix,
        days=document.get("Expiration", {}).get("Days"),
        enabled=document.get("Status") == "Enabled",
    )
