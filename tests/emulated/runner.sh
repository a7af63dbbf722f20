#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The runner of the emulated hosts: each way in which a run can fail is seen to
# fail, as itself, and what is well passes. Every kernel problem here is a real
# one, made by the kernel's own LKDTM.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"
. "$top_srcdir/tests/emulated/lib.sh"

# ---- asked wrongly: no boot ---------------------------------------------------

usage() { # WHAT ARGUMENT...
	local what=$1
	shift
	host "$@"
	equal "usage: $what" "$status" 2
}
usage "no host" true
usage "unknown host" --host mainframe true
usage "no command" --host svm
usage "no CPU" --host svm --cpus 0 true
usage "too many CPUs" --host svm --cpus 9 true
usage "no number" --host svm --limit soon true
usage "unknown option" --host svm --nothing true
usage "no such flavour" --host svm --flavour vanilla true

need_host svm

usage "no such program" --host svm ./no-such-program
printf '#!/usr/bin/perl\n' > "$tmp/script"
chmod +x "$tmp/script"
usage "a script whose interpreter is not there" --host svm "$tmp/script"
contains "and the interpreter is named" "$err" /usr/bin/perl

# ---- all well -------------------------------------------------------------------

commands=()
for i in $(seq 20); do
	commands+=("echo command $i of \$(nproc)")
done
host --host svm "${commands[@]}"
equal "20 commands that exit 0: status 0" "$status" 0
[ "$status" = 0 ] || said
equal "each ran once, in order, on all 4 CPUs" "$out" \
	"$(for i in $(seq 20); do echo "command $i of 4"; done)"
printf '%s\n' "$err" | sed 's/^/# /'
contains "the summary names the kernel" "$err" "$("$top_srcdir/kernel/rtkvm-kernel" hash "$flavour")"

# ---- one boot of commands that fail or are peculiar ------------------------------

printf 'a file\n' > "$tmp/data"
head -c 300000 /dev/urandom > "$tmp/random"
host --host svm --cpus 2 --limit 5 --out "$tmp/kept" --file "$tmp/data" --file "$tmp/random" \
	"true" \
	"exit 7" \
	"sleep 1000" \
	'kill -SEGV $$' \
	"cat data; id -u; printf '%s|' 'two words' \"\$((6 * 7))\"; echo" \
	'cat random > $OUT/random; mkdir $OUT/deep; echo below > $OUT/deep/file' \
	'head -c 200000 /dev/zero | tr "\0" x' \
	'printf "\0\001\377@@DONE\n"' \
	"$(type -P chrt) -p 1" \
	"echo last"
equal "failed commands: status 1" "$status" 1
[ "$status" = 1 ] || said
contains "exit 7 is told as 7" "$err" "[exit 7] exited 7"
contains "a command that hangs is told as that" "$err" "[sleep 1000] did not end within 5 s"
contains "a signal is told as 128 + its number" "$err" 'SEGV $$] exited 139'
equal "nothing else failed" "$(grep -c '^run: \[' <<< "$err")" 3
contains "files, quotes and root" "$out" "a file
0
two words|42|"
check "a file comes back as it was" cmp "$tmp/random" "$tmp/kept/006/out/random"
equal "so does one in a folder" "$(cat "$tmp/kept/006/out/deep/file" 2>&1)" below
equal "200000 bytes of output come back" "$(tr -cd x < "$tmp/kept/007/output" | wc -c)" 200000
equal "bytes of output come back as they were" \
	"$(od -An -tx1 "$tmp/kept/008/output" 2>&1)" " 00 01 ff 40 40 44 4f 4e 45 0a"
contains "a program of this machine runs with its libraries" "$out" "scheduling policy"
contains "what follows the failed ones has run" "$out" last
equal "the statuses are kept" "$(cut -d' ' -f1 "$tmp"/kept/00[1-4]/status | xargs)" "0 7 137 139"
check "the console is kept" grep -q "Linux version" "$tmp/kept/dmesg"

# ---- the kernel has a problem ------------------------------------------------------

crash=/sys/kernel/debug/provoke-crash/DIRECT
kernel_problem() { # WHAT TRIGGER TEXT
	host --host svm --cpus 2 --limit 20 "echo $2 > $crash"
	equal "$1: status 3" "$status" 3
	check "$1: the lines are shown" grep -E "$3" <<< "$err"
	[ "$status" = 3 ] || said 40
}
kernel_problem "a kernel warning" WARNING "WARNING: CPU:"
if [ "$flavour" = ci ]; then
	# a spinlock is kept on the way to user space: lockdep says so there, or before
	# if that way leads over something that may sleep
	kernel_problem "a lockdep report" SPINLOCKUP "lock held when returning to user space|BUG: Invalid wait context"
else
	skip "a lockdep report" "only the flavour ci has lockdep"
fi
kernel_problem "an oops" BUG "Oops"
kernel_problem "a panic" PANIC "Kernel panic"
host --host svm --cpus 2 --allow 'WARNING: CPU: .*lkdtm' "echo WARNING > $crash"
equal "control: the same warning, allowed: status 0" "$status" 0
[ "$status" = 0 ] || said 40

# ---- something hangs ------------------------------------------------------------------

# In the kernel, interrupts off, the only CPU: nothing in the host can tell.
host --host svm --cpus 1 --limit 1 "true" "echo HARDLOCKUP > $crash" "true"
equal "a host that hangs: status 4" "$status" 4
contains "the command it hangs in is named" "$err" "the host hung in [echo HARDLOCKUP"
# It waits for a debugger that does not come.
host --host svm --gdb --boot-limit 3 true
equal "a boot that hangs: status 4" "$status" 4
contains "and is told as that" "$err" "the boot hung"
host --host svm --cpus 1 "echo gone; reboot -f"
equal "a host that goes away: status 4" "$status" 4
contains "the command it went in is named" "$err" "the host ended in [echo gone"

# ---- another tree's kernel --------------------------------------------------------------

# A tree that differs from this one, and this one's kernel.
mkdir -p "$tmp/tree/tests" "$tmp/tree/kernel"
cp -r "$top_srcdir/kernel/." "$tmp/tree/kernel"
cp -r "$emulated" "$tmp/tree/tests/emulated"
chmod -R u+w "$tmp/tree"
echo "CONFIG_SLUB_DEBUG=y" >> "$tmp/tree/kernel/config/$flavour.config"
build=$("$top_srcdir/kernel/rtkvm-kernel" build "$flavour" 2>/dev/null)
status=0
err=$("$tmp/tree/tests/emulated/run" --host svm --kernel "$build" true 2>&1) || status=$?
equal "a kernel of another tree: status 5" "$status" 5
contains "and both hashes are named" "$err" "$("$tmp/tree/kernel/rtkvm-kernel" hash "$flavour")"
mkdir "$tmp/forged"
for f in "$build"/*; do
	ln -s "$f" "$tmp/forged/"
done
rm "$tmp/forged/info"
sed "s/^hash=.*/hash=$("$tmp/tree/kernel/rtkvm-kernel" hash "$flavour")/" "$build/info" > "$tmp/forged/info"
status=0
err=$("$tmp/tree/tests/emulated/run" --host svm --kernel "$tmp/forged" true 2>&1) || status=$?
equal "a kernel that is not what its folder says: status 5" "$status" 5
host --host svm --kernel "$build" --cpus 1 true
equal "control: that kernel in its own tree: status 0" "$status" 0

# ---- deterministic --------------------------------------------------------------------------

deterministic --host svm --cpus 1

# ---- for developers ----------------------------------------------------------------------

session=$(shell_session 'echo shell-$((6 * 7))' --host svm --cpus 1)
contains "a shell on the console" "$session" shell-42

if have gdb; then
	"$emulated/run" --host svm --cpus 1 --boot-limit 600 --gdb true > "$tmp/gdb.out" 2>&1 < /dev/null &
	runner=$!
	# it may have to wait for its turn; and its kernel is stopped until gdb is there
	socket=''
	until [ -S "$socket" ] || ! kill -0 $runner 2> /dev/null; do
		sleep 0.1
		socket=$(sed -n 's/^run: gdb .*target remote \([^"]*\)".*/\1/p' "$tmp/gdb.out")
	done
	seen=$(timeout 600 gdb -nx -batch "$build/vmlinux" -ex "target remote $socket" \
		-ex "hbreak start_kernel" -ex continue -ex "info symbol \$pc" -ex detach 2>&1)
	status=0
	wait $runner || status=$?
	contains "gdb stops at a function of the kernel" "$seen" "start_kernel"
	contains "by its symbol" "$seen" "start_kernel in section"
	equal "and the run goes on to its end" "$status" 0
else
	skip "gdb" "no gdb"
fi

finish
