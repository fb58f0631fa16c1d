#!/usr/bin/python3
"""A caller that asks with a key of its choice, written to docs/wire.md.

again.py ROOT KEY RUNNING ARG...: ask for the command ARG... with the key, 32
hexadecimal digits; RUNNING is 1 to say that it was told that it runs. Print
each frame that arrives. When the service closes without a last word, print
"closed", wait for a line of input and ask again.
"""
import array, os, socket, struct, sys

root, key, running, argv = sys.argv[1], bytes.fromhex(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
names = {4: "prompt", 5: "started", 6: "exit", 7: "refused", 8: "terminal"}


def text(s):
    return struct.pack(">I", len(s)) + s.encode()


def ask():
    global running
    conn = socket.socket(socket.AF_UNIX)
    conn.connect(root + "/run/door.sock")
    listed = struct.pack(">I", len(argv)) + b"".join(map(text, argv))
    body = bytes([3, 16 | 32 * running, 0]) + key + bytes([0]) + struct.pack(">HH", 0, 0) + text(argv[0]) + text("") + listed + struct.pack(">I", 0)
    files = [os.open("/", os.O_PATH)] + [os.open("/dev/null", os.O_RDWR) for _ in range(3)]
    conn.sendmsg([struct.pack(">BI", 1, len(body)) + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))])
    stream = conn.makefile("rb")
    while head := stream.read(5):
        kind, length = struct.unpack(">BI", head)
        print(names[kind], stream.read(length), flush=True)
        running |= kind == 5
        if kind in (6, 7):
            return True
    print("closed", flush=True)


while not ask():
    if not sys.stdin.readline():
        break
