#!/usr/bin/python3
"""A caller of the door that is not keepersudo, written to docs/wire.md.

caller.py ROOT DIR COUNT: open COUNT times the directory DIR, its program and
its file for descriptors 0 to 2; say "ready"; at the next line of input knock
with all of them, asking for cat and for the program in turn; say "sent"; then
print the final frame of each.
"""
import array, os, socket, struct, sys

root, where, count = sys.argv[1], sys.argv[2], int(sys.argv[3])


def text(s):
    return struct.pack(">I", len(s)) + s.encode()


def request(command, has_executable):
    argv = struct.pack(">I", 1) + text(command)
    return bytes([3, has_executable, 0, 0]) + struct.pack(">HH", 0, 0) + text(command) + text("") + argv + struct.pack(">I", 0)


def final(conn):
    stream = conn.makefile("rb")
    while head := stream.read(5):
        kind, length = struct.unpack(">BI", head)
        body = stream.read(length)
        if kind in (6, 7):
            return {6: "exit", 7: "refused"}[kind] + " %r" % body
    return "closed"


opened = []
for i in range(count):
    files = [os.open(where, os.O_PATH)] + [os.open(where + "/file", os.O_RDWR | os.O_APPEND) for _ in range(3)]
    command = "cat"
    if i % 2:
        command = where + "/program"
        files.append(os.open(command, os.O_PATH))
    opened.append((command, files))
print("ready", flush=True)
sys.stdin.readline()
conns = []
for command, files in opened:
    conn = socket.socket(socket.AF_UNIX)
    conn.connect(root + "/run/door.sock")
    body = request(command, len(files) == 5)
    conn.sendmsg([struct.pack(">BI", 1, len(body)) + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))])
    conns.append(conn)
print("sent", flush=True)
for conn in conns:
    print(final(conn), flush=True)
