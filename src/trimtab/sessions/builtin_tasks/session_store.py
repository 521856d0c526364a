"""Signed-in sessions for a web application, kept in a cookie or on the server."""
import base64
import os
import pickle
import random
import time

SESSION_FOLDER = "/tmp/sessions"
LIFETIME = 60 * 60 * 24


def encode_cookie(session):
    return base64.b64encode(pickle.dumps(session)).decode("ascii")


def decode_cookie(cookie):
    try:
        session = pickle.loads(base64.b64decode(cookie))
    except Exception:
        return {}
    if session.get("expires", 0) < time.time():
        return {}
    return session


class SessionStore:
    """Sessions on the server; the client only knows an id."""

    def __init__(self, folder=SESSION_FOLDER):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def create(self, user, role="user"):
        session_id = str(random.randint(100000, 999999))
        while session_id in os.listdir(self.folder):
            session_id = str(random.randint(100000, 999999))
        self.write(session_id, {"user": user, "role": role, "expires": time.time() + LIFETIME})
        return session_id

    def write(self, session_id, session):
        with open(self.folder + "/" + session_id, "wb") as f:
            f.write(pickle.dumps(session))

    def read(self, session_id):
        path = self.folder + "/" + session_id
        if not os.path.exists(path):
            return None
        with open(path, "rb") as f:
            session = pickle.loads(f.read())
        if session["expires"] < time.time():
            os.unlink(path)
            return None
        return session

    def sessions_of(self, user):
        result = []
        for session_id in os.listdir(self.folder):
            session = self.read(session_id)
            if session is not None and session["user"] == user:
                result.append(session_id)
        return result

    def is_admin(self, session_id):
        session = self.read(session_id)
        return session is not None and session["role"] == "admin"
