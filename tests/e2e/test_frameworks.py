"""The examples of frameworks in the guide of metrics, under the servers that people run them with.

Any worker tells what all have counted, by routes, not by paths; also when one was killed and another took its place.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_readme import files
from tests.helpers.processes import eventually as eventually_within
from tests.helpers.served import ROOT, Server

ROUTES = {  # of each framework, beside what its example has
    "flask": """
import os
from flask_app import app

@app.get("/orders/<int:number>")
def order(number):
    return str(os.getpid())

@app.get("/")
def home():
    return "home"

@app.get("/stream")
def stream():
    return (str(number) for number in range(3))

@app.get("/fails")
def fails():
    raise KeyError("fails")
""",
    "django": """
import os
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from shmstore import metrics

DEBUG, ALLOWED_HOSTS, ROOT_URLCONF, SECRET_KEY = False, ["*"], "application", "of a test"

def fails(request):
    raise KeyError("fails")

urlpatterns = [
    path("orders/<int:number>", lambda request, number: HttpResponse(str(os.getpid()))),
    path("", lambda request: HttpResponse("home")),
    path("stream", lambda request: StreamingHttpResponse(str(number) for number in range(3))),
    path("fails", fails),
    path("metrics", lambda r: HttpResponse(metrics.generate_latest(), content_type=metrics.CONTENT_TYPE_LATEST)),
]
""",
    "fastapi": """
import os
from fastapi_app import app
from fastapi.responses import PlainTextResponse, StreamingResponse

@app.get("/orders/{number}", response_class=PlainTextResponse)
def order(number: int):
    return str(os.getpid())

@app.get("/", response_class=PlainTextResponse)
def home():
    return "home"

@app.get("/stream")
def stream():
    return StreamingResponse(str(number) for number in range(3))

@app.get("/fails")
def fails():
    raise KeyError("fails")
""",
}
ROUTE = {"flask": "/orders/<int:number>", "django": "orders/<int:number>", "fastapi": "/orders/{number}"}

CELERY = """
import os
from celery_app import app, paid, pay

app.conf.update(
    broker_url="filesystem://",
    broker_transport_options={"data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control"},
)

@app.task
def pay_and_tell(number):
    paid.inc()
    with open(f"paid-{number}", "w") as file:
        file.write(str(os.getpid()))
"""

POOL = """
import multiprocessing, os, sys
from shmstore import metrics

paid = metrics.Counter("orders_paid", "Orders paid")
metrics.configure(sys.argv[1])

def pay(number):
    paid.inc()
    return os.getpid()

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        used = set(pool.map(pay, range(50), chunksize=1))
    assert os.getpid() not in used
    print(metrics.REGISTRY.get_sample_value("orders_paid_total"))
"""

GUNICORN = ("gunicorn", "--config", "gunicorn.conf.py", "--workers", "2", "--no-control-socket", "--bind")
UVICORN = ("uvicorn", "--workers", "2", "--log-level", "warning", "--uds")
SERVERS = {  # framework, module of the server, and the application
    "flask under gunicorn": ("flask", GUNICORN, "flask_app:app"),
    "django under gunicorn": ("django", GUNICORN, "wsgi:application"),
    "fastapi under uvicorn": ("fastapi", UVICORN, "fastapi_app:app"),
    "fastapi under gunicorn": (
        "fastapi",
        (*GUNICORN[:-1], "-k", "uvicorn_worker.UvicornWorker", "--bind"),
        "fastapi_app:app",
    ),
}


LIMIT_S = 90.0  # these servers are slow to start


def eventually(condition: Callable[[], object]) -> bool:
    return eventually_within(condition, LIMIT_S)


def write_files(folder: Path, name: str, **others: str) -> None:
    """The examples of the guides, whose metrics are shared under the name of this test, and what it has beside them."""
    for file, text in files().items():
        (folder / file).write_text(text.replace('"shop"', f'"{name}"'))
    for module, text in others.items():
        (folder / f"{module}.py").write_text(text)


def served(folder: Path, name: str, framework: str, server: tuple[str, ...], application: str) -> Server:
    write_files(folder, name, application=ROUTES[framework])
    socket = str(folder / "socket")
    return Server(
        folder,
        *server,
        f"unix:{socket}" if server[0] == "gunicorn" else socket,
        application if framework == "django" else f"application:{application.partition(':')[2]}",
        DJANGO_SETTINGS_MODULE="application",
    )


def ask(server: Server, numbers: range) -> set[int]:
    """Ask for as many paths of one route. Returns the workers that have answered."""
    return {int(server.get(f"/orders/{number}")) for number in numbers}


def ask_others(server: Server, workers: set[int]) -> int:
    """Ask until a worker answers that is none of these. Returns how many answers there were."""
    answers, limit = 0, time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        try:
            pid = int(server.get("/orders/1"))
        except OSError:
            continue  # nobody was there to answer
        answers += 1
        if pid not in workers:
            return answers
    raise AssertionError(server.said())


@pytest.mark.parametrize("case", SERVERS)
def test_any_worker_tells_what_all_have_counted(tmp_path: Path, name: str, case: str) -> None:
    framework = SERVERS[case][0]
    total = f"http_requests_total{{GET,{ROUTE[framework]},200}}"
    with served(tmp_path, name, *SERVERS[case]) as server:
        used: set[int] = set()
        asked = 0
        while len(used) < 2:
            used |= ask(server, range(asked, asked + 20))
            asked += 20
        assert server.request("/fails")[0] == 500
        assert server.get("/stream") == b"012"
        assert server.get("/") == b"home"
        assert {server.request(f"/nowhere/{number}")[0] for number in range(20)} == {404}
        server.until(lambda: server.value(total) == asked)
        server.until(lambda: server.value("http_requests_total{GET,unknown,404}") == 20)
        samples = server.scrape()
        routes = {key.split(",")[1] for key in samples if key.startswith("http_requests_total{")}
        expected = {route.lstrip("/") if framework == "django" else route for route in ("/", "/stream", "/fails")}
        assert routes - {"/metrics", "metrics"} == {ROUTE[framework], "unknown", *expected}
        [failed] = [key for key in samples if key.startswith("http_requests_total{") and key.endswith("fails,500}")]
        assert samples[failed] == 1
        # A scrape that the application answers is a request as others are.
        assert samples["http_requests_in_flight{}"] == (framework != "flask")

        os.kill(min(used), signal.SIGKILL)
        asked += ask_others(server, used)
        server.until(lambda: server.value(total) == asked)
        assert server.scrape()["http_requests_in_flight{}"] == (framework != "flask")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tasks_of_celery_are_counted_by_all_its_workers(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, name, tasks=CELERY)
    for folder in ("queue", "control"):
        (tmp_path / folder).mkdir()
    options = ("--pool", "prefork", "--concurrency", "2", "--without-gossip", "--without-mingle", "--loglevel", "error")

    def send(task: str, times: int) -> None:
        run(tmp_path, "-c", f"from tasks import *\nfor number in range({times}): {task}.delay(number)")

    def shown() -> float:
        text = run(tmp_path, "-m", "shmstore.cli.inspect", "metrics", name, "--prometheus")
        return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith("orders_paid_total "))

    def told() -> list[int]:
        """The worker of each task that has told of itself, after it was counted."""
        return [int(text) for file in tmp_path.glob("paid-*") if (text := file.read_text())]

    command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        open(tmp_path / "log", "w") as log,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log) as master,
    ):
        try:
            send("pay", 20)
            send("pay_and_tell", 20)
            assert eventually(lambda: len(told()) == 20 and shown() == 40), (tmp_path / "log").read_text()
            assert master.pid not in told()
        finally:
            master.terminate()
            try:
                master.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                master.kill()


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_workers_of_a_pool_count_together(tmp_path: Path, name: str, way: str) -> None:
    (tmp_path / "pool.py").write_text(POOL)
    assert run(tmp_path, "pool.py", name, way) == "50.0\n"
