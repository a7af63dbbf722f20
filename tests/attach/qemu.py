# SPDX-License-Identifier: LGPL-2.1-or-later
"""rtkvm attach on an unmodified QEMU: each thread read back from the kernel at its
planned policy and priority, also those made later; attached and detached many
times under load, and killed at random moments, with the host as it was after."""
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vmm import *  # noqa: E402,F403

PLAN = "maxprio=5,policy=rr,aioprio=2,aiopolicy=ff"
WANT = {"main": ("rr", 5), "io": ("rr", 5), "vcpu": ("rr", 4), "aio": ("ff", 2), "helper": ("ts", 0)}
ROUNDS = int(os.environ.get("ATTACH_ROUNDS", "50" if os.environ.get("RTKVM_LONG_TESTS") else "20"))
KILLS = int(os.environ.get("ATTACH_KILLS", "100" if os.environ.get("RTKVM_LONG_TESTS") else "12"))
seed = int(os.environ.get("ATTACH_SEED", str(random.randrange(1 << 31))))
random.seed(seed)
print(f"# {subprocess.run([qemu_binary(), '--version'], capture_output=True, text=True).stdout.splitlines()[0]}, "
      f"accelerator {accelerator()}, seed {seed}")
more = sys.argv[1:]  # options of attach, such as --cpus 1


def attach(*args):
    return command("attach", *args, "--plan", PLAN, "--quiet", *more)


def leased():
    return command("status")[1].strip()


def rounds():
    q = Qemu("rounds", smp="1")
    result(q.alive(), "the guest runs")
    load = [start(["sh", "-c", "while :; do :; done"]) for _ in range(2)]
    bad = []
    dots = q.dots()
    for n in range(ROUNDS):
        q.burst()
        before = snapshot(q.pid)
        status, said = attach("--qmp", q.rt) if n % 2 else attach("--qmp", q.rt, "--pid", str(q.pid))
        during = snapshot(q.pid)
        wrong = misplaced(q, WANT)
        listed = leased()
        # an AIO worker that was made after attach had looked is nobody's without --watch
        wrong = [w for w in wrong if not (w[2] == "aio" and f"thread-sched {w[0]} " not in listed)]
        end, told = command("detach", *(("--qmp", q.rt) if n % 3 else ("--pid", str(q.pid))))
        after = snapshot(q.pid)
        if status or end or wrong or differences(before, after) or not differences(before, during) or \
                "not watched" not in listed or leased() != "nothing is leased":
            bad.append((n, status, said, end, told, wrong, differences(before, after), listed))
    result(not bad, f"attached and detached {ROUNDS} times under load: as planned, and as before after", bad[:2])
    result(q.alive() and q.dots() > dots, "the guest is alive")
    equal(q.qmp.ask("query-status")["status"], "running", "QEMU says so, too")
    for p in load:
        p.kill()
        p.wait()
    # the control: what is compared would have shown a thread that was not given back
    before = snapshot(q.pid)
    attach("--qmp", q.rt)
    result(differences(before, snapshot(q.pid)), "control: while attached the host differs")
    result(not misplaced(q, WANT) and misplaced(q, {**WANT, "vcpu": ("rr", 5)}),
           "control: a vCPU at another priority would be seen")
    tid = q.qmp.ask("query-cpus-fast")[0]["thread-id"]
    subprocess.run(["chrt", "-f", "-p", "7", str(tid)], check=True)
    status, said = command("detach", "--qmp", q.rt)
    result(status == 1 and f"thread-sched {tid}" in said and "left alone" in said and attr(tid)[:2] == ("ff", 7),
           "what someone else changed is left alone, and reported", said)
    q.kill()


def watched(names):
    q = Qemu("watched" if names else "unnamed", names=names)
    what = "" if names else "threads without names: "
    rule = () if names else ("--rule", f"{threads(q.pid)[q.pid]}=aio")
    before = snapshot(q.pid)
    w = watcher("attach", "--qmp", q.rt, "--plan", PLAN, "--watch", *rule, *more)
    check = lambda: not misplaced(q, WANT)
    result(wait_until(lambda: "held" in leased()) and wait_until(check),
           what + "main, I/O, vCPU, AIO and helper threads are as planned", misplaced(q, WANT))
    result(f"by process {w.pid}" in leased(), what + "status says who watches", leased())
    tids = set(threads(q.pid))
    q.qmp.ask("object-add", **{"qom-type": "iothread", "id": "later"})
    free = [c for c in q.qmp.ask("query-hotpluggable-cpus") if "qom-path" not in c]
    if more:
        print("# one CPU only: no second vCPU")
    else:
        q.qmp.ask("device_add", driver=free[0]["type"], id="cpu1", **free[0]["props"])
    q.burst()
    later = set(q.roles()) - tids
    roles = q.roles()
    result({"io"} <= {roles[t] for t in later} and (more or {"vcpu"} <= {roles[t] for t in later}),
           what + "threads were made after it", roles)
    result(wait_until(check), what + "an iothread, a vCPU and AIO workers made later are as planned", misplaced(q, WANT))
    status, said = attach("--pid", str(q.pid))
    result(status == 2 and "already" in said, what + "attached twice is refused", said)
    w.send_signal(signal.SIGTERM)
    result(wait_until(lambda: w.poll() is not None) and w.returncode == 0, what + "SIGTERM ends the watch", w.said())
    after = snapshot(q.pid)
    result(not differences(before, after), what + "threads are as before", differences(before, after))
    late = [a for (tid, _), a in after.items() if tid in later and (a[0][:3] != ("ts", 0, 0))]
    result(not late, what + "threads made later are ordinary ones", late)
    equal(leased(), "nothing is leased", what + "nothing is leased")
    if not names:
        result("debug-threads" in command("attach", "--qmp", q.rt, "--plan", PLAN)[1], what + "said, with the remedy")
        command("detach", "--qmp", q.rt)
    q.kill()


def killed():
    """QEMU, or who watches it, ends at a random moment of attach, watch and detach."""
    bad, q, pid = [], None, 0
    for n in range(KILLS):
        if q is None:
            q = Qemu("killed", smp="1")
        before = snapshot(q.pid)
        w = watcher("attach", "--qmp", q.rt, "--plan", PLAN, "--watch", "--quiet", *more)
        time.sleep(random.random() * 0.3)
        if random.random() < 0.3:
            w.send_signal(signal.SIGTERM)  # QEMU is killed while it is given back
            time.sleep(random.random() * 0.02)
        if random.random() < 0.7:
            pid = q.pid
            q.kill()
            q = None
            if not wait_until(lambda: w.poll() is not None):
                bad.append((n, "the watch does not end", w.said()))
                w.kill()
            w.wait()
        else:
            w.kill()
            w.wait()
        command("restore")
        left = leased()
        if left != "nothing is leased":
            bad.append((n, left, w.said()))
        if q and differences(before, snapshot(q.pid)):
            bad.append((n, differences(before, snapshot(q.pid))))
        if not q and not wait_until(lambda: not kernel_threads([pid])):
            bad.append((n, "the kernel's thread is left"))
    result(not bad, f"QEMU or its watch killed {KILLS} times at random moments: nothing is left", bad[:3])
    if q:
        q.kill()


if __name__ == "__main__":
    parts = os.environ.get("ATTACH_PARTS", "rounds watched killed").split()
    if "rounds" in parts:
        rounds()
    if "watched" in parts:
        watched(True)
        watched(False)
    if "killed" in parts:
        killed()
    print(f"# figure: {ROUNDS} rounds, {KILLS} kills, seed {seed}")
    finish()
