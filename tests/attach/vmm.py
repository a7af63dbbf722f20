# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of run and attach share: TAP, a QEMU with a guest that shows that
it lives, QMP, and what the kernel says of threads, read without librtkvm."""
import atexit
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

rtkvm = os.path.join(os.environ["top_builddir"], "tools", "rtkvm")
os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
tmp = tempfile.mkdtemp(prefix="rtkvm-attach-")
state = os.path.join(tmp, "state")
_processes = []
_count = 0


def _end():
    for p in _processes:
        if p.poll() is None:
            p.kill()
            p.wait()
    shutil.rmtree(tmp, ignore_errors=True)


atexit.register(_end)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def result(good, what, why=""):
    global _count
    _count += 1
    print(f"{'ok' if good else 'not ok'} {_count} - {what}")
    if not good:
        for line in str(why).splitlines()[-40:]:
            print("# " + line)
    sys.stdout.flush()
    return good


def equal(got, wanted, what):
    return result(got == wanted, what, f"got:\n{got}\nwanted:\n{wanted}")


def skip(what, why):
    global _count
    _count += 1
    print(f"ok {_count} - {what} # SKIP {why}")


def finish():
    print(f"1..{_count}")
    sys.exit(0)


def start(args, **more):
    p = subprocess.Popen(args, **more)
    _processes.append(p)
    return p


def command(*args, **more):
    """rtkvm with a state directory of its own; (status, all that it said)."""
    p = subprocess.run([rtkvm, "--state-dir", state, *args], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                       **more)
    return p.returncode, p.stdout


def watcher(*args, **more):
    """rtkvm that stays; what it says goes to its file "said"."""
    out = tempfile.NamedTemporaryFile(dir=tmp, mode="w+", delete=False)
    p = start([rtkvm, "--state-dir", state, *args], stdin=subprocess.DEVNULL, stdout=out,
              stderr=subprocess.STDOUT, **more)
    p.said = lambda: open(out.name).read()
    return p


def wait_until(what, seconds=20.0):
    """A condition, not a time: how long it takes does not matter."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return bool(what())


# ---- what the kernel says of threads ------------------------------------------------

def _stat(task):
    with open(task + "/stat") as f:
        text = f.read()
    return text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()


def _status(task, key):
    with open(task + "/status") as f:
        return next(line.split(None, 1)[1].strip() for line in f if line.startswith(key + ":"))


class _Attr(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("policy", ctypes.c_uint32), ("flags", ctypes.c_uint64),
                ("nice", ctypes.c_int32), ("priority", ctypes.c_uint32), ("a", ctypes.c_uint64),
                ("b", ctypes.c_uint64), ("c", ctypes.c_uint64)]


_libc = ctypes.CDLL(None, use_errno=True)
_getattr = {"x86_64": 315, "aarch64": 275}.get(os.uname().machine, 0)


def attr(tid):
    a = _Attr(size=48)
    if _libc.syscall(_getattr, tid, ctypes.byref(a), 48, 0) < 0:
        raise OSError(ctypes.get_errno(), "sched_getattr")
    return {0: "ts", 1: "ff", 2: "rr"}.get(a.policy, str(a.policy)), a.priority, a.flags & 1, a.nice


def threads(pid):
    """tid -> name, of a process and of what the kernel made in its name."""
    found = {}
    for task in glob.glob(f"/proc/{pid}/task/[0-9]*"):
        try:
            found[int(os.path.basename(task))] = _stat(task)[0]
        except (OSError, ValueError):
            pass
    found.update(kernel_threads(found))
    return found


def kernel_threads(tids):
    """tid -> name, of those that the kernel made in the name of one of these."""
    found = {}
    with open("/proc/2/task/2/children") as f:
        for tid in f.read().split():
            try:
                name = open(f"/proc/{tid}/comm").read().strip()
            except OSError:
                continue
            kind, _, of = name.replace("/", "-").rpartition("-")
            if kind in ("kvm-pit", "vhost") and of.isdigit() and int(of) in tids:
                found[int(tid)] = name
    return found


def snapshot(pid):
    """All that attach may change of each thread that is there: policy, priority,
    reset-on-fork, nice value, CPUs, cgroup; by number and start time."""
    found = {}
    for tid, _ in threads(pid).items():
        task = f"/proc/{tid}"
        try:
            found[tid, int(_stat(task)[1][19])] = (attr(tid), _status(task, "Cpus_allowed_list"),
                                                   open(task + "/cgroup").read())
        except (OSError, ValueError, StopIteration):
            pass
    return found


def differences(before, after):
    """Of the threads that are in both."""
    return {k: (before[k], after[k]) for k in before if k in after and before[k] != after[k]}


# ---- QEMU -----------------------------------------------------------------------------

# A guest of one sector: at each tick of its timer it reads a sector and sends a dot.
BOOT = bytes.fromhex("fb31c08ec0" "52b80102bb0080b90200b600cd13b02ebaf803ee5af4ebe8").ljust(510, b"\0") + b"\x55\xaa"


class Qmp:
    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30)
        self.s.connect(path)
        self.f = self.s.makefile("rw")
        self.f.readline()
        self.ask("qmp_capabilities")

    def ask(self, what, **arguments):
        self.f.write(json.dumps({"execute": what, "arguments": arguments}) + "\n")
        self.f.flush()
        while True:
            answer = json.loads(self.f.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(answer["error"]["desc"])


def qemu_binary():
    return os.environ.get("RTKVM_TEST_QEMU") or shutil.which("qemu-system-x86_64")


def accelerator():
    return "kvm" if os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"


class Qemu:
    """Two sockets: one for rtkvm, one for the test."""

    def __init__(self, name, *more, names=True, launcher=(), wait=True, user=None, smp="1,maxcpus=2"):
        self.names = names
        self.dir = os.path.join(tmp, name)
        os.makedirs(self.dir, exist_ok=True)
        self.rt, mine, self.serial = (os.path.join(self.dir, f) for f in ("rt", "mine", "serial"))
        for f in (self.rt, mine, self.serial):
            if os.path.exists(f):
                os.unlink(f)
        disk = os.path.join(self.dir, "disk")
        with open(disk, "wb") as f:
            f.write(BOOT)
            f.truncate(32 << 20)
        if user is not None:
            for f in (self.dir, disk):
                os.chown(f, user, user)
            os.chmod(tmp, 0o755)
        self.args = [
            qemu_binary(), "-accel", accelerator(), "-nodefaults", "-display", "none",
            "-name", f"{name},debug-threads={'on' if names else 'off'}", "-m", "32", "-smp", smp,
            "-chardev", f"file,id=out,path={self.serial}", "-device", "isa-serial,chardev=out",
            "-object", "iothread,id=io1",
            "-drive", f"file={disk},format=raw,if=none,id=d,cache=none,aio=threads",
            "-device", "ide-hd,drive=d", "-qmp", f"unix:{self.rt},server,nowait",
            "-qmp", f"unix:{mine},server,nowait", *more]
        self.log = open(os.path.join(self.dir, "log"), "w")
        self.process = start([*launcher, *self.args], stdin=subprocess.DEVNULL, stdout=self.log,
                             stderr=subprocess.STDOUT, user=user, group=user)
        self.pid = self.process.pid
        if not wait:
            return
        if not wait_until(lambda: os.path.exists(mine) or self.process.poll() is not None) or \
                not wait_until(lambda: self._connect(mine) or self.process.poll() is not None):
            self._fail()
        if self.process.poll() is not None:
            self._fail()
        if launcher:
            self.pid = int(open(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read().split()[0])

    def _fail(self):
        print(f"Bail out! QEMU does not start: {open(self.log.name).read()}")
        sys.exit(99)

    def _connect(self, path):
        try:
            self.qmp = Qmp(path)
            return True
        except (OSError, ValueError):
            return False

    def dots(self):
        try:
            return os.path.getsize(self.serial)
        except OSError:
            return 0

    def alive(self):
        """It makes progress from now on."""
        was = self.dots()
        return wait_until(lambda: self.dots() > was)

    def roles(self):
        """tid -> role, by QMP and by names."""
        known = {}
        worker = "worker" if self.names else threads(self.pid)[self.pid]
        for tid, name in threads(self.pid).items():
            known[tid] = "aio" if name == worker else "io" if name.startswith(("kvm-pit/", "vhost-")) else "helper"
        known[self.pid] = "main"
        for cpu in self.qmp.ask("query-cpus-fast"):
            known[cpu["thread-id"]] = "vcpu"
        for io in self.qmp.ask("query-iothreads"):
            known[io["thread-id"]] = "io"
        for tid, name in threads(self.pid).items():
            if name.startswith("IO "):
                known[tid] = "io"
        return known

    def burst(self):
        """Many reads at once, so that there are AIO workers."""
        for i in range(24):
            self.qmp.ask("human-monitor-command",
                         **{"command-line": f'qemu-io d "aio_read -q {i}M 1M"'})

    def kill(self, sig=signal.SIGKILL):
        self.process.send_signal(sig)
        self.process.wait()


def misplaced(qemu, plan):
    """Threads that are not as the plan says. plan: role -> (policy, priority)."""
    wrong = []
    for tid, role in qemu.roles().items():
        try:
            is_ = attr(tid)
        except OSError:
            continue  # it ended
        want = plan[role]
        if is_[:2] != want or is_[2] != int(want[0] != "ts"):
            wrong.append((tid, threads(qemu.pid).get(tid), role, is_, want))
    return wrong


def may_raise():
    p = subprocess.run(["chrt", "-f", "9", "true"], stderr=subprocess.DEVNULL)
    return p.returncode == 0
