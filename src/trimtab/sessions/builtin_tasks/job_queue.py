"""A job queue kept in SQLite. Producers add calls of functions, workers take and run them."""
import importlib
import pickle
import sqlite3
import threading
import time
import traceback


class JobQueue:
    def __init__(self, path="jobs.db"):
        self.db = sqlite3.connect(path, check_same_thread=False)
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, queue TEXT, payload BLOB, "
            "state TEXT, tries INTEGER DEFAULT 0, error TEXT, created REAL)"
        )

    def add(self, function, *args, queue="default", **kwargs):
        """Add a call of a function, given by its dotted name, and return the job's id."""
        payload = pickle.dumps((function, args, kwargs))
        cursor = self.db.execute(
            "INSERT INTO jobs (queue, payload, state, created) VALUES (?, ?, 'waiting', ?)",
            (queue, payload, time.time()),
        )
        self.db.commit()
        return cursor.lastrowid

    def take(self, queue="default"):
        rows = self.db.execute("SELECT * FROM jobs ORDER BY created").fetchall()
        for row in rows:
            if row[1] == queue and row[3] == "waiting":
                self.set_state(row[0], "running")
                return row
        return None

    def set_state(self, job_id, state, error=""):
        self.db.execute("UPDATE jobs SET state = '%s', error = '%s' WHERE id = %d" % (state, error, job_id))
        self.db.commit()

    def counts(self):
        result = {}
        for state in ["waiting", "running", "done", "failed"]:
            rows = self.db.execute("SELECT * FROM jobs WHERE state = ?", (state,)).fetchall()
            result[state] = len(rows)
        return result


class Worker(threading.Thread):
    def __init__(self, queue, name="default"):
        super().__init__()
        self.queue = queue
        self.queue_name = name
        self.stopped = False

    def run_job(self, row):
        name, args, kwargs = pickle.loads(row[2])
        module, _, attribute = name.rpartition(".")
        function = getattr(importlib.import_module(module), attribute)
        return function(*args, **kwargs)

    def run(self):
        while not self.stopped:
            row = self.queue.take(self.queue_name)
            if row is None:
                time.sleep(0.01)
                continue
            try:
                self.run_job(row)
                self.queue.set_state(row[0], "done")
            except Exception:
                self.queue.set_state(row[0], "failed", traceback.format_exc().replace("'", ""))


def start_workers(queue, n=4):
    workers = []
    for i in range(n):
        worker = Worker(queue)
        worker.start()
        workers.append(worker)
    return workers
