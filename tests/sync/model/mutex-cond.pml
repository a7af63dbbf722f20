/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Model of the mutex and the condition variable, for spin: three threads, the
 * futex operations of the kernel, and every order in which their steps can
 * fall. Each step carries the label that it has in the C code (M1 to M8 in
 * lib/sync/mutex-slow.c, W1 to W6 and S1 to S4 in lib/sync/cond.c).
 *
 * The kernel's operations are one step each: they hold the futex's bucket. It
 * may pick any waiter where the real one picks the first by priority, a time
 * may run out at any moment, and a signal may interrupt any sleep.
 *
 *   CONSUMERS, PRODUCERS  threads; three in sum
 *   TIMED                 waits may run out of time
 *   DIES                  a producer may end while it holds the (robust) mutex
 *   NO_SEQ_CHECK, NO_OWNER_DIED, NO_OWNER_CHECK
 *                         mutants: the same as RTKVM_MUTANT_... in the C code
 *   RESAMPLE              mutant: each round of a wait notes seq anew. A signal
 *                         without the mutex between the last look and the note
 *                         is lost then.
 *   NO_LOOK_AFTER         mutant: who takes the bit of waiters away does not look
 *                         whether somebody has come meanwhile
 *
 * Checked: nobody stays behind (no invalid end state), never two in the
 * critical section, no thread that was woken says "timed out", what a dead
 * owner left is not taken for good.
 */
#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#define THREADS (CONSUMERS + PRODUCERS)
#define ITEMS 2 /* all in all */
#define NOBODY 255

mtype = { START, M1, M2, M3, M4, M5, M6, M7, M8, W1, W2, W3, W4, W5, W6, S1, S2, S3, S4, DONE };
mtype:result = { OK, AGAIN, LATE, DEAD };

/* The mutex's word: owner, and its bits. */
byte owner = NOBODY;
bool waiters, died;
/* Threads that may be in the kernel's queue for it. */
byte queued;
/* The condition variable. */
byte seq, nwait, sample[THREADS];

/* The kernel: where each thread sleeps, who was given the mutex, and who from the queue for it. */
bool on_cond[THREADS], on_lock[THREADS], given[THREADS], handed[THREADS];

/* What is protected. */
byte tokens, inside;
bool broken, stopped;

/* Of the threads: the step (for the trail), and whether a wake-up was meant for it. */
mtype at[THREADS] = START;
bool woken[THREADS]; /* by a signal that came after it began to wait */
byte interrupts[THREADS];

/* Any thread that sleeps in the queue; i is NOBODY if there is none. */
#define PICK(queue, i) \
	if \
	:: queue[0] -> i = 0 \
	:: queue[1] -> i = 1 \
	:: queue[2] -> i = 2 \
	:: else -> i = NOBODY \
	fi

/*
 * The bit of waiters is set by the first of them. Whoever finds another in the
 * queue relies on it; one that was handed the mutex is in it until it runs.
 */
inline set_waiters() {
	if
	:: on_lock[0] || on_lock[1] || on_lock[2] || handed[0] || handed[1] || handed[2]
	:: else -> waiters = true
	fi
}

/* FUTEX_UNLOCK_PI, and the end of an owner: to a waiter, whose word has WAITERS set. */
inline hand_over(i) {
	PICK(on_lock, i);
	if
	:: i == NOBODY -> owner = NOBODY; waiters = false
	:: else -> owner = i; waiters = true; on_lock[i] = false; given[i] = true;
		handed[i] = true
	fi
}

inline lock(me, ret) {
	atomic {
		ret = OK;
		at[me] = M1;
		if
		:: owner == NOBODY && !waiters && !died -> owner = me; cleared = true
		:: else -> cleared = false; queued++
		fi
	}
	if
	:: cleared
	:: else ->
		atomic {
			at[me] = M2;
			if
			:: owner == NOBODY -> owner = me; given[me] = true
			:: else -> set_waiters(); on_lock[me] = true
			fi
		}
		atomic { given[me] -> given[me] = false; handed[me] = false }
		take_bit_away(me)
	fi;
	acquired(me, ret)
}

/* The owner, who leaves the queue. */
inline take_bit_away(me) {
	atomic { queued--; cleared = queued == 0 }
	if
	:: cleared ->
		atomic {
			at[me] = M7;
			if
			:: owner == me && waiters && !died -> waiters = false
			:: else -> cleared = false
			fi
		}
#ifndef NO_LOOK_AFTER
		if
		:: cleared ->
			at[me] = M8;
			if
			:: queued > 0 -> waiters = true
			:: else
			fi
		:: else
		fi
#endif
	:: else
	fi
}

inline acquired(me, ret) {
#ifndef NO_OWNER_DIED
	atomic { at[me] = M3; if :: died -> died = false; ret = DEAD :: else fi }
#else
	atomic { at[me] = M3; died = false }
#endif
	/* M4 (not recoverable) is not modelled: whoever learns of a death repairs */
	atomic {
		inside++;
		assert(inside == 1);
		assert(!broken || ret == DEAD);
		if :: ret == DEAD -> broken = false; stopped = true :: else fi
	}
}

inline unlock(me, i) {
	inside--;
	atomic {
		at[me] = M5;
		if
		:: owner == me && !waiters && !died -> owner = NOBODY; goto_m6 = false
		:: else -> goto_m6 = true
		fi
	}
	if
	:: goto_m6 -> atomic { at[me] = M6; hand_over(i) }
	:: else
	fi
}

inline wake(me, i, expected, all) {
	at[me] = S1;
	if
	:: nwait == 0
	:: else ->
		atomic { at[me] = S2; seq++; expected = seq }
again:		atomic {
			at[me] = S3;
			if
			:: seq != expected -> at[me] = S4; expected = seq; goto again
			:: else ->
				PICK(on_cond, i);
				if
				:: i == NOBODY
				:: else ->
					on_cond[i] = false;
					woken[i] = sample[i] != expected;
					if
					:: owner == NOBODY -> owner = i; given[i] = true; waiters = all
					:: else -> set_waiters(); on_lock[i] = true
					fi;
					if
					:: all -> requeue_rest()
					:: else
					fi
				fi
			fi
		}
	fi
}

inline requeue_one(n) {
	if
	:: on_cond[n] -> on_cond[n] = false; woken[n] = sample[n] != seq; on_lock[n] = true
	:: else
	fi
}
inline requeue_rest() {
	requeue_one(0);
	requeue_one(1);
	requeue_one(2)
}

inline cond_wait(me, ret, i) {
	atomic { at[me] = W1; nwait++; woken[me] = false }
	atomic { at[me] = W2; sample[me] = seq }
	do
	:: true ->
		atomic { at[me] = W3; queued++ }
		unlock(me, i);
		/* FUTEX_WAIT_REQUEUE_PI */
restart:	atomic {
			at[me] = W4;
			if
			:: seq != sample[me] -> slept = AGAIN
			:: else -> slept = OK; on_cond[me] = true
			fi
		}
		if
		:: slept == OK ->
			if
			:: atomic { given[me] -> given[me] = false; handed[me] = false }
#ifdef TIMED
			:: atomic { on_cond[me] -> on_cond[me] = false; slept = LATE }
			:: atomic { on_lock[me] -> on_lock[me] = false; slept = LATE }
#endif
			:: atomic { on_cond[me] && interrupts[me] < 1 ->
				interrupts[me]++; on_cond[me] = false; goto restart }
			:: atomic { on_lock[me] && interrupts[me] < 1 ->
				interrupts[me]++; on_lock[me] = false; slept = AGAIN }
			fi
		:: else
		fi;
		at[me] = W5;
		if
		:: slept == OK -> take_bit_away(me); ret = OK; acquired(me, ret)
#ifdef NO_OWNER_CHECK
		:: else -> atomic { queued--; owner = me; waiters = false; ret = OK }; acquired(me, ret)
#else
		:: else -> queued--; lock(me, ret)
#endif
		fi;
		at[me] = W6;
		if
		:: ret == DEAD -> break
#ifndef NO_SEQ_CHECK
		:: ret == OK && seq != sample[me] -> break
		:: ret == OK && seq == sample[me] && slept != AGAIN -> ret = slept; break
		:: ret == OK && seq == sample[me] && slept == AGAIN
#else
		:: ret == OK && slept != AGAIN -> ret = slept; break
		:: ret == OK && slept == AGAIN
#endif
		fi;
#if defined(RESAMPLE) || defined(NO_SEQ_CHECK)
		sample[me] = seq
#endif
	od;
	assert(!(ret == LATE && woken[me]));
	nwait--
}

proctype consumer(byte me) {
	byte i, mine;
	bool goto_m6, cleared;
	mtype:result ret, slept;

	lock(me, ret);
	do
	:: stopped -> break
	:: !stopped && tokens > 0 ->
		tokens--;
		mine++;
		if
		:: mine == ITEMS / CONSUMERS -> break
		:: else
		fi
	:: !stopped && tokens == 0 -> cond_wait(me, ret, i)
	od;
	unlock(me, i);
	at[me] = DONE
}

proctype producer(byte me) {
	byte i, expected, made;
	bool goto_m6, cleared, early, all;
	mtype:result ret;

	do
	:: made == ITEMS / PRODUCERS -> break
	:: else ->
		lock(me, ret);
		tokens++;
		made++;
#ifdef DIES
		if
		:: atomic {
			inside--;
			broken = true;
			died = true;
			hand_over(i);
			break
		   }
		:: true
		fi;
#endif
		/* with the mutex or without; one or all */
		if :: early = true :: early = false fi;
		if :: all = true :: all = false fi;
		if :: !early -> unlock(me, i) :: else fi;
		wake(me, i, expected, all);
		if :: early -> unlock(me, i) :: else fi
	od;
	at[me] = DONE
}

init {
	atomic {
#if CONSUMERS == 2
		run consumer(0);
		run consumer(1);
		run producer(2)
#else
		run consumer(0);
		run producer(1);
		run producer(2)
#endif
	}
}
