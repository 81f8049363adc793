"""The engines: what runs service versions. One module each, all of them pass `tests/contract/test_engine.py`."""
