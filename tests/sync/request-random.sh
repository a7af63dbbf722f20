#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Requests at random against a model (request-random.c), with a seed that is
# always the same and one that is not, which is printed. And the same with the
# library's sources changed in one place: each must be found out.
# RTKVM_LONG_TESTS: ten minutes of further seeds. REQUEST_SEED: that one instead.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

program=$top_builddir/tests/sync/request-random
status=0
"$program" 1 1 >/dev/null 2>&1 || status=$?
if [ $status = 77 ]; then
	skip "requests at random" "may not raise threads (SCHED_FIFO)"
	finish
fi
seed=${REQUEST_SEED:-$((RANDOM * 32768 + RANDOM))}
check "5000 steps" timeout -k 1 300 "$program" 1 5000
check "5000 steps of seed $seed" timeout -k 1 300 "$program" "$seed" 5000
if [ -n "${RTKVM_LONG_TESTS:-}" ]; then
	many() {
		local end=$((SECONDS + 600))
		while [ $SECONDS -lt $end ]; do
			seed=$((seed + 1))
			timeout -k 1 600 "$program" "$seed" 20000 || return
		done
	}
	check "ten minutes of seeds from $seed" many
fi

# NAME FILE COMMAND...: the library with a file edited by sed
compiles() {
	cp -r "$top_srcdir/lib/sync" "$tmp/$1" || return
	sed -i "$3" "$tmp/$1/$2" || return
	[ "$1" = none ] || ! cmp -s "$tmp/$1/$2" "$top_srcdir/lib/sync/$2" || return
	"${cc[@]}" -std=gnu11 -O2 -w -D_GNU_SOURCE -DRTKVM_STATEDIR='"/nowhere"' \
		-I"$top_srcdir/include" -I"$top_srcdir/lib" -I"$top_srcdir/tests" -pthread \
		-o "$tmp/$1/program" "$tmp/$1"/*.c "$top_srcdir"/lib/core/*.c \
		"$top_srcdir"/tests/sync/request-{random,model}.c "$top_srcdir/tests/sync/support.c"
}
mutant() {
	check "mutant: $4: compiles" compiles "$1" "$2" "$3"
	# with less patience: it is known what comes
	check "mutant: $4: is found out" fails "$1"
}
fails() {
	local status=0
	timeout -k 1 8 "$tmp/$1/program" 1 5000 3 || status=$?
	[ $status != 0 ] && [ $status != 4 ] && [ $status != 77 ]
}
check "compiled here without a mutation" compiles none port.c ''
check "it passes then" timeout -k 1 300 "$tmp/none/program" 1 5000
mutant alive port-server.c '/sync_robust_add(&p->alive.links)/d' \
	"nobody notices that a server has died"
mutant lends port-client.c 's/int err = futex_lock_pi(&p->reply.word, until->time, until->realtime,/int err = futex_wait(\&p->reply.word, server, until->time, until->realtime,/' \
	"a client waits without lending"
mutant abandoned port-client.c 's/if (port_change(p, PORT_TAKEN, PORT_ABANDONED)) {/if (0) {/' \
	"a client waits for a request in progress when its time is over"
mutant prepare port-client.c '/err = prepare(p, server, until);/,/return err;/d' \
	"a client posts while the server is at a request that was left"
mutant turn port.c '/sync_robust_add(&p->turn.links);/d' "nobody notices that a client has died"
finish
