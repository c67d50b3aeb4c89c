"""What is refused, with a clear word: by the schema, or by the templates."""

import re
import shlex

import pytest

from tests.support.chart import CHART, MINIMAL, ROOT, variant_file
from tests.support.rendered import RELEASE, template

SASL = "kafka.securityProtocol=sasl_ssl"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (["topics.retentionHours=null"], "topics.retentionHours is not set"),
        (["topics.retentionBytes=null"], "topics.retentionBytes is not set"),
        (["kafka.bootstrapServers="], "kafka.bootstrapServers is not set"),
        (["sources=null"], "sources is empty"),
        (["sources[1].name=sb0", "sources[1].url=tcp://h:1"], "two have the same name"),
        (["connector.shares=3"], "connector.shares is 3, and there are 2 sources"),
        ([SASL], "kafka.sasl.existingSecret is not set"),
        (
            [SASL, "connector.secrets.sasl=a"],
            "kafka.sasl.existingSecret is not set (nor grouper.secrets.sasl)",
        ),
        (
            [SASL, "kafka.sasl.existingSecret=a", "kafka.sasl.mechanism=OAUTHBEARER"],
            "kafka.sasl.tokenUrl and kafka.sasl.clientId are needed",
        ),
        (["kafka.tls.clientCertificate=true"], "has no effect with kafka.securityProtocol plaintext"),
        (
            ["kafka.securityProtocol=ssl", "kafka.tls.clientCertificate=true"],
            "kafka.tls.existingSecret is not set",
        ),
        (["connector.replicas=3"], "replicas"),
        (["grouper.sessionTimeoutSeconds=6"], "sessionTimeoutSeconds"),
        (["connector.settings.queue_max_byte=1"], "queue_max_byte"),
    ],
)
def test_what_is_wrong_is_named(given, text):
    options = [f"--set={each}" for each in given]
    done = template(f"--values={variant_file(MINIMAL)}", *options)
    assert done.returncode != 0
    assert text in done.stderr.replace("'", "")


def test_without_topics_no_retention_is_asked_for():
    done = template(
        f"--values={variant_file(MINIMAL)}", "--set=topics.create=false", "--set=topics.retentionHours=null"
    )
    assert done.returncode == 0, done.stderr


LINES = [
    line
    for page in (ROOT / "docs" / "operations.md", CHART / "README.md")
    for line in re.findall(r"^\s*\$ (helm (?:install|upgrade) .+)$", page.read_text(), re.MULTILINE)
]


@pytest.mark.parametrize("line", LINES)
def test_what_a_line_of_the_pages_sets_is_taken(line):
    words = shlex.split(line)
    assert words[2:4] == [RELEASE, str(CHART.relative_to(ROOT))]
    sets = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    done = template(f"--values={variant_file(MINIMAL)}", *(f"--set={each}" for each in sets))
    assert done.returncode == 0, done.stderr


def test_there_are_lines_that_set_something():
    assert any(" --set " in line for line in LINES)
