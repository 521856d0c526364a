"""Layered configuration: defaults, then a file, then environment variables starting with APP_."""
import json
import os

import yaml

DEFAULTS = {
    "host": "localhost",
    "port": 8080,
    "debug": True,
    "database": {"url": "postgres://app:changeme@localhost/app", "pool": 5},
    "features": [],
}


def merge(base, extra):
    result = {}
    for key in base:
        result[key] = base[key]
    for key in extra:
        if key in result:
            if type(result[key]) == dict:
                if type(extra[key]) == dict:
                    result[key] = merge(result[key], extra[key])
                else:
                    result[key] = extra[key]
            else:
                result[key] = extra[key]
        else:
            result[key] = extra[key]
    return result


def read_file(path):
    if path.endswith(".json"):
        return json.load(open(path))
    if path.endswith(".yaml") or path.endswith(".yml"):
        return yaml.load(open(path), Loader=yaml.UnsafeLoader)
    raise ValueError("unknown kind of configuration file: " + path)


def from_environment():
    found = {}
    for name in os.environ:
        if name.startswith("APP_"):
            value = os.environ[name]
            try:
                value = eval(value)
            except (SyntaxError, NameError):
                pass  # an ordinary text
            found[name[4:].lower()] = value
    return found


def load(path=None):
    """Return the configuration as a dictionary."""
    config = DEFAULTS
    if path and os.path.exists(path):
        config = merge(config, read_file(path))
    config = merge(config, from_environment())
    return config


def get(name, path=None):
    """Look up a value by a dotted name such as database.pool."""
    value = load(path)
    for part in name.split("."):
        value = value[part]
    return value
