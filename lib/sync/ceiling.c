/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entering and leaving ceilings.
 *
 * Somebody else may change the thread's priority at any time. What it has is
 * compared with what was set last whenever it is about to be set anew; if it
 * is another, that is its base from then on. sched_setparam(2) rather than
 * sched_setscheduler(2), so that a policy set by somebody else stays.
 */
#include <sched.h>

#include "ceiling.h"

/* FIFO and RR: 1 to 99; all others have 0. */
static unsigned int read_priority(void)
{
	struct sched_param param = { 0 };

	sync_syscall(SYS_sched_getparam, 0, (long)&param, 0, 0, 0, 0);
	return (unsigned int)param.sched_priority;
}

static int write_priority(unsigned int priority)
{
	struct sched_param param = { .sched_priority = (int)priority };

	return (int)sync_syscall(SYS_sched_setparam, 0, (long)&param, 0, 0, 0, 0);
}

/* What the thread has now, and whether that is its base. */
static sync_inline void look(void)
{
	struct sync_self *self = &sync_self;
	uint32_t generation = __atomic_load_n(&sync_generation, __ATOMIC_ACQUIRE);
	unsigned int now = read_priority();

	if (!self->set || now != self->set) {
		self->base = (uint8_t)now;
		self->set = 0;
	}
	self->seen = generation;
}

unsigned int sync_base_look(void)
{
	look();
	return sync_self.base;
}

/* Run at least at priority; 1 if that was a system call, 0, -EPERM, -EINVAL. */
static int raise_to(unsigned int priority)
{
	struct sync_self *self = &sync_self;
	int ret;

	if (priority <= self->base || priority <= self->set)
		return 0;
	ret = write_priority(priority);
	if (ret < 0)
		return ret;
	self->set = (uint8_t)priority;
	return 1;
}

static sync_inline int push(unsigned int ceiling)
{
	struct sync_self *self = &sync_self;
	int ret;

	if (self->count[ceiling] == UINT8_MAX)
		return -EAGAIN;
	ret = raise_to(ceiling);
	if (ret < 0)
		return ret;
	self->count[ceiling]++;
	if (ceiling > self->top)
		self->top = (uint8_t)ceiling;
	return ret ? CEILING_PUSHED | CEILING_RAISED : CEILING_PUSHED;
}

int sync_ceiling_static_slow(unsigned int ceiling)
{
	struct sync_self *self = &sync_self;

	/* within another ceiling that is as high */
	if (self->set >= ceiling && sync_base_known())
		return push(ceiling);
	look();
	if (!self->base)
		return -EINVAL;
	return self->base >= ceiling ? 0 : push(ceiling);
}

int sync_ceiling_eager(unsigned int ceiling)
{
	struct sync_self *self = &sync_self;

	if (self->set < ceiling || !sync_base_known())
		look();
	if (!self->base || self->base > ceiling)
		return -EINVAL;
	return push(ceiling);
}

int sync_ceiling_checked_slow(unsigned int ceiling)
{
	look();
	return sync_self.base <= ceiling ? 0 : -EINVAL;
}

static void find_top(struct sync_self *self)
{
	unsigned int top = self->top;

	while (top && !self->count[top])
		top--;
	self->top = (uint8_t)top;
}

void sync_ceiling_leave(unsigned int ceiling)
{
	struct sync_self *self = &sync_self;
	unsigned int target;

	if (--self->count[ceiling] || ceiling != self->top)
		return;
	find_top(self);
	target = self->top > self->base ? self->top : self->base;
	if (!self->set || target >= self->set)
		return;
	look();
	if (!self->set) {
		/* somebody else has set it: keep that, but for ceilings that are left */
		if (self->base)
			raise_to(self->top);
		return;
	}
	/* to lower oneself is never refused */
	write_priority(target);
	self->set = target > self->base ? (uint8_t)target : 0;
}

int sync_ceiling_resync(void)
{
	int ret;

	look();
	if (!sync_self.base)
		return 0;
	ret = raise_to(sync_self.top);
	return ret < 0 ? ret : 0;
}
