import os
import sys
import tarfile
import tempfile
import zipfile


def extract(archive, target=None):
    """Unpack a tar or zip archive and return the folder it went to."""
    if target is None:
        target = tempfile.mktemp()
        os.mkdir(target)
    if archive.endswith(".zip"):
        z = zipfile.ZipFile(archive)
        for name in z.namelist():
            data = z.read(name)
            path = target + "/" + name
            if name.endswith("/"):
                os.makedirs(path, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                out = open(path, "wb")
                out.write(data)
                out.close()
    else:
        t = tarfile.open(archive)
        t.extractall(target)
    return target


def list_files(folder):
    found = []
    for root, dirs, files in os.walk(folder):
        for f in files:
            found.append(os.path.join(root, f))
    return found


if __name__ == "__main__":
    where = extract(sys.argv[1])
    total = 0
    for path in list_files(where):
        total += len(open(path, "rb").read())
        print(path)
    print(len(list_files(where)), "files,", total, "bytes")
