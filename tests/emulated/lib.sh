# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154
#
# For test scripts that use an emulated host, after tests/support/tap.sh.

emulated=$top_srcdir/tests/emulated
flavour=${RTKVM_FLAVOUR:-ci}

# The script ends here, as one skip, where the host cannot be had. In CI that is
# no allowed skip.
need_host() { # HOST [OPTION OF THE RUNNER]...
	local why status=0
	if [ "${RTKVM_EMULATED:-}" = no ]; then
		skip "the $1 host" "emulated hosts are not asked for (RTKVM_EMULATED=no)"
		finish
	fi
	why=$("$emulated/run" --host "$@" --ready 2>&1) || status=$?
	case $status in
	0) return ;;
	77) skip "the $1 host" "no $1 host here: $(tail -n 1 <<< "$why")" ;;
	*) not_ok "the $1 host can be made ready" "$why" ;;
	esac
	finish
}

# Runs the runner: its status in $status, standard output in $out, the rest in $err.
# shellcheck disable=SC2034
host() { # ARGUMENT...
	status=0
	"$emulated/run" "$@" > "$tmp/host.out" 2> "$tmp/host.err" < /dev/null || status=$?
	out=$(tr -d '\0' < "$tmp/host.out")
	err=$(tr -d '\0' < "$tmp/host.err")
}

# What went wrong, as comments of the result before it.
said() {
	printf '%s\n' "$err" | tail -n "${1:-20}" | sed 's/^/# /'
}

# The script ends here, but in check-all: what follows takes minutes.
only_long() { # WHAT
	[ -z "${RTKVM_LONG_TESTS:-}" ] || return 0
	skip "$1" "takes minutes: check-all runs it"
	finish
}

# Prints a checksum of the 200 samples that tsc takes in a run.
samples() { # ARGUMENT...
	host "$@" --flavour "$flavour" --limit 20 "$top_builddir/tests/emulated/tsc"
	[ "$status" = 0 ] || said
	cksum <<< "$out"
}

# Prints what a shell on the console of a host prints when it is given a command, and
# "exit" after it. Typed at the prompt: what comes before would be lost.
shell_session() { # COMMAND ARGUMENT...
	local typed=$1 runner
	shift
	rm -f "$tmp/keys"
	mkfifo "$tmp/keys"
	: > "$tmp/screen"
	timeout 900 "$emulated/run" "$@" --shell < "$tmp/keys" > "$tmp/screen" 2>&1 &
	runner=$!
	{
		until grep -aq '/ # ' "$tmp/screen" || ! kill -0 $runner 2> /dev/null; do
			sleep 0.2
		done
		printf '%s\n' "$typed" exit
		wait $runner
	} > "$tmp/keys" 2> /dev/null
	tr -d '\0' < "$tmp/screen"
}

# The same samples three times, the third with all CPUs of this machine busy; and,
# as a control, not the same without the mode.
deterministic() { # ARGUMENT...
	local first second third busy=()
	first=$(samples --deterministic "$@")
	equal "a deterministic run takes its 200 samples" "$(wc -l < "$tmp/host.out")" 200
	second=$(samples --deterministic "$@")
	for _ in $(seq "$(nproc)"); do
		timeout 300 sh -c 'while :; do :; done' &
		busy+=($!)
	done
	third=$(samples --deterministic "$@")
	kill "${busy[@]}"
	wait "${busy[@]}" 2>/dev/null
	equal "run again: the same bit for bit" "$second" "$first"
	equal "on a loaded machine: the same bit for bit" "$third" "$first"
	first=$(samples "$@")
	sleep 1.1 # Bochs' seed is of the time in seconds
	second=$(samples "$@")
	if [ "$first" = "$second" ]; then
		not_ok "control: two runs that are not deterministic differ"
	else
		ok "control: two runs that are not deterministic differ"
	fi
}
