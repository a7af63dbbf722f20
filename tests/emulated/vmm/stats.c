/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Meter 1: the binary statistics of a vCPU (KVM_GET_STATS_FD), read raw: the
 * library's reader of the same is among what is tested. And the little table
 * of counters that both meters fill.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm.h"

struct counter *counters_find(struct counters *c, const char *name)
{
	for (unsigned int i = 0; i < c->n; i++) {
		if (!strcmp(c->at[i].name, name))
			return &c->at[i];
	}
	return NULL;
}

void counters_add(struct counters *c, const char *name, uint64_t value)
{
	struct counter *found = counters_find(c, name);

	if (!found && c->n < VMM_MAX_COUNTERS) {
		found = &c->at[c->n++];
		snprintf(found->name, sizeof(found->name), "%s", name);
		found->value = 0;
	}
	if (found)
		found->value += value;
	else
		complain("more than %d counters: '%s' is left out", VMM_MAX_COUNTERS, name);
}

void counters_subtract(struct counters *after, const struct counters *before)
{
	for (unsigned int i = 0; i < after->n; i++)
		after->at[i].value -= before->at[i].value;
	after->exits -= before->exits;
}

int stats_open(struct vcpu *v)
{
	v->stats_fd = ioctl(v->fd, KVM_GET_STATS_FD, 0);
	return v->stats_fd < 0 ? complain("KVM_GET_STATS_FD: %s", strerror(errno)) : 0;
}

static int stats_bad(void)
{
	return complain("KVM's statistics cannot be read: %s", strerror(errno));
}

int stats_read(struct vcpu *v, struct counters *to)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	struct counter *exits;
	uint64_t value;
	size_t size;
	int ret = 0;

	memset(to, 0, sizeof(*to));
	if (pread(v->stats_fd, &h, sizeof(h), 0) != sizeof(h))
		return stats_bad();
	size = sizeof(*d) + h.name_size;
	d = malloc(size);
	for (uint32_t i = 0; d && i < h.num_desc && ret == 0; i++) {
		if (pread(v->stats_fd, d, size, (off_t)(h.desc_offset + i * size)) != (ssize_t)size)
			ret = stats_bad();
		else if (d->size != 1) /* histograms */
			continue;
		else if (pread(v->stats_fd, &value, 8, (off_t)h.data_offset + d->offset) != 8)
			ret = stats_bad();
		else
			counters_add(to, d->name, value);
	}
	free(d);
	exits = counters_find(to, "exits");
	if (!exits)
		return complain("KVM's statistics have no 'exits'");
	to->exits = exits->value;
	to->there = true;
	return ret;
}
