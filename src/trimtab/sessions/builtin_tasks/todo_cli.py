#!/usr/bin/env python3
import json
import os
import sys

PATH = os.path.expanduser("~/.todo.json")


def load():
    if not os.path.exists(PATH):
        return []
    with open(PATH) as f:
        return json.load(f)


def save(tasks):
    with open(PATH, "w") as f:
        json.dump(tasks, f)


tasks = load()
command = sys.argv[1] if len(sys.argv) > 1 else "list"

if command == "add":
    tasks.append({"text": " ".join(sys.argv[2:]), "done": False})
    save(tasks)
elif command == "done":
    tasks[int(sys.argv[2]) - 1]["done"] = True
    save(tasks)
elif command == "edit":
    name = "/tmp/todo.txt"
    with open(name, "w") as f:
        f.write(tasks[int(sys.argv[2]) - 1]["text"])
    os.system(os.environ.get("EDITOR", "vi") + " " + name)
    tasks[int(sys.argv[2]) - 1]["text"] = open(name).read().strip()
    save(tasks)
else:
    for i in range(len(tasks)):
        mark = "x" if tasks[i]["done"] else " "
        print(str(i + 1) + ". [" + mark + "] " + tasks[i]["text"])
