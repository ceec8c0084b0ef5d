"""The sample's command line: starts three gateways and nginx, keeps them alive, or checks that all is accounted for."""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import shmstore
from command_line import FAILURE, OK, Failed, come_true, guard, raise_noted, within
from samples.gateway.account import Account
from samples.gateway.application import STREAM
from samples.gateway.clients import Clients
from samples.gateway.faulty import MISTAKES
from samples.gateway.running import GATEWAYS, Gateways
from shmstore import StreamStore
from shmstore.arguments import units
from shmstore.cli.render import Column, Output
from tests.helpers.nginx import DidNotStart, Nginx, free_port

PROGRAM = "tools/samples/gateway"
VICTIM = "gw-2"

_CAPACITY = 200_000
_PATIENCE_S = 120.0
_LOOK_S = 0.2  # whether a gateway has died
_ORDERS = within(units.whole, 100, 100_000)
_PORT = within(units.whole, 0, 65535)
_COLUMNS = (
    Column("gateway", "gateway"),
    *(Column(key, key, units.count, right=True) for key in ("count", "sum", "read")),
)


def main() -> int:
    """Run it until a signal comes; or check it, and return 0 when the account balances."""
    args = _parser().parse_args()
    return guard(PROGRAM, lambda end: _sample(args, end))


def _sample(args: argparse.Namespace, end: ExitStack) -> int:
    out = Output()
    port = _free(args.port)
    streams = shmstore.create_streams(args.name, capacity=_CAPACITY, partitions=1)
    end.enter_context(streams)
    end.callback(lambda: streams.unlinked or shmstore.unlink(streams.name))
    gateways = Gateways(args.name, args.plant)
    end.callback(gateways.stop)
    gateways.start()
    _start_nginx(port, gateways, end)
    out.write(
        f"{gateway}  pid {gateways.pid(gateway)}  http://127.0.0.1:{gateways.ports[gateway]}" for gateway in GATEWAYS
    )
    if args.check:
        return _check(args.orders, port, streams, gateways, out, end)
    url = f"http://127.0.0.1:{port}"
    out.write([f"nginx {url}, until Ctrl-C:", "", *(f"  {line}" for line in _curls(url)), ""])
    while True:
        out.write(gateways.start_the_dead())
        time.sleep(_LOOK_S)
        raise_noted()


def _start_nginx(port: int, gateways: Gateways, end: ExitStack) -> None:
    folder = Path(end.enter_context(tempfile.TemporaryDirectory(prefix="shmstore-gateway-")))
    files = {
        "nginx.conf": Path(__file__).with_name("nginx.conf").read_text(encoding="utf-8"),
        "listen.conf": f"listen 127.0.0.1:{port};\n",
        "gateways.conf": "".join(f"server 127.0.0.1:{each} max_fails=0;\n" for each in gateways.ports.values()),
    }
    try:
        end.enter_context(Nginx(folder, port, files))
    except DidNotStart as error:
        raise Failed(str(error)) from None


def _free(port: int) -> int:
    """This port, or any. Raises Failed when somebody listens there."""
    try:
        return free_port(port)
    except OSError:
        raise Failed(f"nginx cannot listen at port {port}: somebody does; --port 0 is any that is free") from None


def _curls(url: str) -> list[str]:
    return [
        f"curl -d '{{\"valor\": 12.5}}' -H 'Idempotency-Key: o-1' {url}/orders",
        f"curl -X POST '{url}/orders/bulk?n=50'",
        f"curl {url}/stats/local",
        f"curl {url}/stats/global",
    ]


def _check(orders: int, port: int, streams: StreamStore, gateways: Gateways, out: Output, end: ExitStack) -> int:
    """Order through nginx, kill a gateway in the middle, and account for all."""
    clients = Clients(port, orders)
    end.callback(clients.stop)
    clients.start()
    began_s = time.monotonic()
    if not come_true(lambda: len(clients.answers) * 3 > orders, _PATIENCE_S) or clients.are_done():
        raise Failed(f"gateway {VICTIM} could not be killed in the middle; clients got {dict(clients.other)}")
    gateways.kill(VICTIM)

    def is_done() -> bool:
        out.write(gateways.start_the_dead())
        return clients.are_done()

    if not come_true(is_done, _PATIENCE_S):
        raise Failed(f"the orders did not come to their end; clients got {dict(clients.other)}")
    spent_s = time.monotonic() - began_s
    account = Account(streams, gateways, clients, orders)
    out.write(["", *out.table(_COLUMNS, account.rows()), ""])
    findings = list(account.findings())
    out.write(f"{'ok   ' if holds else 'WRONG'}  {text}" for holds, text in findings)
    balanced = all(holds for holds, _ in findings)
    out.write(["", f"{'balanced' if balanced else 'NOT balanced'}, in {spent_s:.1f} s"])
    return OK if balanced else FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Three gateways behind nginx take orders into one stream, until a signal comes; "
        "one that dies is started again. "
        "With --check, clients order, a gateway is killed in the middle, and all is accounted for. "
        "Exit status 0: the account balances; 1: it does not, or something could not be started.",
    )
    add = parser.add_argument
    add("--port", type=_PORT, default=8080, help="where nginx listens (default: 8080; 0: any that is free)")
    add("--name", default="orders-gateways", help=f"the name of the store of {STREAM} (default: orders-gateways)")
    add("--check", action="store_true", help="let clients order, kill a gateway, and compare")
    add("--orders", type=_ORDERS, default=1000, metavar="N", help="how many are ordered then (default: 1000)")
    mistake = "let the gateways forget the ids of orders, or answer before they append; the account must find it"
    add("--plant", choices=tuple(MISTAKES), help=mistake)
    return parser


if __name__ == "__main__":
    sys.exit(main())
