#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The doctor command on made-up trees: its outputs, exit statuses, and a QMP
# socket. System calls grow with CPUs and IRQs, not faster.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
export ASAN_OPTIONS=detect_leaks=0
rtkvm=$top_builddir/tools/rtkvm
simtree=$top_builddir/tests/host/simtree

for shape in intel laptop; do
	mkdir "$tmp/$shape"
	check "a tree: $shape" "$simtree" $shape "$tmp/$shape"
done

# run STATUS WHAT ARG...: output in $out
run() {
	local want=$1 what=$2 got=0
	shift 2
	out=$("$rtkvm" "$@" 2>&1) || got=$?
	equal "$what: status" "$got" "$want"
}
on() { # SHAPE STATUS WHAT ARG...
	local shape=$1 status=$2 what=$3
	shift 3
	run "$status" "$what" --root "$tmp/$shape" doctor "$@"
}

# ---- for people -----------------------------------------------------------------
on intel 0 "a host that is well"
contains "the summary" "$out" "0 fail, 0 warn, 0 unknown, "
contains "its CPUs" "$out" "CPUs 0-7, meant for real-time: 4-7"
on laptop 1 "a host that is not"
contains "worst first" "$(sed -n 3p <<<"$out")" "fail    "
contains "a command as remedy" "$out" "        # echo 2 > /sys/kernel/mm/ksm/run"
contains "a boot parameter as remedy" "$out" "kernel command line: isolcpus=managed_irq,domain,1-3"
equal "no colour but on a terminal" "$(grep -c $'\033' <<<"$out")" 0
if have script; then
	coloured=$(TERM=xterm script -qec "$rtkvm --root $tmp/laptop doctor" /dev/null </dev/null)
	contains "colour on a terminal" "$coloured" $'\033[1;31mfail'
	coloured=$(NO_COLOR=1 TERM=xterm script -qec "$rtkvm --root $tmp/laptop doctor" /dev/null </dev/null)
	equal "none with NO_COLOR" "$(grep -c $'\033' <<<"$coloured")" 0
fi
on intel 0 "--all" --all
contains "what is fine" "$out" "ok      cpu-isolated"
on intel 0 "one check" --check mem-ksm
equal "one line" "$out" "ok      mem-ksm  ksmd does not run"
on laptop 1 "one check that fails" --check mem-ksm
on laptop 1 "explained" --explain mem-ksm
contains "why" "$out" "why     A guest's write to a merged page faults"
contains "source" "$out" "source  Documentation/"
on intel 0 "--cpus" --cpus 4-5 --check cpu-online
contains "those CPUs" "$out" "real-time CPUs 4-5"
on intel 0 "a VM" --pid 4000 --all
contains "its vCPUs" "$out" "2 vCPUs, each alone on one of CPUs 4-5"
on intel 0 "a VM as planned" --pid 4000 --plan maxprio=2 --check vm-vcpu-sched
on intel 1 "a VM not as planned" --pid 4000 --plan maxprio=80 --check vm-vcpu-sched
on intel 0 "the list" --list

# ---- the guide: each line of tuned's profile has a check that there is, or a reason
unknown_ids() { # FILE
	local id
	sed -n '/^## tuned/,$p' "$1" | grep -oE '`(cpu|sched|mem|irq|virt|kvm|vm)-[a-z0-9-]+`' | tr -d '`' |
		sort -u | while read -r id; do grep -q "^$id " <<<"$ids" || echo "$id"; done
}
ids=$("$rtkvm" --root "$tmp/intel" doctor --list --pid 4000)
equal "the guide names checks that there are" "$(unknown_ids "$top_srcdir/doc/doctor.md")" ""
{ cat "$top_srcdir/doc/doctor.md"; echo '| x | y | `mem-nothing` |'; } >"$tmp/guide"
equal "one that there is not would be noticed" "$(unknown_ids "$tmp/guide")" mem-nothing
equal "no line of the table is without an answer" \
	"$(sed -n '/^## tuned/,$p' "$top_srcdir/doc/doctor.md" | grep '^|' | grep -cE '\| *\|$')" 0

# ---- who holds C-states off on this host, if its device may be opened
if ! { exec 9<> /dev/cpu_dma_latency; } 2> /dev/null; then
	skip "the holder of cpu_dma_latency" "needs root and /dev/cpu_dma_latency"
else
	printf '\0\0\0\0' >&9
	out=$("$rtkvm" doctor --all --check cpu-cstates 2>&1)
	contains "the limit" "$out" "cpu_dma_latency: 0 us by "
	contains "the holder of cpu_dma_latency is named" "$out" "(pid $$)"
	exec 9>&-
	out=$("$rtkvm" doctor --all --check cpu-cstates 2>&1)
	refuse "and is no more when it has closed it" grep -qF "(pid $$)" <<< "$out"
fi

# ---- asked wrongly ----------------------------------------------------------------
on intel 2 "no such check" --check no-such
on intel 2 "no such format" --format yaml
on intel 2 "CPUs that are no list" --cpus x
on intel 2 "no such process" --pid 77
on intel 2 "a pid that is none" --pid 0
on intel 2 "an argument too many" now
on intel 2 "two ways at once" --check mem-ksm --explain mem-ksm
on intel 2 "no such socket" --qmp "$tmp/none"
mkdir "$tmp/empty"
on empty 0 "a tree that tells nothing"
on empty 1 "a check by name that is unknown is no success" --check mem-ksm

# ---- for programs -----------------------------------------------------------------
on laptop 1 "--json" --json
printf '%s' "$out" >"$tmp/json"
if have python3; then
check "it is JSON after the schema" python3 - "$tmp/json" "$top_srcdir/doc/doctor-schema.json" <<'END'
import json, sys
data, schema = (json.load(open(p)) for p in sys.argv[1:3])

def hold(value, s, where="$"):
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    if "$ref" in s:
        s = schema["$defs"][s["$ref"].rsplit("/", 1)[1]]
    assert isinstance(value, kinds[s["type"]]), where
    assert s["type"] != "integer" or not isinstance(value, bool), where
    assert "enum" not in s or value in s["enum"], where
    if s["type"] == "object":
        for key in s.get("required", []):
            assert key in value, where + "." + key
        for key, v in value.items():
            assert key in s["properties"], where + "." + key
            hold(v, s["properties"][key], where + "." + key)
    if s["type"] == "array":
        for i, v in enumerate(value):
            hold(v, s["items"], where + "[%d]" % i)

hold(data, schema)
assert data["status"] == 1 and len(data["checks"]) == sum(data["summary"].values())
# the control: the same reader refuses what the schema forbids
data["checks"][0]["verdict"] = "perhaps"
try:
    hold(data, schema)
except AssertionError:
    sys.exit(0)
sys.exit("a wrong verdict was not noticed")
END
else
	skip "it is JSON after the schema" "no python3"
fi
on laptop 1 "Prometheus" --format prometheus
equal "every line is of the format" "$(grep -vcE '^(# (HELP|TYPE) [a-z_]+ .*|[a-z_]+\{([a-z]+="[^"]*",?)+\} [0-9]+)$' <<<"$out")" 0
contains "a verdict" "$out" 'rtkvm_doctor_check{id="mem-ksm",category="memory",verdict="fail"} 1'
equal "one verdict each" "$(grep -c '^rtkvm_doctor_check{.* 1$' <<<"$out")" \
	"$("$rtkvm" --root "$tmp/laptop" doctor --list | wc -l)"
on laptop 1 "node features" --format nfd --output "$tmp/features"
check "the file is there" test -s "$tmp/features"
equal "nothing else is left" "$(find "$tmp" -maxdepth 1 -name "*.tmp")" ""
equal "every line is a label of Kubernetes" \
	"$(grep -vcE '^[a-zA-Z0-9][-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9]=[a-zA-Z0-9][-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9]?$' \
		"$tmp/features")" 0
contains "the sum of it" "$(cat "$tmp/features")" "rtkvm-realtime=fail"
on laptop 2 "an output that cannot be written" --format nfd --output /proc/none/features

# ---- QMP --------------------------------------------------------------------------
if have python3; then
cat >"$tmp/qmp.py" <<'END'
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1)
status = sys.argv[2]
answers = {"qmp_capabilities": {}, "query-cpus-fast": [{"cpu-index": 0, "thread-id": 4001}],
           "query-block": [{"inserted": {"drv": status == "active" and "qcow2" or "raw"}}],
           "query-migrate": {"status": status}, "query-dirty-rate": {"status": "unstarted"}}
c = s.accept()[0]; f = c.makefile("rw")
if status == "garbage":
    f.write("\x00{]\n"); f.flush(); sys.exit()
f.write(json.dumps({"QMP": {"version": {}}}) + "\n"); f.flush()
for line in f:
    name = json.loads(line)["execute"]
    answer = {"return": answers[name]} if name in answers else {"error": {"class": "CommandNotFound"}}
    f.write(json.dumps({"event": "RESUME"}) + "\n" + json.dumps(answer) + "\n"); f.flush()
END
qmp() { # STATUS-OF-MIGRATION
	rm -f "$tmp/sock"
	python3 "$tmp/qmp.py" "$tmp/sock" "$1" &
	for _ in $(seq 100); do [ -S "$tmp/sock" ] && break; sleep 0.05; done
}
qmp none
on intel 0 "QMP: no migration" --qmp "$tmp/sock" --pid 4000 --check vm-dirty-log
wait
qmp active
on intel 1 "QMP: a migration" --qmp "$tmp/sock" --pid 4000
contains "dirty logging" "$out" "vm-dirty-log"
contains "the disk's format" "$out" "qcow2"
wait
qmp garbage
on intel 2 "QMP: garbage" --qmp "$tmp/sock" --pid 4000
wait
else
	skip "a QMP socket" "no python3"
fi

# ---- what cannot be read ------------------------------------------------------------
# root may read everything: the errors are injected, into every call of a kind but the loader's
program=$top_builddir/tools/.libs/rtkvm
[ -x "$program" ] || program=$rtkvm # built without a shared library
path=$(cd "$top_builddir" && pwd)/.libs${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
traced() { # OPTION OF STRACE...: the doctor's output
	LD_LIBRARY_PATH=$path strace -f -o /dev/null "$@" "$program" --root "$tmp/intel" doctor --all
}
if ! have strace || ! strace -o /dev/null true 2>/dev/null; then
	skip "what cannot be read" "no strace, or ptrace is not allowed here"
else
	for error in EACCES EIO EMFILE; do
		got=0
		# the first opens the root itself
		out=$(traced -e inject=openat2:error=$error:when=2+ 2>&1) || got=$?
		equal "nothing can be opened, $error: status" $got 0
		equal "nothing can be opened, $error: all is unknown" \
			"$(grep -oE '[0-9]+ (fail|warn|ok|not applicable)' <<<"$out" | tr '\n' ' ')" \
			"0 fail 0 warn 0 ok 0 not applicable "
	done
	out=$(traced -e inject=getdents64:error=EIO 2>&1)
	equal "folders that cannot be listed are unknown" "$(grep -cE \
		'^unknown *(cpu-numa|cpu-ignore-ce|mem-hugepages|irq-affinity|irq-irqbalance|virt-iommu|virt-irq-remap) .*Input/output error' \
		<<<"$out")" 7
	# the control: without an error they are known
	equal "all is known otherwise" "$(traced | grep -c '^unknown')" 0
	# one error after the other: never a crash, never another status
	bad=''
	for error in read:error=EIO read:retval=0 openat2:error=EACCES fstat:error=EIO newfstatat:error=EIO; do
		for nth in 5+7 8+11 10+13 30+; do
			got=0
			traced -e "inject=${error%%:*}:${error#*:}:when=$nth" >"$tmp/injected" 2>&1 || got=$?
			# 127: the loader was hit
			[ $got -le 1 ] && tail -n 1 "$tmp/injected" | grep -q ' fail, ' || [ $got = 127 ] ||
				bad="$bad $error:$nth:$got"
		done
	done
	equal "single errors" "$bad" ""
fi

# ---- system calls -----------------------------------------------------------------
calls() { # CPUS IRQS
	mkdir "$tmp/t$1-$2"
	"$simtree" big "$tmp/t$1-$2" "$1" "$2"
	"$rtkvm" --root "$tmp/t$1-$2" doctor >/dev/null # a libtool script may relink at first
	strace -f -c -o "$tmp/strace" "$rtkvm" --root "$tmp/t$1-$2" doctor >/dev/null 2>&1
	awk '/ total$/ { print $4 }' "$tmp/strace"
}
if ! have strace || ! strace -o /dev/null true 2>/dev/null; then
	skip "system calls are linear" "no strace, or ptrace is not allowed here"
else
	# twice the host, twice the growth and hardly more
	linear() { # SMALL LARGE HUGE
		[ $(($2 - $1)) -gt 0 ] && [ $((4 * ($3 - $2))) -le $((9 * ($2 - $1))) ]
	}
	small=$(calls 64 1000) large=$(calls 128 2000) huge=$(calls 256 4000)
	echo "# figure: $small, $large, $huge system calls for 64, 128, 256 CPUs and 1000, 2000, 4000 IRQs"
	check "system calls are linear" linear "$small" "$large" "$huge"
	refuse "squares would be noticed" linear $((64 * 1000)) $((128 * 2000)) $((256 * 4000))
fi

# ---- time -------------------------------------------------------------------------
# The shortest of some runs: what is beside it on this machine only adds.
shortest() { # COMMAND...: ms, at least 1
	local best=99999 start end n
	for _ in $(seq 30); do
		start=${EPOCHREALTIME/[.,]/}
		"$@" >/dev/null 2>&1
		end=${EPOCHREALTIME/[.,]/}
		n=$(((end - start) / 1000 + 1))
		[ $n -ge $best ] || best=$n
		[ $best -gt 300 ] || break
	done
	echo $best
}
if ldd "$program" 2>/dev/null | grep -qE 'lib(asan|ubsan)'; then
	skip "256 CPUs and 4000 IRQs in 300 ms" "built with sanitizers"
else
	[ -d "$tmp/t256-4000" ] || { mkdir "$tmp/t256-4000" && "$simtree" big "$tmp/t256-4000" 256 4000; }
	# where it may be, above what else runs here: it is for less than a second
	first=()
	! chrt -f 1 true 2>/dev/null || first=(chrt -f 1)
	ms=$(LD_LIBRARY_PATH=$path shortest "${first[@]}" "$program" --root "$tmp/t256-4000" doctor)
	echo "# figure: 256 CPUs and 4000 IRQs in $ms ms of wall time"
	check "256 CPUs and 4000 IRQs in 300 ms" test "$ms" -le 300
	refuse "what takes longer would be noticed" test "$(shortest sleep 0.35)" -le 300
fi
finish
