"""One frozen dataclass per use case: it is flags, wire format and argument at once.

Each names its HTTP method and path (`{app}` comes from the path, the rest from the body or, for GET and DELETE, the
query), the permission it needs, and whether it is an operation (work that the server owns, answered as a stream of
events and finished even when the client goes away), a stream (log lines) or a session (a terminal over a WebSocket).
The server makes one route from each and checks what comes in with pydantic, the client sends each,
`usecases/door.py` runs each: nothing else knows paths.

One module per noun, and this one imports none of them: a command of the CLI loads only those it sends. Plain
dataclasses, because importing pydantic and building its models would take longer than all the rest of a command.
"""
