"""Checks what this user may do, against the table of least rights."""

from collections.abc import Collection, Mapping
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]  # public, but not in its __all__

from runtime.acls import STANDING, Operation, Resource, Role, acls
from runtime.kafka import answered, kafka_error
from runtime.kafka_rights import DENIED
from trapline.doctor.outcome import Outcome, failure, warning
from trapline.doctor.subject import ASK_S, Subject

_OPERATIONS: Final = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
}
_GRANT: Final = "grant it: `trapline topics acls` prints the commands"
Rights = Mapping[tuple[Resource, str], frozenset[AclOperation]]


def rights(subject: Subject, roles: Collection[Role]) -> Outcome:
    """The login works, and suffices for these roles; without any given, for one at least.

    Rights on transactional ids cannot be asked for; the probe tries them.
    """
    held = _held(subject)
    lacks = {role: _lacks(subject, role, held) for role in dict.fromkeys((*STANDING, *roles))}
    able = [role.value for role, lacking in lacks.items() if not lacking]
    who = subject.settings.security_protocol
    summary = f"login by {who}; suffices for: {', '.join(able) or 'none of the roles'}"
    topics = subject.settings.topics
    absent = [name for name in topics.all() if (Resource.TOPIC, name) not in held]
    if absent:
        summary += f"; can't be told of topics that don't exist: {', '.join(absent)}"
    if roles:
        problems = tuple(
            failure(f"as {role} this user lacks {lacking}", _GRANT)
            for role in roles
            for lacking in lacks[role]
        )
    elif able:
        problems = ()
    else:
        problems = tuple(
            warning(f"as {role} this user lacks {' and '.join(lacking)}", _GRANT)
            for role, lacking in lacks.items()
        )
    return Outcome(summary, problems)


def _held(subject: Subject) -> Rights:
    """What this user may do with each topic and consumer group that Kafka answers about."""
    settings = subject.settings
    held: dict[tuple[Resource, str], frozenset[AclOperation]] = {}
    for name, topic in subject.describe(list(settings.topics.all())).items():
        operations = () if topic is None else topic.authorized_operations
        held[Resource.TOPIC, name] = frozenset(operations or ())
    groups = sorted(
        {
            acl.name
            for role in Role
            for acl in acls(role, settings.topic_prefix, grouper_group=settings.grouper_group_id)
            if acl.resource is Resource.GROUP
        }
    )
    answers = subject.admin.describe_consumer_groups(
        groups, include_authorized_operations=True, request_timeout=ASK_S
    )
    for name, answer in answers.items():
        try:
            found = answered(answer, ASK_S)
        except KafkaException as error:
            if kafka_error(error).code() not in DENIED:
                raise
            held[Resource.GROUP, name] = frozenset()
        else:
            held[Resource.GROUP, name] = frozenset(found.authorized_operations or ())
    return held


def _lacks(subject: Subject, role: Role, held: Rights) -> list[str]:
    """The rights of a role that are known to be missing."""
    settings = subject.settings
    lacking = []
    for acl in acls(role, settings.topic_prefix, grouper_group=settings.grouper_group_id):
        # A topic that is not there says nothing about rights, and a transactional id never does.
        may = held.get((acl.resource, acl.name))
        wanted = () if may is None else [each for each in acl.operations if _OPERATIONS[each] not in may]
        if wanted:
            names = " and ".join(each.value.upper() for each in wanted)
            lacking.append(f"{names} on {acl.resource.value} {acl.name}")
    return lacking
