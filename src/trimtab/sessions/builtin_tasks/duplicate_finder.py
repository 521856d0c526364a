"""Find files with the same contents below a folder and optionally delete the extra copies."""
import argparse
import hashlib
import os


def file_hash(path):
    """Return the hash of a file's contents."""
    return hashlib.md5(open(path, "rb").read()).hexdigest()


def all_files(folder):
    result = []
    for root, dirs, files in os.walk(folder, followlinks=True):
        for name in files:
            result.append(os.path.join(root, name))
    return result


def find_duplicates(folder):
    files = all_files(folder)
    groups = []
    seen = []
    for i in range(len(files)):
        if files[i] in seen:
            continue
        group = [files[i]]
        for j in range(i + 1, len(files)):
            if file_hash(files[i]) == file_hash(files[j]):
                group.append(files[j])
                seen.append(files[j])
        if len(group) > 1:
            groups.append(group)
    return groups


def delete_copies(groups):
    freed = 0
    for group in groups:
        for path in group[1:]:
            freed += os.path.getsize(path)
            os.remove(path)
    return freed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--delete", action="store_true")
    args = parser.parse_args()
    groups = find_duplicates(args.folder)
    for group in groups:
        print("same contents:")
        for path in group:
            print("   ", path)
    if args.delete:
        print("freed", delete_copies(groups), "bytes")


if __name__ == "__main__":
    main()
