"""Jars from a repository on this machine, through jgo as it is: small ones, but real HTTP."""

import gc
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trapline.embedded import maven
from trapline.embedded.errors import JarError
from trapline.embedded.jar_lock import JarLock, LockedJar
from trapline.embedded.jars import installed_jars
from trapline.embedded.progress import Unwatched

# jgo leaves the answer open when a repository has no such file.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

CONTENTS = {f"part{number}": bytes([number]) * 100_000 for number in range(6)}


def locked(artifact_id, content):
    return LockedJar("org.example", artifact_id, "1.0", len(content), sha256(content).hexdigest())


LOCK = JarLock(
    (
        LockedJar("org.apache.kafka", "kafka_2.13", "9.9.9", 5, sha256(b"kafka").hexdigest()),
        *(locked(name, content) for name, content in CONTENTS.items()),
    )
)


class Repository:
    """A Maven repository that counts what is asked for, and fails as told."""

    def __init__(self, folder, monkeypatch):
        self.contents = {"kafka_2.13": b"kafka", **CONTENTS}
        self.asked = Counter()
        self.fail_times = Counter()
        self.truncated = set()
        repository = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                artifact_id, filename = self.path.split("/")[-3], self.path.split("/")[-1]
                content = repository.contents.get(artifact_id)
                if content is None or not filename.endswith(".jar"):
                    self.send_error(404)
                    return
                repository.asked[artifact_id] += 1
                if repository.fail_times[artifact_id] > 0:
                    repository.fail_times[artifact_id] -= 1
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                half = len(content) // 2
                self.wfile.write(content[:half] if artifact_id in repository.truncated else content)

            def log_message(self, *_args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.config = folder / "jgo.conf"
        url = f"http://127.0.0.1:{self.server.server_port}"
        self.config.write_text(f"[repositories]\ncentral = {url}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(self.config))
        monkeypatch.setenv("M2_REPO", str(folder / "m2"))
        monkeypatch.setattr(maven, "_BACK_OFF_S", 0.0)
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.delenv(name, raising=False)

    def close(self):
        self.server.shutdown()
        gc.collect()  # within the filter above
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def repository(tmp_path, monkeypatch):
    repository = Repository(tmp_path, monkeypatch)
    yield repository
    repository.close()


class Watching(Unwatched):
    def __init__(self):
        self.steps = []
        self.last = (0, 0)

    def step(self, text):
        self.steps.append(text)

    def downloaded(self, done_bytes, total_bytes):
        assert done_bytes >= self.last[0]
        self.last = (done_bytes, total_bytes)


def test_downloads_once_and_in_classpath_order(repository, tmp_path):
    watching = Watching()
    jars = installed_jars(LOCK, tmp_path / "cache", watching)

    assert [jar.name for jar in jars] == [jar.filename for jar in LOCK.jars]
    assert jars[1].read_bytes() == CONTENTS["part0"]
    assert watching.last == (LOCK.total_bytes, LOCK.total_bytes)
    assert "9.9.9" in watching.steps[0]
    assert sum(repository.asked.values()) == len(LOCK.jars)
    repository.contents.clear()
    assert installed_jars(LOCK, tmp_path / "cache", Watching()) == jars


def test_two_at_once_download_once(repository, tmp_path):
    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(installed_jars, LOCK, tmp_path / "cache", Watching()) for _ in range(4)]
        assert len({future.result() for future in futures}) == 1
    assert set(repository.asked.values()) == {1}


def test_an_interrupted_download_goes_on_where_it_stopped(repository, tmp_path):
    del repository.contents["part5"]
    with pytest.raises(JarError, match=r"cannot download .*part5"):
        installed_jars(LOCK, tmp_path / "cache", Watching())
    assert not (tmp_path / "cache" / LOCK.name).exists()
    repository.contents["part5"] = CONTENTS["part5"]
    repository.asked.clear()

    installed_jars(LOCK, tmp_path / "cache", Watching())

    assert 1 <= sum(repository.asked.values()) < len(LOCK.jars)
    assert repository.asked["part5"] == 1


def test_tries_again_after_a_failure(repository, tmp_path):
    repository.fail_times["part2"] = 2
    installed_jars(LOCK, tmp_path / "cache", Watching())
    assert repository.asked["part2"] == 3


def test_without_a_network_the_error_says_what_helps(repository, tmp_path):
    repository.config.write_text("[repositories]\ncentral = http://127.0.0.1:9\n")
    with pytest.raises(JarError, match=r"cannot download .*HTTPS_PROXY.*'central'"):
        installed_jars(LOCK, tmp_path / "cache", Watching())


@pytest.mark.parametrize("damage", ["other content", "truncated"])
def test_refuses_a_download_that_is_not_the_locked_jar(repository, tmp_path, damage):
    if damage == "truncated":
        repository.truncated.add("part1")
    else:
        repository.contents["part1"] = b"x" * len(CONTENTS["part1"])
    with pytest.raises(JarError, match="part1"):
        installed_jars(LOCK, tmp_path / "cache", Watching())
    assert not (tmp_path / "cache" / LOCK.name).exists()


def test_refuses_a_jar_that_changed_in_the_cache(repository, tmp_path):
    jars = installed_jars(LOCK, tmp_path / "cache", Watching())
    jars[3].write_bytes(jars[3].read_bytes()[:-1] + b"!")
    with pytest.raises(JarError, match=rf"{jars[3].name} is not org.example:part2:1.0.*remove the folder"):
        installed_jars(LOCK, tmp_path / "cache", Watching())
    assert sum(repository.asked.values()) == len(LOCK.jars)


def test_takes_from_the_local_maven_repository_what_is_right_there(repository, tmp_path):
    for name, content in (("part0", CONTENTS["part0"]), ("part1", b"another build of it")):
        folder = tmp_path / "m2" / "org" / "example" / name / "1.0"
        folder.mkdir(parents=True)
        (folder / f"{name}-1.0.jar").write_bytes(content)

    jars = installed_jars(LOCK, tmp_path / "cache", Watching())

    assert repository.asked["part0"] == 0
    assert repository.asked["part1"] == 1
    assert jars[2].read_bytes() == CONTENTS["part1"]


@pytest.mark.usefixtures("repository")
def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JarError, match="TRAPLINE_CACHE_DIR"):
        installed_jars(LOCK, tmp_path / "file" / "cache", Watching())
    with pytest.raises(JarError, match="colon"):
        installed_jars(LOCK, tmp_path / "a:b", Watching())
