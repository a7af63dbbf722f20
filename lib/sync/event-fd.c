/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events for poll(2): an eventfd, and a flag that says whether it has been
 * written to, so that only the first set after a take makes a system call.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rtkvm/sync_event.h>

#include "core/core.h"
#include "futex.h"

struct __attribute__((may_alias)) sync_event_fd {
	uint32_t set;
	int32_t fd_plus_1; /* 0: none */
	uint64_t reserved[7];
};
_Static_assert(sizeof(struct sync_event_fd) == sizeof(struct rtkvm_event_fd), "size of an event");

int rtkvm_event_fd_init(struct rtkvm_event_fd *event)
{
	struct sync_event_fd *e = (struct sync_event_fd *)event;
	int fd;

	if (!event)
		return rtkvm_fail(NULL, EINVAL, "rtkvm_event_fd_init", NULL, "event is NULL");
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0) {
		int err = errno;

		return rtkvm_fail(NULL, err, "eventfd", rtkvm_remedy_for(err),
				  "no descriptor for an event");
	}
	memset(e, 0, sizeof(*e));
	e->fd_plus_1 = fd + 1;
	return 0;
}

void rtkvm_event_fd_destroy(struct rtkvm_event_fd *event)
{
	struct sync_event_fd *e = (struct sync_event_fd *)event;

	if (!event || !e->fd_plus_1)
		return;
	close(e->fd_plus_1 - 1);
	memset(e, 0, sizeof(*e));
}

int rtkvm_event_fd_get(const struct rtkvm_event_fd *event)
{
	const struct sync_event_fd *e = (const struct sync_event_fd *)event;

	return event && e->fd_plus_1 ? e->fd_plus_1 - 1 : -EINVAL;
}

int rtkvm_event_fd_set(struct rtkvm_event_fd *event)
{
	static const uint64_t one = 1;
	struct sync_event_fd *e = (struct sync_event_fd *)event;

	if (!event || !e->fd_plus_1)
		return -EINVAL;
	sync_tsan_release(e);
	if (!__atomic_exchange_n(&e->set, 1, __ATOMIC_SEQ_CST))
		/* cannot fail: the counter has room for 2^64 - 2 */
		sync_syscall(SYS_write, e->fd_plus_1 - 1, (long)&one, sizeof(one), 0, 0, 0);
	return 0;
}

/*
 * First the descriptor, then the flag. The other way round a set between the
 * two would leave the flag up and the descriptor empty: never heard again.
 */
int rtkvm_event_fd_take(struct rtkvm_event_fd *event)
{
	struct sync_event_fd *e = (struct sync_event_fd *)event;
	uint64_t count;
	int set;

	if (!event || !e->fd_plus_1)
		return -EINVAL;
	sync_syscall(SYS_read, e->fd_plus_1 - 1, (long)&count, sizeof(count), 0, 0, 0);
	set = (int)__atomic_exchange_n(&e->set, 0, __ATOMIC_SEQ_CST);
	sync_tsan_acquire(e);
	return set;
}
