"""The measured app: a small Flask app that can be slow on request."""

import os
import time

from flask import Flask, request

app = Flask(__name__)
VERSION = "v0"


@app.get("/")
def home() -> str:
    return f"{VERSION} {os.environ.get('PAAS_PROCESS', '')}"


@app.get("/slow")
def slow() -> str:
    time.sleep(float(request.args.get("s", "3")))
    return VERSION
