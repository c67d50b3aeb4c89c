"""The table of least rights on a real authorizer: granted, taken away, and given back."""

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from runtime.acls import Acl, Match, Operation, Resource
from runtime.kafka import KafkaAdmin
from tests.support.waiting import timeout_s, wait_until

_RESOURCES = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
_MATCHES = {Match.LITERAL: ResourcePatternType.LITERAL, Match.PREFIXED: ResourcePatternType.PREFIXED}
_OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
}
_ANY = AclBindingFilter(
    ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ANY
)


def binding(acl: Acl, operation: Operation, principal: str) -> AclBinding:
    """What Kafka keeps: one operation on one resource for one principal."""
    return AclBinding(
        _RESOURCES[acl.resource],
        acl.name,
        _MATCHES[acl.match],
        principal,
        "*",
        _OPERATIONS[operation],
        AclPermissionType.ALLOW,
    )


def granted(admin: KafkaAdmin) -> set[AclBinding]:
    """All that the broker would let anybody do."""
    return set(admin.describe_acls(_ANY).result(timeout_s(30)))


def grant(admin: KafkaAdmin, bindings: set[AclBinding]) -> None:
    """Create them, and wait until the broker obeys them."""
    for future in admin.create_acls(list(bindings)).values():
        future.result(timeout_s(30))
    wait_until(lambda: bindings <= granted(admin), message="the ACLs to be there")


def revoke(admin: KafkaAdmin, bindings: set[AclBinding]) -> None:
    """Delete them, and wait until the broker obeys."""
    exact = [
        AclBindingFilter(
            each.restype,
            each.name,
            each.resource_pattern_type,
            each.principal,
            each.host,
            each.operation,
            each.permission_type,
        )
        for each in bindings
    ]
    for future in admin.delete_acls(exact).values():
        future.result(timeout_s(30))
    wait_until(lambda: not bindings & granted(admin), message="the ACLs to be gone")


@contextmanager
def without(admin: KafkaAdmin, bindings: set[AclBinding]) -> Iterator[None]:
    """For as long as the context lasts, these are taken away."""
    revoke(admin, bindings)
    try:
        yield
    finally:
        grant(admin, bindings)
