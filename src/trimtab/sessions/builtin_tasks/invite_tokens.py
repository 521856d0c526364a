"""Issue and check invitation tokens that can be sent by e-mail."""
import base64
import hashlib
import random
import string
import time

SECRET = "changeme"
used = []


def random_id(length=12):
    result = ""
    for i in range(length):
        result += random.choice(string.ascii_letters + string.digits)
    return result


def sign(text):
    return hashlib.sha1((SECRET + text).encode()).hexdigest()


def create_token(email, days=7):
    """Return a token that lets the owner of an e-mail address in for some days."""
    expires = int(time.time()) + days * 86400
    payload = "%s|%s|%d" % (random_id(), email, expires)
    token = payload + "|" + sign(payload)
    return base64.urlsafe_b64encode(token.encode()).decode()


def check_token(token):
    """Return the e-mail address a token is for, or None if it is not valid."""
    try:
        text = base64.urlsafe_b64decode(token).decode()
        token_id, email, expires, signature = text.split("|")
    except Exception:
        return None
    if signature == sign("%s|%s|%s" % (token_id, email, expires)):
        if int(expires) > time.time():
            if token_id not in used:
                used.append(token_id)
                return email
    return None


def create_many(emails):
    tokens = []
    for email in emails:
        tokens.append((email, create_token(email)))
    return tokens
