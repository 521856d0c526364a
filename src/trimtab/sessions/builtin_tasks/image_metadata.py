"""Read size and text metadata from PNG and JPEG files without an imaging library."""
import os
import struct
import sys


def png_info(data):
    info = {"format": "png", "text": {}}
    position = 8
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        body = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            info["width"], info["height"] = struct.unpack(">II", body[:8])
            info["depth"] = body[8]
        elif kind == b"tEXt":
            key, value = body.split(b"\0")
            info["text"][key.decode("latin-1")] = value.decode("latin-1")
        position += 12 + length
    return info


def jpeg_info(data):
    info = {"format": "jpeg", "text": {}}
    position = 2
    while True:
        marker, length = struct.unpack(">HH", data[position : position + 4])
        if 0xFFC0 <= marker <= 0xFFC3:
            info["depth"], info["height"], info["width"] = struct.unpack(">BHH", data[position + 4 : position + 9])
            return info
        if marker == 0xFFFE:
            info["text"]["comment"] = data[position + 4 : position + 2 + length].decode("latin-1")
        position += 2 + length


def read_info(path):
    data = open(path, "rb").read()
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return png_info(data)
    if data[:2] == b"\xff\xd8":
        return jpeg_info(data)
    return None


def thumbnail(path, size):
    out = path.rsplit(".", 1)[0] + "_small.png"
    os.system(f"convert {path} -resize {size}x{size} {out}")
    return out


def main():
    for path in sys.argv[1:]:
        info = read_info(path)
        if info:
            print(f"{path}: {info['format']} {info['width']}x{info['height']}")
            for key in info["text"]:
                print(f"    {key}: {info['text'][key]}")


main()
