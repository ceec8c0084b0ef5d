"""wrk asks as fast as it is answered: there is an event for each answer, and no request fails."""

import json
import re
import subprocess
from pathlib import Path

import shmstore
from tests.e2e.test_serve import SMALL, serving
from tests.e2e.test_service import SERVICE, THREADS
from tests.helpers import programs
from tests.helpers.served import Gunicorn

LIMIT_S = 30.0
CONNECTIONS = 12
SCRIPT = """
wrk.method, wrk.path, wrk.body = "POST", "/streams/orders", '{"valor": 1.5}'
local threads = {}
function setup(thread)
   table.insert(threads, thread)
end
function init()
   accepted, others = 0, 0
end
function response(status)
   if status == 202 then accepted = accepted + 1 else others = others + 1 end
end
function done(summary, latency, requests)
   local all, bad, errors = 0, 0, summary.errors
   for _, thread in ipairs(threads) do
      all, bad = all + thread:get("accepted"), bad + thread:get("others")
   end
   io.write(string.format('\\n{"accepted":%d,"others":%d,"connect":%d,"read":%d,"write":%d,"timeout":%d}\\n', all, bad,
      errors.connect, errors.read, errors.write, errors.timeout))
end
"""


def require_an_event_for_each_answer(name: str, port: int, folder: Path) -> None:
    script = folder / "post.lua"
    script.write_text(SCRIPT)
    options = ["-t", "2", "-c", str(CONNECTIONS), "-d", "1s", "-s", str(script)]
    command = [programs.path("wrk"), *options, f"http://127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    accepted = told.pop("accepted")
    assert accepted > CONNECTIONS and not any(told.values()), done.stdout
    with shmstore.open_streams(name) as streams:
        events = streams["orders"].version + 1
        assert accepted <= events <= accepted + CONNECTIONS  # as many were on their way at the end
        assert streams["orders"].last() is not None


@programs.needs("wrk")
def test_gunicorn(name: str, tmp_path: Path) -> None:
    bind = ("--bind", "127.0.0.1:0")
    variables = {"SHMSTORE_NAME": name, "SHMSTORE_CAPACITY": "1000", "SHMSTORE_PARTITIONS": "1"}
    with Gunicorn(tmp_path, "", *THREADS, *bind, application=SERVICE, **variables) as server:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", server.said())
        assert found, server.said()
        require_an_event_for_each_answer(name, int(found[1]), tmp_path)


@programs.needs("wrk")
def test_shmstore_serve(name: str, tmp_path: Path) -> None:
    with serving("--name", name, *SMALL) as service:
        require_an_event_for_each_answer(name, service.port, tmp_path)
        assert service.end() == (0, "", "")
