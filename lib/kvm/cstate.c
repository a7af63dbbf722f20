/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PM QoS: the longest C-state exit latency that this host may have
 * (Documentation/power/pm_qos_interface.rst). The file takes and gives one
 * binary 32-bit number; reading gives the smallest of all requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/file.h"
#include "cstate.h"

int rtkvm_cstate_hold(struct rtkvm *rt, int32_t max_us)
{
	int fd = rtkvm_open_quiet(rt, RTKVM_CSTATE_FILE, O_RDWR);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = write(fd, &max_us, sizeof(max_us));
	if (n != (ssize_t)sizeof(max_us)) {
		int err = n < 0 ? errno : EIO;

		close(fd);
		return -err;
	}
	return fd;
}

int rtkvm_cstate_read(int fd, int32_t *us)
{
	ssize_t n = pread(fd, us, sizeof(*us), 0);

	if (n != (ssize_t)sizeof(*us))
		return n < 0 ? -errno : -EIO;
	return 0;
}
