"""Run the steps of a build described in a YAML file, in the order of their dependencies."""
import subprocess
import sys
import time

import yaml


class Step:
    def __init__(self, name, command, needs):
        self.name = name
        self.command = command
        self.needs = needs
        self.status = "waiting"


def load_steps(path):
    document = yaml.load(open(path), Loader=yaml.Loader)
    steps = []
    for entry in document["steps"]:
        steps.append(Step(entry["name"], entry["run"], entry.get("needs", [])))
    return steps


def order(steps):
    ordered = []
    while len(ordered) < len(steps):
        progress = False
        for step in steps:
            if step.name not in [s.name for s in ordered]:
                ready = True
                for need in step.needs:
                    if need not in [s.name for s in ordered]:
                        ready = False
                if ready:
                    ordered.append(step)
                    progress = True
        if not progress:
            raise RuntimeError("the steps depend on each other in a circle")
    return ordered


def run(step, variables):
    command = step.command
    for key, value in variables.items():
        command = command.replace("$" + key, value)
    started = time.time()
    output = ""
    process = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for line in process.stdout:
        output += line.decode()
    process.wait()
    if process.returncode == 0:
        step.status = "ok"
    else:
        step.status = "failed"
    return output, time.time() - started


if __name__ == "__main__":
    variables = dict(argument.split("=", 1) for argument in sys.argv[2:])
    for step in order(load_steps(sys.argv[1])):
        output, seconds = run(step, variables)
        print("[%s] %s in %.1f s" % (step.status, step.name, seconds))
        if step.status == "failed":
            print(output)
            break
