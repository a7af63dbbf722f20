# SPDX-License-Identifier: LGPL-2.1-or-later
"""rtkvm attach where it cannot: sockets that are none, servers that hang or send
anything, processes that end or are others by now, users that may not. What is said
names the thing and what to do, and nothing is left changed."""
import os
import signal
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmm import *  # noqa: E402,F403

root = os.geteuid() == 0
GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'


def refused(what, args, *parts, prefix=(), **more):
    if prefix:
        p = subprocess.run([*prefix, rtkvm, "--state-dir", state, *args], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        status, said = p.returncode, p.stdout
    else:
        status, said = command(*args, **more)
    result(status == 2 and all(p in said for p in parts), what, f"{status}: {said}wanted: {parts}")
    return said


class Server:
    """Sends what it is told to, and answers each line with the next of its answers; then is silent."""

    def __init__(self, name, greeting, answers=(), flood=False):
        self.path = os.path.join(tmp, name)
        self.s = socket.socket(socket.AF_UNIX)
        self.s.bind(self.path)
        os.chmod(self.path, 0o666)
        self.s.listen(1)
        self.greeting, self.answers, self.flood = greeting, list(answers), flood
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            c, _ = self.s.accept()
            try:
                c.sendall(self.greeting)
                while self.flood:
                    c.sendall(self.flood)
                f = c.makefile("rb")
                for answer in self.answers:
                    f.readline()
                    c.sendall(answer)
                f.read()
            except OSError:
                pass


def sockets():
    refused("no such socket", ["attach", "--qmp", tmp + "/none"], tmp + "/none", "connect", "No such file")
    open(tmp + "/file", "w").close()
    refused("a file that is no socket", ["attach", "--qmp", tmp + "/file"], "nobody listens there")
    refused("a name that is too long", ["attach", "--qmp", "/" + "x" * 200], "too long")
    refused("a server that says nothing", ["attach", "--qmp", Server("mute", b"").path], "greeting: no answer", "own QMP socket")
    refused("a monitor for people", ["attach", "--qmp", Server("hmp", b"QEMU 7.2 monitor - type 'help'\r\n(qemu) ").path],
            "does not speak QMP")
    refused("JSON that is no QMP", ["attach", "--qmp", Server("json", b'{"hello": 1}\n').path], "does not speak QMP")
    refused("a server that hangs after its greeting", ["attach", "--qmp", Server("hang", GREETING).path],
            "qmp_capabilities: no answer")
    refused("a line without an end", ["attach", "--qmp", Server("long", b"{", flood=b"x" * 65536).path], "does not speak QMP")
    refused("lines without an end", ["attach", "--qmp", Server("lines", GREETING, flood=b'{"event": "X"}\n' * 1000).path],
            "qmp_capabilities")
    deep = GREETING + b'{"return": {}}\n' + b"[" * 100000 + b"\n"
    refused("JSON that is too deep", ["attach", "--qmp", Server("deep", GREETING, [b'{"return": {}}\n', b"[" * 100000 + b"\n"]).path],
            "query-cpus-fast")
    del deep
    for name, answer, part in (
            ("no-vcpus", b'{"return": []}\n', "names no threads"),
            ("strange", b'{"return": [null, 1, {"thread-id": "7"}, {"thread-id": -1}, {"thread-id": 1e300}]}\n', "names no threads"),
            ("refuses", b'{"error": {"class": "X", "desc": "no"}}\n', "query-cpus-fast"),
            ("no-thread", b'{"return": [{"thread-id": 2147483647}]}\n', "names no threads")):
        refused(f"a server that answers {name}", ["attach", "--qmp", Server(name, GREETING, [b'{"return": {}}\n', answer]).path], part)


def processes():
    ended = subprocess.Popen(["true"])
    ended.wait()
    refused("a process that has ended", ["attach", "--pid", str(ended.pid)], f"no process {ended.pid}")
    refused("no process at all", ["attach", "--pid", "0"], "attach does not know")
    refused("neither a process nor a socket", ["attach"], "--qmp SOCKET or --pid PID")
    p = start([sys.executable, "-c", "import threading, time\nt = threading.Thread(target=time.sleep, args=(600,)); t.start()\ntime.sleep(600)"])
    wait_until(lambda: len(threads(p.pid)) > 1)
    tid = max(threads(p.pid))
    refused("a thread's number", ["attach", "--pid", str(tid)], f"thread of process {p.pid}")
    for rule in ("x", "x=nobody", "=vcpu", "x" * 64 + "=vcpu"):
        refused(f"a rule that is none ({rule[:10]})", ["attach", "--pid", str(p.pid), "--rule", rule], "PATTERN=ROLE")
    refused("too many rules", ["attach", "--pid", str(p.pid), *["--rule", "x=io"] * 40], "too many rules")
    refused("a plan that is none", ["attach", "--pid", str(p.pid), "--plan", "maxprio=200"], "position")
    refused("a guard that is none", ["attach", "--pid", str(p.pid), "--allow", "all"], "name of a guard")
    refused("CPUs that are offline", ["attach", "--pid", str(p.pid), "--cpus", "1", "--mode", "offline"], "offline")
    status, said = command("detach", "--pid", str(p.pid))
    result(status != 0 and "no lease" in said, "detach of what is not attached", said)
    refused("detach of two things", ["detach", "x", "--pid", "1"], "detach takes")
    status, said = command("--root", tmp, "attach", "--pid", str(p.pid))
    result(status == 2 and "made-up" in said, "a made-up tree has no processes", said)
    equal(attr(p.pid)[0], "ts", "what was refused changed nothing")
    p.kill()
    p.wait()


def ends_meanwhile():
    """A process that ends while it is watched, and another that gets its number."""
    if not may_raise():
        skip("a process that ends while it is watched", "SCHED_FIFO is refused")
        return
    p = start(["sleep", "600"])
    w = watcher("attach", "--pid", str(p.pid), "--watch")
    wait_until(lambda: attr(p.pid)[0] == "ff")
    p.kill()  # and stays a zombie
    result(wait_until(lambda: w.poll() is not None) and w.returncode == 0 and f"process {p.pid} ended" in w.said(),
           "a process that ends ends its watch", w.said())
    p.wait()
    equal(command("status")[1].strip(), "nothing is leased", "and its lease")
    # without a watch: its lease goes with it, though nobody has reaped it
    p = start(["sleep", "600"])
    command("attach", "--pid", str(p.pid))
    p.kill()
    result(wait_until(lambda: "is gone" in command("status")[1]), "a killed process that is not reaped owns nothing",
           command("status")[1])
    p.wait()
    command("restore")
    if not root:
        skip("a number that is used again", "needs root for a pid namespace")
        return
    inner = f'''
import os, signal, subprocess, sys, time
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from vmm import *
def sleeper(): return subprocess.Popen(["sleep", "600"])
p = sleeper()
w = watcher("attach", "--pid", str(p.pid), "--watch")
wait_until(lambda: attr(p.pid)[0] == "ff")
w.send_signal(signal.SIGSTOP)
p.kill(); p.wait()
again = None
for _ in range(200):
    with open("/proc/sys/kernel/ns_last_pid", "w") as f: f.write(str(p.pid - 1))
    again = sleeper()
    if again.pid == p.pid: break
    again.kill(); again.wait()
w.send_signal(signal.SIGCONT)
done = wait_until(lambda: w.poll() is not None)
print("same" if again.pid == p.pid else "other", done, attr(again.pid)[0])
again.kill(); again.wait()
'''
    out = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", inner],
                         capture_output=True, text=True, timeout=120)
    if "same" not in out.stdout:
        skip("a number that is used again", "no pid namespace here")
        return
    equal(out.stdout.split("\n")[0], "same True ts", "a number that is used again: the other process is left alone")


def users():
    """As nobody, on its own process and on one of root's."""
    if root:
        os.chmod(tmp, 0o777)
        drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        own = start([*drop, "sleep", "600"])
        wait_until(lambda: os.stat(f"/proc/{own.pid}").st_uid == 65534)
    else:
        drop, own = ["env"], start(["sleep", "600"])
    mine = [*drop, "env", f"HOME={tmp}/home"]
    if not root and may_raise():
        skip("an ordinary user without privilege", "this user may raise threads")
    else:
        refused("an ordinary user: the limit of the process, with the remedy",
                ["--state-dir", tmp + "/user", "attach", "--pid", str(own.pid)],
                "CAP_SYS_NICE", f"RLIMIT_RTPRIO of 2 of process {own.pid}", "prlimit --rtprio", prefix=mine)
        p = subprocess.run([*mine, rtkvm, "--state-dir", tmp + "/user", "run", "--", "touch", tmp + "/begun"],
                           capture_output=True, text=True)
        result(p.returncode == 125 and "RLIMIT_RTPRIO" in p.stderr and not os.path.exists(tmp + "/begun"),
               "run says it before the command begins", p.stderr)
        equal(attr(own.pid)[0], "ts", "and nothing was changed")
    if not root:
        skip("an ordinary user with a limit of its own", "needs root to set it")
        return
    refused("another user's process", ["--state-dir", tmp + "/user", "attach", "--pid", str(os.getpid()), "--plan", "maxprio=2"],
            "process", prefix=mine)
    if subprocess.run(["prlimit", "--rtprio=5:5", "--pid", str(own.pid)], stderr=subprocess.DEVNULL).returncode:
        skip("an ordinary user whose process has the limit", "RLIMIT_RTPRIO cannot be raised (no CAP_SYS_RESOURCE)")
    else:
        p = subprocess.run([*mine, rtkvm, "--state-dir", tmp + "/user", "attach", "--pid", str(own.pid)],
                           capture_output=True, text=True)
        result((p.returncode, attr(own.pid)[:2]) == (0, ("ff", 2)), "an ordinary user whose process has the limit", p.stderr)
        p = subprocess.run([*mine, rtkvm, "--state-dir", tmp + "/user", "detach", "--pid", str(own.pid)],
                           capture_output=True, text=True)
        result(attr(own.pid)[:2] == ("ts", 0), "and gives it back", p.stdout + p.stderr)
    # root is not led to others' processes by a server of an ordinary user
    victim = start(["sleep", "600"])
    lie = f'''
import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind({tmp + "/lie"!r}); s.listen(1)
while True:
    c, _ = s.accept(); f = c.makefile("rwb")
    f.write({GREETING!r}); f.flush(); f.readline(); f.write(b'{{"return": {{}}}}\\n'); f.flush(); f.readline()
    f.write(b'{{"return": [{{"thread-id": {victim.pid}}}]}}\\n'); f.flush(); f.read()
'''
    start([*drop, "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable, "-c", lie])
    wait_until(lambda: os.path.exists(tmp + "/lie"))
    refused("a server of an ordinary user that names root's process", ["attach", "--qmp", tmp + "/lie"], "another user's")
    equal(attr(victim.pid)[0], "ts", "which is left alone")


if __name__ == "__main__":
    sockets()
    processes()
    ends_meanwhile()
    users()
    finish()
