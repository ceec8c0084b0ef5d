"""One process of a gateway: `python -m samples.gateway.gateway STORE GATEWAY PORT [twice|lost]`, until a signal comes.

It says its port when it listens. Any other server of WSGI does as well, as gunicorn with
`samples.gateway.gateway:application("orders-gateways", "gw-1")`.
"""

import signal
import sys

import shmstore
from samples.gateway.application import STREAM, Gateway
from samples.gateway.faulty import MISTAKES
from shmstore import Stream
from shmstore.http.server import Server

_GRACE_S = 5.0  # for requests on their way


def application(store: str, gateway_id: str) -> Gateway:
    """The gateway for another server, in each of whose processes it attaches to the store."""
    return Gateway(shmstore.attach_streams(store)[STREAM], gateway_id)


def main(store: str, gateway_id: str, port: str, mistake: str | None = None) -> None:
    """Take orders until SIGTERM or SIGINT."""
    with shmstore.attach_streams(store) as streams:
        orders: Stream = streams[STREAM]
        server = Server(Gateway(MISTAKES[mistake](orders) if mistake else orders, gateway_id), port=int(port))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop(_GRACE_S))
        print(server.port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
