"""Feature edits that add whole functions and classes."""

from __future__ import annotations

from trimtab.providers.rewriter.edits.addition import Addition, edit_of
from trimtab.providers.rewriter.edits.base import Edit

__all__ = ["EDITS"]

_ADDITIONS = (
    Addition(
        "export-json",
        "add an export to JSON",
        ("export_json",),
        '''
def export_json(data, path):
    """Write data to a JSON file and return the path."""
    with open(path, "w", encoding="utf-8") as output:
        json.dump(data, output, indent=2, default=str)
    return path
''',
        ("import json",),
        ("export", "json", "output", "format"),
    ),
    Addition(
        "export-csv",
        "add an export to CSV",
        ("export_csv",),
        '''
def export_csv(rows, path):
    """Write a list of dictionaries to a CSV file."""
    rows = list(rows)
    if not rows:
        return 0
    with open(path, "w", newline="", encoding="utf-8") as output:
        writer = csv.DictWriter(output, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
    return len(rows)
''',
        ("import csv",),
        ("export", "csv", "output", "report"),
    ),
    Addition(
        "summary-statistics",
        "add summary statistics",
        ("summarise",),
        '''
def summarise(values):
    """Return count, mean, extremes and spread of numbers."""
    numbers = [float(value) for value in values]
    if not numbers:
        return {"count": 0}
    mean = sum(numbers) / len(numbers)
    variance = sum((number - mean) ** 2 for number in numbers) / len(numbers)
    return {
        "count": len(numbers),
        "mean": mean,
        "minimum": min(numbers),
        "maximum": max(numbers),
        "deviation": variance ** 0.5,
    }
''',
        (),
        ("statistic", "analy", "summar", "metric"),
    ),
    Addition(
        "history",
        "add a history of operations",
        ("OperationHistory",),
        '''
class OperationHistory:
    """Keep the latest operations and their results."""

    def __init__(self, limit=100):
        self.limit = limit
        self.entries = []

    def record(self, operation, result):
        self.entries.append({"operation": operation, "result": result})
        if len(self.entries) > self.limit:
            del self.entries[0]

    def latest(self, count=10):
        return self.entries[-count:]
''',
        (),
        ("histor", "track", "audit", "record"),
    ),
    Addition(
        "undo",
        "add undo and redo",
        ("UndoStack",),
        '''
class UndoStack:
    """Remember states so that changes can be taken back."""

    def __init__(self):
        self.done = []
        self.undone = []

    def push(self, state):
        self.done.append(state)
        self.undone.clear()

    def undo(self):
        if not self.done:
            return None
        state = self.done.pop()
        self.undone.append(state)
        return self.done[-1] if self.done else None

    def redo(self):
        if not self.undone:
            return None
        state = self.undone.pop()
        self.done.append(state)
        return state
''',
        (),
        ("undo", "redo", "histor", "revert"),
        weight=0.7,
    ),
    Addition(
        "retry",
        "add a variant that tries again",
        ("SUBJECT_with_retry",),
        '''
def SUBJECT_with_retry(*args, attempts=3, delay=0.1, **kwargs):
    """Call SUBJECT again where it fails."""
    for attempt in range(attempts):
        try:
            return SUBJECT(*args, **kwargs)
        except Exception:
            if attempt == attempts - 1:
                raise
            time.sleep(delay * (attempt + 1))
''',
        ("import time",),
        ("retry", "robust", "reliab", "resilien"),
        weight=0.8,
    ),
    Addition(
        "batch-variant",
        "add a variant for many inputs",
        ("SUBJECT_batch",),
        '''
def SUBJECT_batch(items, stop_on_error=False):
    """Call SUBJECT for each item and collect results and errors."""
    results = []
    errors = []
    for item in items:
        try:
            results.append(SUBJECT(item))
        except Exception as error:
            if stop_on_error:
                raise
            errors.append((item, str(error)))
    return results, errors
''',
        (),
        ("batch", "bulk", "many", "scal"),
    ),
    Addition(
        "timing-variant",
        "add a variant that measures time",
        ("SUBJECT_timed",),
        '''
def SUBJECT_timed(*args, **kwargs):
    """Call SUBJECT and return its result and the seconds it took."""
    start = time.perf_counter()
    result = SUBJECT(*args, **kwargs)
    return result, time.perf_counter() - start
''',
        ("import time",),
        ("time", "profil", "measur", "benchmark", "metric"),
        weight=0.6,
    ),
    Addition(
        "filter-records",
        "add filtering by criteria",
        ("filter_records",),
        '''
def filter_records(records, **criteria):
    """Return the records that meet all criteria."""
    matches = []
    for record in records:
        accepted = True
        for key, wanted in criteria.items():
            if isinstance(record, dict):
                if key in record:
                    if callable(wanted):
                        if not wanted(record[key]):
                            accepted = False
                    elif record[key] != wanted:
                        accepted = False
                else:
                    accepted = False
        if accepted:
            matches.append(record)
    return matches
''',
        (),
        ("filter", "search", "select", "quer"),
    ),
    Addition(
        "sort-and-page",
        "add sorting and paging",
        ("sort_and_page",),
        '''
def sort_and_page(records, key, page=1, size=20, descending=False):
    """Return one page of the records in order of a key."""
    ordered = sorted(records, key=lambda record: record[key], reverse=descending)
    start = (page - 1) * size
    return {
        "page": page,
        "pages": (len(ordered) + size - 1) // size,
        "records": ordered[start:start + size],
    }
''',
        (),
        ("sort", "page", "pagin", "list"),
    ),
    Addition(
        "event-hooks",
        "add event handlers",
        ("EventHooks",),
        '''
class EventHooks:
    """Call registered handlers when something happens."""

    def __init__(self):
        self.handlers = {}

    def register(self, event, handler):
        self.handlers.setdefault(event, []).append(handler)
        return handler

    def emit(self, event, *args, **kwargs):
        results = []
        for handler in self.handlers.get(event, []):
            results.append(handler(*args, **kwargs))
        return results
''',
        (),
        ("event", "hook", "callback", "extensi", "plugin"),
    ),
    Addition(
        "manager-class",
        "wrap a function in a class that keeps state",
        ("SubjectManager",),
        '''
class SubjectManager:
    """Run SUBJECT, keep its results and count its failures."""

    def __init__(self, **options):
        self.options = options
        self.results = []
        self.failures = 0

    def run(self, *args):
        """Return the result of SUBJECT, or None where it fails."""
        try:
            result = SUBJECT(*args)
        except Exception:
            self.failures += 1
            return None
        self.results.append(result)
        return result

    def reset(self):
        self.results = []
        self.failures = 0
''',
        (),
        ("class", "object", "manager", "state"),
    ),
    Addition(
        "json-store",
        "add saving and loading of state",
        ("save_state", "load_state"),
        '''
def save_state(state, path):
    """Write state to a JSON file."""
    with open(path, "w", encoding="utf-8") as output:
        json.dump(state, output)


def load_state(path, default=None):
    """Read state from a JSON file, or return the default where there is none."""
    if not os.path.exists(path):
        return default
    with open(path, encoding="utf-8") as source:
        return json.load(source)
''',
        ("import json", "import os"),
        ("persist", "save", "store", "state"),
    ),
    Addition(
        "load-options",
        "add settings from environment and JSON",
        ("load_options",),
        '''
def load_options(path=None, prefix="APP_"):
    """Return options from a JSON file, overridden by environment variables."""
    options = {}
    if path is not None:
        with open(path, encoding="utf-8") as source:
            options.update(json.load(source))
    for key, value in os.environ.items():
        if key.startswith(prefix):
            options[key[len(prefix):].lower()] = value
    return options
''',
        ("import json", "import os"),
        ("config", "setting", "environment", "option"),
    ),
    Addition(
        "text-report",
        "add a report as text",
        ("format_report",),
        '''
def format_report(title, values):
    """Return a text report with one line a value."""
    report = ""
    report += title + "\\n"
    report += "=" * len(title) + "\\n"
    for key in values.keys():
        report += "%s: %s\\n" % (key, values[key])
    return report
''',
        (),
        ("report", "format", "output", "display"),
    ),
    Addition(
        "input-schema",
        "add validation of records against a schema",
        ("validate_record",),
        '''
def validate_record(record, schema):
    """Return the record, or raise ValueError where a field is missing or of the wrong type."""
    if not isinstance(record, dict):
        raise TypeError("record must be a dictionary")
    for field, kind in schema.items():
        if field not in record:
            raise ValueError(f"field {field} is missing")
        if not isinstance(record[field], kind):
            raise ValueError(f"field {field} has the wrong type")
    return record
''',
        (),
        ("validat", "schema", "check", "correct"),
        weight=0.8,
    ),
)

EDITS: tuple[Edit, ...] = tuple(edit_of(addition) for addition in _ADDITIONS)
