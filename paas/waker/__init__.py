"""Holds the connections of sleeping apps until they are awake. Knows no store and no engine: it is told how to wake."""

from paas.waker.waker import Waker

__all__ = ["Waker"]
