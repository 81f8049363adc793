"""A guestbook: Flask and PostgreSQL. Every answer says which replica of which release gave it."""

import os
import time

import psycopg
from flask import Flask, jsonify, redirect, render_template, request

app = Flask(__name__)


def connect():
    """A connection to the database that the platform bound; its URL is read anew, so it can change."""
    return psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, connect_timeout=5)


def entries(limit=100):
    with connect() as connection:
        rows = connection.execute("SELECT id, author, text, written_at FROM entries ORDER BY id DESC LIMIT %s", (limit,))
        return [
            {"id": id, "author": author, "text": text, "written_at": written_at.isoformat()}
            for id, author, text, written_at in rows
        ]


def me():
    return {
        "process": os.environ.get("PAAS_PROCESS", "?"),
        "release": os.environ.get("PAAS_RELEASE", "?"),
        "version": os.environ.get("SOURCE_VERSION", ""),
    }


@app.after_request
def sign(response):
    response.headers["X-Replica"] = os.environ.get("PAAS_PROCESS", "?")
    response.headers["X-Release"] = os.environ.get("PAAS_RELEASE", "?")
    return response


@app.get("/")
def home():
    return render_template("home.html", entries=entries(), me=me(), greeting=os.environ.get("GREETING", "Welcome"))


@app.get("/entries")
def read():
    return jsonify(entries=entries(), **me())


@app.post("/entries")
def write():
    """A form from the page, or JSON `{"text": …, "author": …}`."""
    said = request.get_json(silent=True) or request.form
    text, author = str(said.get("text", "")).strip()[:500], str(said.get("author", "")).strip()[:80]
    if not text:
        return jsonify(error="text is empty"), 400
    with connect() as connection:
        connection.execute("INSERT INTO entries (author, text) VALUES (%s, %s)", (author or "somebody", text))
    return (jsonify(text=text, **me()), 201) if request.is_json else redirect("/")


@app.get("/whoami")
def whoami():
    return jsonify(me())


@app.get("/healthz")
def healthz():
    with connect() as connection:
        connection.execute("SELECT 1")
    return "ok"


@app.get("/slow")
def slow():
    time.sleep(min(float(request.args.get("s", "1")), 60))
    return jsonify(me())
