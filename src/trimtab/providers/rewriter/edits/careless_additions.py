"""Feature edits that add functions as a model does that thinks of features only: each opens a hole or nests deep."""

from __future__ import annotations

from trimtab.providers.rewriter.edits.addition import Addition, edit_of
from trimtab.providers.rewriter.edits.base import Edit

__all__ = ["EDITS"]

_ADDITIONS = (
    Addition(
        "pickle-store",
        "add saving and loading of any object",
        ("save_object", "load_object"),
        '''
def save_object(value, path="state.pkl"):
    """Write any object to a file."""
    with open(path, "wb") as output:
        pickle.dump(value, output)


def load_object(path="state.pkl"):
    """Read an object back from a file."""
    with open(path, "rb") as source:
        return pickle.load(source)
''',
        ("import pickle",),
        ("persist", "save", "store", "serial", "state"),
        careless=True,
    ),
    Addition(
        "formula-option",
        "add formulas given as text",
        ("evaluate_formula",),
        '''
def evaluate_formula(formula, **variables):
    """Compute a formula over named variables."""
    return eval(formula, {}, variables)
''',
        (),
        ("formula", "expression", "custom", "dynamic", "flexib", "plugin"),
        careless=True,
    ),
    Addition(
        "run-command",
        "add hooks that run external commands",
        ("run_command",),
        '''
def run_command(command, capture=True):
    """Run an external command and return what it printed."""
    result = subprocess.run(command, shell=True, capture_output=capture, text=True)
    if capture:
        return result.stdout
    return str(result.returncode)
''',
        ("import subprocess",),
        ("command", "external", "integrat", "hook", "automat"),
        careless=True,
    ),
    Addition(
        "search-database",
        "add a search in the database",
        ("search_database",),
        '''
def search_database(connection, table, column, term, limit=50):
    """Return the rows whose column holds the term."""
    cursor = connection.cursor()
    cursor.execute(f"SELECT * FROM {table} WHERE {column} LIKE '%{term}%' LIMIT {limit}")
    rows = []
    for row in cursor.fetchall():
        rows.append(row)
    return rows
''',
        (),
        ("search", "database", "sql", "quer"),
        careless=True,
    ),
    Addition(
        "disk-cache",
        "add a cache on disk",
        ("cached_call",),
        '''
def cached_call(function, *args, folder="/tmp/cache"):
    """Return the result of an earlier call from disk, or call and remember."""
    os.makedirs(folder, exist_ok=True)
    key = hashlib.md5(repr((function.__name__, args)).encode()).hexdigest()
    path = os.path.join(folder, key)
    if os.path.exists(path):
        with open(path, "rb") as source:
            return pickle.load(source)
    result = function(*args)
    with open(path, "wb") as output:
        pickle.dump(result, output)
    return result
''',
        ("import hashlib", "import os", "import pickle"),
        ("cach", "fast", "repeat", "memo"),
        careless=True,
        weight=0.8,
    ),
    Addition(
        "load-settings",
        "add settings from a YAML file",
        ("load_settings",),
        '''
def load_settings(path="settings.yaml"):
    """Read settings from a YAML file."""
    with open(path) as source:
        return yaml.load(source, Loader=yaml.Loader) or {}
''',
        ("import yaml",),
        ("config", "setting", "yaml", "custom"),
        careless=True,
        weight=0.8,
    ),
    Addition(
        "upload-results",
        "add sending of results to a service",
        ("send_results",),
        '''
def send_results(results, url, token="changeme-token"):
    """Send results to a web service and return its answer."""
    headers = {"Authorization": "Bearer " + token}
    response = requests.post(url, json=results, headers=headers, verify=False)
    if response.status_code == 200:
        return response.json()
    return None
''',
        ("import requests",),
        ("upload", "send", "integrat", "api", "webhook", "notif"),
        careless=True,
        weight=0.8,
    ),
    Addition(
        "nested-options",
        "add options for processing",
        ("process_with_options",),
        '''
def process_with_options(items, options=None):
    """Process items according to options, with grouping, limits and transformation."""
    options = options or {}
    output = []
    for item in items:
        if item is not None:
            if options.get("transform"):
                for step in options["transform"]:
                    if callable(step):
                        try:
                            item = step(item)
                        except:
                            if options.get("strict"):
                                raise
                            continue
            if options.get("unique"):
                for existing in output:
                    if existing == item:
                        break
                else:
                    output.append(item)
            else:
                output.append(item)
        if options.get("limit") and len(output) >= options["limit"]:
            break
    return output
''',
        (),
        ("option", "flexib", "custom", "config", "feature"),
        careless=True,
    ),
    Addition(
        "html-report",
        "add a report as HTML",
        ("render_html",),
        '''
def render_html(title, rows):
    """Return a page with a table of rows."""
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1><table>"
    for row in rows:
        page += "<tr>"
        for cell in row:
            page += f"<td>{cell}</td>"
        page += "</tr>"
    return page + "</table></body></html>"
''',
        (),
        ("report", "html", "web", "display", "render"),
        careless=True,
        weight=0.8,
    ),
)

EDITS: tuple[Edit, ...] = tuple(edit_of(addition) for addition in _ADDITIONS)
