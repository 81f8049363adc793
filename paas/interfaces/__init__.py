"""The hands of the platform as Protocols. One contract suite (`tests/contract/`) runs against every implementation."""

from paas.interfaces.parts import (
    Addresses,
    Builder,
    Clock,
    Engine,
    EngineInfo,
    LogQuery,
    Resize,
    Router,
    Stack,
    Stop,
    Terminal,
)
from paas.interfaces.signals import NoSignals, Signals
from paas.interfaces.store import Store

__all__ = [
    "Addresses",
    "Builder",
    "Clock",
    "Engine",
    "EngineInfo",
    "LogQuery",
    "NoSignals",
    "Resize",
    "Router",
    "Signals",
    "Stack",
    "Stop",
    "Store",
    "Terminal",
]
