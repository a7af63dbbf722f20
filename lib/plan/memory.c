/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process's memory: locked with a real-time policy only, and unlocked
 * when that takes nothing away from the process's own locks.
 *
 * The kernel does not say whether mlockall(MCL_FUTURE) is in effect. It is
 * asked with a page mapped for that: MADV_DONTNEED is refused on locked ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/file.h"
#include "guard.h"

static bool future_locked(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool locked;

	if (page == MAP_FAILED)
		return errno == EAGAIN; /* it would have to be locked, and there is no room */
	locked = madvise(page, size, MADV_DONTNEED) < 0 && errno == EINVAL;
	munmap(page, size);
	return locked;
}

/* kB locked by the process so far; 0 if unknown. */
static long locked_kb(struct rtkvm *rt)
{
	char status[8192], text[32];

	if (rtkvm_file_read_quiet(rt, "/proc/self/status", status, sizeof(status)) < 0 ||
	    !plan_status_value(status, "VmLck", text, sizeof(text)))
		return 0;
	return strtol(text, NULL, 10);
}

int plan_memory_lock(struct rtkvm_plan *plan, struct rtkvm_report *report)
{
	struct plan_memory memory = { .locked = true };

	if (!plan_spec_realtime(&plan->spec)) {
		rtkvm_report_add(report, "memory", RTKVM_STATE_OFF, false,
				 "not locked: no role is real-time");
		return 0;
	}
	memory.future_before = future_locked();
	memory.locked_before = locked_kb(plan->rt);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		int err = errno;

		rtkvm_report_add(report, "memory", RTKVM_STATE_OFF, true, "cannot be locked: %s",
				 strerror(err));
		return rtkvm_fail(plan->rt, ENOMEM, "mlockall",
				  "raise RLIMIT_MEMLOCK above the size of the process, or give it "
				  "CAP_IPC_LOCK", "cannot lock memory: %s", strerror(err));
	}
	plan->memory = memory;
	if (future_locked())
		rtkvm_report_add(report, "memory", RTKVM_STATE_VERIFIED, false,
				 "locked, %ld kB; a new page was seen to be locked",
				 locked_kb(plan->rt));
	else
		rtkvm_report_add(report, "memory", RTKVM_STATE_OFF, true,
				 "mlockall() returned 0, but a new page is not locked");
	return 0;
}

int plan_memory_unlock(struct rtkvm_plan *plan, struct rtkvm_report *report)
{
	struct plan_memory memory = plan->memory;
	int ret;

	if (!memory.locked)
		return 0;
	plan->memory.locked = false;
	if (memory.future_before) {
		rtkvm_report_add(report, "memory", RTKVM_STATE_VERIFIED, false,
				 "stays locked: the process had locked future mappings itself");
		return 0;
	}
	if (memory.locked_before) {
		/* munlockall() would take the process's own locks; this ends MCL_FUTURE alone */
		ret = mlockall(MCL_CURRENT);
		rtkvm_report_add(report, "memory", RTKVM_STATE_OFF, true,
				 "new mappings are not locked any more; those there are stay locked, "
				 "because %ld kB had been locked or pinned before the plan",
				 memory.locked_before);
		return ret;
	}
	ret = munlockall();
	rtkvm_report_add(report, "memory", ret ? RTKVM_STATE_OFF : RTKVM_STATE_VERIFIED, ret != 0,
			 "%s", ret ? "cannot be unlocked" : "unlocked, as before");
	return ret;
}
