#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Models of the bell of queues, of events with a descriptor, of the hand-off of
# semaphores and of ports, searched through by spin; and mutants of them, each of
# which spin must refute.
. "${top_srcdir:?run this by make check}/tests/support/tap.sh"

. "$top_srcdir/tests/sync/spin.sh"

if ! have spin; then
	skip "the models" "no spin"
	finish
fi
equal "the bell of a queue" "$(search queue-bell "")" holds
equal "mutant: the consumer looks before it arms" \
	"$(search queue-bell -DLOOK_FIRST)" "invalid end state"
equal "mutant: the producer looks before it publishes" \
	"$(search queue-bell -DRING_FIRST)" "invalid end state"
equal "mutant: two producers ring for one wait" \
	"$(search queue-bell -DNO_EXCHANGE)" "assertion violated"
equal "an event with a descriptor" "$(search event-fd "")" holds
equal "mutant: the flag goes down first" "$(search event-fd -DFLAG_FIRST)" "invalid end state"
equal "a semaphore with hand-off" "$(search semaphore "")" holds
equal "mutant: waiters are not looked for again" \
	"$(search semaphore -DNO_SECOND_WAKE)" "invalid end state"
equal "mutant: nor when the grant went another way" \
	"$(search semaphore -DNO_THIRD_WAKE)" "invalid end state"
equal "mutant: a wake-up is a token" "$(search semaphore -DNO_GRANT)" "assertion violated"
equal "a port" "$(search port "")" holds
equal "mutant: the id is not looked at again" "$(search port -DNO_RECHECK)" "assertion violated"
equal "mutant: the kernel comes to the reply word first" \
	"$(search port -DREPLY_FIRST)" "assertion violated"
equal "mutant: a reply is taken by the state" "$(search port -DBY_STATE)" "assertion violated"
equal "mutant: posts while the server is at it" "$(search port -DNO_PREPARE)" "assertion violated"
equal "mutant: the slot is taken for free by the state" \
	"$(search port -DPREPARE_BY_STATE)" "assertion violated"
finish
