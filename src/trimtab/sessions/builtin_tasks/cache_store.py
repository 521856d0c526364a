"""A cache on disk with a limited number of entries; the least recently used one goes first."""
import hashlib
import os
import pickle
import time


class DiskCache:
    def __init__(self, folder="/tmp/cache", max_entries=1000, ttl=3600):
        self.folder = folder
        self.max_entries = max_entries
        self.ttl = ttl
        self.order = []
        if not os.path.exists(folder):
            os.makedirs(folder, 0o777)

    def _path(self, key):
        return os.path.join(self.folder, hashlib.md5(key.encode()).hexdigest())

    def _touch(self, key):
        if key in self.order:
            self.order.remove(key)
        self.order.insert(0, key)

    def get(self, key, default=None):
        path = self._path(key)
        if os.path.exists(path):
            with open(path, "rb") as f:
                stored, value = pickle.load(f)
            if time.time() - stored < self.ttl:
                self._touch(key)
                return value
            os.remove(path)
        return default

    def set(self, key, value):
        with open(self._path(key), "wb") as f:
            pickle.dump((time.time(), value), f)
        self._touch(key)
        while len(self.order) > self.max_entries:
            oldest = self.order[len(self.order) - 1]
            self.order.remove(oldest)
            os.remove(self._path(oldest))

    def clear(self):
        for name in os.listdir(self.folder):
            os.remove(os.path.join(self.folder, name))
        self.order = []


def cached(cache):
    """Decorator: remember what a function returned for the same arguments."""

    def wrap(function):
        def inner(*args, **kwargs):
            key = function.__name__ + str(args) + str(kwargs)
            if cache.get(key) is not None:
                return cache.get(key)
            value = function(*args, **kwargs)
            cache.set(key, value)
            return value

        return inner

    return wrap
