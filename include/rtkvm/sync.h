/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file sync.h
 * Synchronisation without priority inversion: all of its groups.
 *
 * The functions that real-time threads call return 0 or a negative errno and
 * set no rtkvm_last_error(); the others do both. None is a cancellation point.
 *
 * Objects have a fixed size and are allocated by the caller. All bytes 0 is
 * the usual object, so static and zeroed memory needs no initialisation. An
 * object may be in memory shared between processes, at different addresses,
 * when it was initialised with its SHARED flag; all of them must be in one PID
 * namespace. An object must not be copied or moved while in use. It need not
 * be aligned to more than its type is; on a cache line of its own (64 bytes)
 * it is fastest.
 *
 * Threads are known by their kernel id, which is read once. A child made by
 * fork(2) is another thread and holds nothing. What is in shared memory goes
 * on as if another process had come. Of an object in private memory it has a
 * copy, as it was at that moment:
 *
 * - A mutex that was held is held by a thread of the parent: initialise it
 *   again. The child's own priority is the one without ceilings.
 * - A condition variable that threads waited for: initialise it again.
 * - An event, a semaphore: set or not, with as many tokens as it had. If threads
 *   waited, each set or post makes a system call for nobody, and
 *   rtkvm_semaphore_trywait() lets them go first for ever when it hands off.
 *   Initialise it again to have neither.
 * - An event with a descriptor: the descriptor is the same in both, the flag is
 *   not. Destroy it, which leaves the parent's alone, and initialise it.
 * - A queue: with the items that it had. If another thread was in the middle of
 *   a push, that place never gets filled: initialise it again.
 * - A port: without a server; rtkvm_port_open() makes the child it.
 *
 * A child made by calling clone(2) directly must not use them.
 */
#ifndef RTKVM_SYNC_H
#define RTKVM_SYNC_H

#include <rtkvm/sync_cond.h>
#include <rtkvm/sync_event.h>
#include <rtkvm/sync_mutex.h>
#include <rtkvm/sync_queue.h>
#include <rtkvm/sync_request.h>

#endif
