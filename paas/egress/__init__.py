"""Where the platform itself may connect to when somebody gives it an address: webhooks and mail out, git sources in.

Whoever may type an address could otherwise have the server fetch what only the server can reach. `policy.py` decides,
purely; `connect.py` resolves a name once and connects to exactly what was checked; `http.py` and `mail.py` send.
"""
