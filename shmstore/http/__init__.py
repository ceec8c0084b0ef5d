"""The service: streams and records over HTTP, for programs in other languages and on other machines."""
