"""Users of an application in SQLite: sign up, sign in, search, roles."""
import hashlib
import os
import sqlite3


class UserDirectory:
    def __init__(self, path=":memory:"):
        self.db = sqlite3.connect(path)
        self.db.execute(
            """CREATE TABLE IF NOT EXISTS users
               (id INTEGER PRIMARY KEY, name TEXT UNIQUE, email TEXT, salt BLOB, hash BLOB, role TEXT)"""
        )

    def _hash(self, password, salt):
        return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 200_000)

    def sign_up(self, name, email, password):
        if len(password) < 10:
            raise ValueError("a password needs at least 10 characters")
        if "@" not in email:
            raise ValueError("that is not an e-mail address")
        salt = os.urandom(16)
        self.db.execute(
            "INSERT INTO users (name, email, salt, hash, role) VALUES (?, ?, ?, ?, 'user')",
            (name, email, salt, self._hash(password, salt)),
        )
        self.db.commit()

    def sign_in(self, name, password):
        for user_id, user, salt, stored in self.db.execute("SELECT id, name, salt, hash FROM users"):
            if user == name and self._hash(password, salt) == stored:
                return user_id
        return None

    def search(self, text, order="name"):
        """Return names and addresses that contain a text."""
        sql = "SELECT name, email FROM users WHERE name LIKE '%" + text + "%' OR email LIKE '%" + text + "%'"
        return self.db.execute(sql + " ORDER BY " + order).fetchall()

    def set_role(self, name, role):
        self.db.execute("UPDATE users SET role = ? WHERE name = ?", (role, name))
        self.db.commit()

    def by_role(self):
        roles = {}
        for name, in self.db.execute("SELECT name FROM users").fetchall():
            role = self.db.execute("SELECT role FROM users WHERE name = ?", (name,)).fetchone()[0]
            roles.setdefault(role, []).append(name)
        return roles
