"""An application in a container of its own: it follows the orders that the service takes, in the memory they share."""

import os

import shmstore

with shmstore.attach_streams(os.environ["SHMSTORE_NAME"]) as streams:
    orders = streams["gateway/orders"]
    print(f"following {orders.name} of {streams.name}", flush=True)
    for event in orders.follow():
        streams["gateway/seen"].append({"order": event.version}, event_id=f"seen-{event.version}")
        print(event.version, event.data, flush=True)
