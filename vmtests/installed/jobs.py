#!/usr/bin/python3
"""What a person at an interactive shell sees of job control.

jobs.py COMMAND: play the same scenes with COMMAND, sudo or keepersudo, on a
terminal of its own, and print what came of each.
"""
import fcntl, os, pty, select, struct, sys, termios, time

sys.stdout.reconfigure(line_buffering=True)
E, READY = sys.argv[1], "READY> "


class Shell:
    def __init__(self):
        self.pid, self.tty = pty.fork()
        if self.pid == 0:
            env = dict(os.environ, PS1=READY, HISTFILE="", TERM="xterm", E=E)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], env)
        self.shown = ""
        self.size(24, 80)
        self.until(READY)

    def size(self, rows, columns):
        fcntl.ioctl(self.tty, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.tty, keys.encode())

    def until(self, text):
        end = time.time() + 15
        while text not in self.shown:
            if not select.select([self.tty], [], [], max(0, end - time.time()))[0]:
                print("never shown: %r, but %r" % (text, self.shown))
                sys.exit(0)
            self.shown += os.read(self.tty, 65536).decode(errors="replace")
        before, self.shown = self.shown.split(text, 1)
        return before

    def does(self, line):
        self.type(line + "\n")
        self.until("\n")
        return self.until(READY).replace("\r", "")

    def stopped(self):
        for _ in range(100):
            if "Stopped" in self.does("jobs"):
                return True
            time.sleep(0.05)
        return False

    def end(self):
        os.close(self.tty)
        os.waitpid(self.pid, 0)


def scene(what):
    print("==", what)
    return Shell()


s = scene("stopped and back")
before = s.does("stty -g")
s.type("$E sh -c 'echo u''p; read x; echo \"got $x\"; stty size'\n")
s.until("up\r\n")
s.type("\x1a")
s.until("Stopped")
s.until(READY)
print("as it was:", s.does("stty -g") == before)
s.size(30, 100)
s.type("fg\n")
s.until("\n")
s.type("this\n")
s.until("got this\r\n")
print("size:", s.until("\n").strip())
s.until(READY)
print("status:", s.does("echo $?").strip(), "as it was:", s.does("stty -g") == before)
s.end()

s = scene("in the background")
s.does("mkfifo ~/fifo")
s.type("$E sh -c 'echo u''p; read x <~alice/fifo; echo went''on; read y; echo \"got $y\"'\n")
s.until("up\r\n")
s.type("\x1a")
s.until("Stopped")
s.until(READY)
s.does("bg")
s.type("echo go >~/fifo\n")
s.until("wenton")
s.type("\n")
s.until(READY)
print("it wants to read:", s.stopped())
s.type("fg\n")
s.until("\n")
s.type("that\n")
s.until("got that")
s.until(READY)
s.does("rm ~/fifo")
s.end()

s = scene("begun in the background")
s.does("$E sh -c 'read y; echo \"got $y\"' &")
print("it wants to read:", s.stopped())
s.type("fg\n")
s.until("\n")
s.type("that\n")
s.until("got that")
s.until(READY)
s.end()

s = scene("stopped by a signal")
s.does("$E sleep 4711 &")
for signal, want in ("TSTP", "T"), ("CONT", "S"), ("TSTP", "T"):
    for _ in range(100):
        if s.does("pgrep -x sleep | wc -l").strip() == "1":
            break
        time.sleep(0.05)
    s.does("kill -%s $!" % signal)
    for _ in range(100):
        state = s.does("ps -o stat= -p $(pgrep -x sleep)").strip()[:1]
        if state == want:
            break
        time.sleep(0.05)
    print(signal, state)
s.does("$E pkill -KILL -x sleep")
s.end()

s = scene("a terminal whatever 0 to 2 are")
s.type("$E sh -c 'exec 9<>/dev/tty; echo \"na''me?\" >&9; read x <&9; echo \"hello $x\" >&9' </dev/null >/dev/null 2>&1\n")
s.until("name?")
s.type("Ada\n")
s.until("hello Ada")
s.until(READY)
print("status:", s.does("echo $?").strip())
s.end()

s = scene("an editor")
before = s.does("stty -g")
s.type("$E vi\n")
s.until("~")
s.type("\x1a")
s.until("Stopped")
s.until(READY)
print("as it was:", s.does("stty -g") == before)
s.type("fg\n")
s.until("~")
s.type(":q!\r")
s.until(READY)
print("status:", s.does("echo $?").strip(), "as it was:", s.does("stty -g") == before)
s.end()

s = scene("signals that are ignored")
print(s.does("(trap '' TERM QUIT USR1; exec $E sleep 1) & sleep 0.5; kill -TERM $!; kill -QUIT $!; kill -USR1 $!; wait $!; echo status $?").split("\n")[-2])
s.end()

s = scene("a command that signals its caller")
print(s.does("$E pkill -TERM -U alice -x ${E##*/}; echo status $?").strip())
s.end()
