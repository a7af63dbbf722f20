/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts whose affinity has a leased CPU in it. Which of them the kernel
 * manages itself is known only when it refuses: see share.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cpu_priv.h"

#define IRQS "/proc/irq"

void cpu_irq_name(struct rtkvm *rt, unsigned int irq, char *out, size_t size)
{
	char path[RTKVM_PATH_MAX], text[256];

	snprintf(path, sizeof(path), "/sys/kernel/irq/%u/actions", irq);
	if (rtkvm_file_read_quiet(rt, path, text, sizeof(text)) <= 0)
		snprintf(text, sizeof(text), "nothing is bound to it");
	snprintf(out, size, "%.90s", text);
}

static void find_one(struct rtkvm_cpu_lease *l, struct cpu_batch *batch, unsigned int irq)
{
	char now[RTKVM_VALUE_MAX], to[RTKVM_VALUE_MAX];
	struct rtkvm_cpus is, rest;
	bool take;

	if (rtkvm_knob_read(l->rt, RTKVM_KNOB_IRQ_AFFINITY, irq, now) < 0 ||
	    !rtkvm_knob_cpus(RTKVM_KNOB_IRQ_AFFINITY, now, &is) ||
	    !cpu_reduce(l, &is, &rest, false, &take) ||
	    !rtkvm_knob_print_cpus(RTKVM_KNOB_IRQ_AFFINITY, &rest, to))
		return;
	cpu_batch_knob(batch, CPU_IRQS, RTKVM_KNOB_IRQ_AFFINITY, irq, now, to, take);
}

int cpu_find_irqs(struct rtkvm_cpu_lease *l, struct cpu_batch *batch)
{
	int fd = rtkvm_open_quiet(l->rt, IRQS, O_RDONLY | O_DIRECTORY);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int64_t irq;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return fd == -ENOENT ? 0 : rtkvm_fail(l->rt, fd < 0 ? -fd : ENOMEM, IRQS, NULL,
						      "cannot list interrupts");
	}
	while ((e = readdir(dir)))
		if (rtkvm_parse_i64(e->d_name, 0, (1 << 20) - 1, &irq))
			find_one(l, batch, (unsigned int)irq);
	closedir(dir);
	return 0;
}
