# SPDX-License-Identifier: LGPL-2.1-or-later
"""rtkvm run: the command's exit status and signals are passed on, both ways; it may
be another user's, may become a daemon, and whoever is killed, nothing is left."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmm import *  # noqa: E402,F403

root = os.geteuid() == 0


def run(*args, **more):
    return subprocess.run([rtkvm, "--state-dir", state, "run", *args], capture_output=True, text=True, timeout=60, **more)


def kid(p):
    """The command, once it is one."""
    found = []

    def look():
        found[:] = [int(t) for t in open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()]
        return found and comm(found[0]) not in ("", "rtkvm", "lt-rtkvm")

    wait_until(look)
    return found[0]


def comm(pid):
    try:
        return open(f"/proc/{pid}/comm").read().strip()
    except OSError:
        return ""


def leased():
    return command("status")[1].strip()


def statuses():
    for args, want, said in ((["sh", "-c", "exit 7"], 7, ""), (["true"], 0, ""), (["/no/such/command"], 127, "No such file"),
                             (["/etc/passwd"], 126, "Permission denied"), (["sh", "-c", "kill -TERM $$"], -15, ""),
                             (["sh", "-c", "kill -KILL $$"], -9, ""), (["sh", "-c", "kill -SEGV $$"], -11, "")):
        p = run("--quiet", "--", *args)
        result(p.returncode == want and said in p.stderr, f"{' '.join(args)}: as it ended", f"{p.returncode} {p.stderr}")
    for args, said in (([], "COMMAND"), (["--"], "COMMAND"), (["--frobnicate", "--", "true"], "does not know"),
                       (["--plan", "nonsense", "--", "true"], "position"), (["--user", "no-such-user", "--", "true"], "no such user"),
                       (["--delay", "x", "--", "true"], "does not know")):
        p = run(*args)
        result(p.returncode == 125 and said in p.stderr, f"run {' '.join(args)}: 125, and why", f"{p.returncode} {p.stderr}")
    p = run("--quiet", "--", "sh", "-c", "cat; echo error >&2", input="through\n")
    equal((p.stdout, p.stderr), ("through\n", "error\n"), "its standard streams are the command's")
    p = run("--quiet", "--", "env")
    result("RTKVM_LEASE_FD" not in p.stdout, "no descriptor without CPUs")
    p = run("--quiet", "--", "sh", "-c", "ls /proc/self/fd | wc -l; grep -E 'SigBlk|SigIgn' /proc/self/status")
    q = subprocess.run(["sh", "-c", "ls /proc/self/fd | wc -l; grep -E 'SigBlk|SigIgn' /proc/self/status"], capture_output=True, text=True)
    equal(p.stdout, q.stdout, "descriptors and signals of the command are as without rtkvm")
    equal(leased(), "nothing is leased", "nothing is leased")


def signals():
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        w = watcher("run", "--watch", "--quiet", "--", "sleep", "600")
        kid(w)
        w.send_signal(sig)
        result(wait_until(lambda: w.poll() is not None) and w.returncode == -sig, f"{sig.name} reaches the command", w.returncode)
    script = "trap 'echo caught; exit 3' TERM; while :; do sleep 0.05; done"
    w = watcher("run", "--watch", "--quiet", "--", "sh", "-c", script)
    command_pid = kid(w)
    # the trap is set once the shell has its handler
    wait_until(lambda: int(next(l.split()[1] for l in open(f"/proc/{command_pid}/status") if l.startswith("SigCgt")), 16) & (1 << 14))
    w.send_signal(signal.SIGTERM)
    result(wait_until(lambda: w.poll() is not None) and w.returncode == 3 and "caught" in w.said(), "a command that handles it", w.said())
    equal(leased(), "nothing is leased", "nothing is leased")


def watches():
    w = watcher("run", "--watch", "--plan", "maxprio=5,policy=rr", "--", "sleep", "600")
    pid = kid(w)
    result(wait_until(lambda: attr(pid)[:3] == ("rr", 5, 1)), "watched: the main thread is as planned", attr(pid))
    result(f"run-{pid}/watch" in leased() and f"by process {w.pid}" in leased(), "status says who watches", leased())
    status, said = command("detach", "--pid", str(pid))
    result(status == 0 and attr(pid)[:3] == ("ts", 0, 0) and leased() == "nothing is leased", "detached: as before", said + leased())
    result(w.poll() is None, "and the command goes on")
    os.kill(pid, signal.SIGKILL)
    result(wait_until(lambda: w.poll() is not None) and w.returncode == -9, "its end is still passed on", w.returncode)

    w = watcher("run", "--delay", "0", "--", "sleep", "600")
    pid = kid(w)
    result(wait_until(lambda: "is not watched" in w.said()) and attr(pid)[:2] == ("ff", 2), "not watched: said so", w.said())
    result("not watched" in leased(), "status says so, too", leased())
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: w.poll() is not None)
    equal(leased(), "nothing is leased", "given back when it ended")

    w = watcher("run", "--watch", "--delay", "1", "--quiet", "--", "sleep", "600")
    pid = kid(w)
    equal(attr(pid)[0], "ts", "a delay: not yet")
    result(wait_until(lambda: attr(pid)[0] == "ff"), "a delay: then it is")
    w.kill()
    w.wait()
    result("has ended; threads made from now on are not placed" in leased() and attr(pid)[0] == "ff",
           "rtkvm killed: the command keeps what it has, and status says that nobody watches", leased())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}") or _zombie(pid))
    command("restore")
    equal(leased(), "nothing is leased", "the command killed, too: nothing is left")
    # both at once, in any order
    bad = []
    for n in range(10):
        w = watcher("run", "--watch", "--quiet", "--", "sleep", "600")
        pid = kid(w)
        for p in ((w.pid, pid), (pid, w.pid))[n % 2]:
            try:
                os.kill(p, signal.SIGKILL)
            except OSError:
                pass
        w.wait()
        wait_until(lambda: not os.path.exists(f"/proc/{pid}") or _zombie(pid))
        command("restore")
        if leased() != "nothing is leased":
            bad.append(leased())
    result(not bad, "both killed, ten times: nothing is left", bad)


def _zombie(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def other_user():
    if not root:
        p = run("--user", "nobody", "--", "true")
        result(p.returncode == 125 and "only root" in p.stderr, "--user needs root", p.stderr)
        return
    p = run("--quiet", "--user", "nobody", "--", "sh", "-c", "id -un; id -gn; echo $HOME $USER")
    equal(p.stdout.split(), ["nobody", "nogroup", "/nonexistent", "nobody"], "--user: its user, group and environment")
    w = watcher("run", "--watch", "--quiet", "--user", "nobody", "--", "sleep", "600")
    pid = kid(w)
    result(wait_until(lambda: attr(pid)[:2] == ("ff", 2)), "a command without privilege is real-time")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: w.poll() is not None)


def daemons():
    if not qemu_binary():
        skip("a QEMU that becomes a daemon", "no QEMU (package qemu-system-x86)")
        return
    folder = os.path.join(tmp, "daemon")
    os.mkdir(folder)
    pidfile, sock = folder + "/pid", folder + "/qmp"
    qemu = [qemu_binary(), "-accel", accelerator(), "-nodefaults", "-display", "none", "-m", "32", "-name", "d,debug-threads=on",
            "-qmp", f"unix:{sock},server,nowait", "-daemonize", "-pidfile", pidfile]

    def vcpus():
        return [t for t, n in threads(int(open(pidfile).read())).items() if n.startswith("CPU ")]

    p = run("--qmp", sock, "--pidfile", pidfile, "--", *qemu)
    pid = int(open(pidfile).read())
    result(p.returncode == 0 and [attr(t)[:2] for t in vcpus()] == [("ff", 1)], "-daemonize with its pid file: it is real-time",
           p.stderr + leased())
    result(f"target {pid}" in leased() and "not watched" in leased(), "and owns its lease", leased())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _zombie(pid))
    command("restore")
    equal(leased(), "nothing is leased", "until it ends")

    os.path.exists(pidfile) and os.unlink(pidfile)
    w = watcher("run", "--watch", "--qmp", sock, "--pidfile", pidfile, "--quiet", "--", *qemu)
    wait_until(lambda: os.path.exists(pidfile) and open(pidfile).read().strip())
    pid = int(open(pidfile).read())
    result(wait_until(lambda: [attr(t)[:2] for t in vcpus()] == [("ff", 1)]), "with --watch, too", w.said() + leased())
    result(w.poll() is None, "which stays as long as the daemon")
    os.kill(pid, signal.SIGTERM)
    result(wait_until(lambda: w.poll() is not None) and w.returncode == 0, "and ends with it", w.said())
    equal(leased(), "nothing is leased", "nothing is leased")

    os.path.exists(pidfile) and os.unlink(pidfile)
    p = run("--quiet", "--", *qemu)
    pid = int(open(pidfile).read())
    result(p.returncode == 0 and f"left process {pid} behind" in p.stderr and "--pidfile" in p.stderr,
           "-daemonize without: said what to do", p.stderr)
    equal(leased(), "nothing is leased", "and nothing is leased")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _zombie(pid))
    other = start(["sleep", "600"])
    with open(folder + "/old", "w") as f:
        f.write(str(other.pid))
    os.path.exists(pidfile) and os.unlink(pidfile)
    p = run("--quiet", "--pidfile", folder + "/old", "--", *qemu)
    result("did not make" in p.stderr and attr(other.pid)[0] == "ts", "an old pid file names another's process: left alone", p.stderr)
    pid = int(open(pidfile).read())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _zombie(pid))


if __name__ == "__main__":
    if not may_raise():
        skip("rtkvm run", "SCHED_FIFO is refused")
        finish()
    statuses()
    signals()
    watches()
    other_user()
    daemons()
    finish()
