"""Clients of the service, for programs on other machines.

    with EventStoreClient("http://events:8080") as client:
        version = client.append("gateway/orders", {"valor": 12.5}, type="order.created")
        for event in client.follow("gateway/orders", version):
            print(event.version, event.data)

`AsyncEventStoreClient` is the same for asyncio.
"""

from shmstore.http.async_client import AsyncEventStoreClient
from shmstore.http.blocking_client import EventStoreClient
from shmstore.http.remote import RemoteEvent
from shmstore.http.remote_following import RemoteFollower

__all__ = ["AsyncEventStoreClient", "EventStoreClient", "RemoteEvent", "RemoteFollower"]
