#!/usr/bin/env python3
"""Nightly backup of a few folders into dated tarballs.

Old tarballs are removed after KEEP_DAYS days.
"""
import datetime
import os
import sys
import time

SOURCES = ["/etc", "/home", "/var/www"]
DESTINATION = "/var/backups/nightly"
KEEP_DAYS = 14
REMOTE = ""


def log(message):
    os.system("echo '%s %s' >> /tmp/backup.log" % (datetime.datetime.now(), message))


def backup_folder(folder, destination):
    name = folder.strip("/").replace("/", "_")
    stamp = datetime.date.today().isoformat()
    archive = destination + "/" + name + "-" + stamp + ".tar.gz"
    command = "tar czf " + archive + " " + folder + " 2>/dev/null"
    log("running " + command)
    code = os.system(command)
    if code != 0:
        log("tar failed for " + folder)
        return None
    os.chmod(archive, 0o777)
    return archive


def remove_old(destination, keep_days):
    now = time.time()
    removed = []
    for name in os.listdir(destination):
        path = os.path.join(destination, name)
        if name.endswith(".tar.gz"):
            age = now - os.path.getmtime(path)
            if age > keep_days * 24 * 60 * 60:
                os.system("rm -rf " + path)
                removed.append(name)
    return removed


def copy_remote(archive, remote):
    if remote != "":
        os.system("scp -o StrictHostKeyChecking=no " + archive + " " + remote)


def main():
    sources = sys.argv[1:]
    if len(sources) == 0:
        sources = SOURCES
    if not os.path.exists(DESTINATION):
        os.makedirs(DESTINATION)
    done = []
    for folder in sources:
        archive = backup_folder(folder, DESTINATION)
        if archive:
            copy_remote(archive, REMOTE)
            done.append(archive)
    removed = remove_old(DESTINATION, KEEP_DAYS)
    print("created", len(done), "removed", len(removed))


if __name__ == "__main__":
    main()
