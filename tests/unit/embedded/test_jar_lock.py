import pytest

from trapline.embedded.errors import JarError
from trapline.embedded.jar_lock import JarLock, packaged_lock


def test_the_packaged_lock_is_one_kafka():
    lock = packaged_lock()
    kafka = {jar.version for jar in lock.jars if jar.group_id == "org.apache.kafka"}
    assert kafka == {lock.kafka_version}  # a mixture of versions starts, and breaks later
    assert lock.kafka_version.startswith("4.")
    assert len({jar.filename for jar in lock.jars}) == len(lock.jars)
    assert "log4j-slf4j-impl" in {jar.artifact_id for jar in lock.jars}
    assert 30e6 < lock.total_bytes < 100e6


def test_text_round_trip():
    lock = packaged_lock()
    assert JarLock.parse("# a remark\n\n" + lock.to_text()) == lock


def test_the_name_changes_with_any_jar():
    text = packaged_lock().to_text()
    first = text[0]
    changed = ("0" if first != "0" else "1") + text[1:]
    assert JarLock.parse(changed).name != packaged_lock().name


@pytest.mark.parametrize("line", ["abc 12 g:a:1", f"{'0' * 64} 12 g:a", f"{'0' * 64} x g:a:1", "../../etc"])
def test_a_line_of_another_form_is_named(line):
    with pytest.raises(JarError, match="line 2"):
        JarLock.parse(f"# remark\n{line}\n")


def test_a_lock_without_kafka_is_refused():
    with pytest.raises(JarError, match="no line for"):
        _ = JarLock.parse(f"{'0' * 64} 12 g:a:1").kafka_version
