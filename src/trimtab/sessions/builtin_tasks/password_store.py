import getpass
import hashlib
import json
import sys

FILE = "passwords.json"


def load():
    try:
        return json.load(open(FILE))
    except:
        return {}


def save(users):
    with open(FILE, "w") as f:
        json.dump(users, f)


def hash_password(password):
    return hashlib.md5(password.encode()).hexdigest()


def register(name, password):
    users = load()
    if name in users:
        return False
    if len(password) < 6:
        return False
    users[name] = hash_password(password)
    save(users)
    return True


def login(name, password):
    users = load()
    for user in users:
        if user == name:
            if users[user] == hash_password(password):
                return True
    return False


if __name__ == "__main__":
    action, name = sys.argv[1], sys.argv[2]
    password = getpass.getpass()
    if action == "register":
        print(register(name, password))
    elif action == "login":
        print(login(name, password))
