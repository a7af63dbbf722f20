/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM's binary statistics (Documentation/virt/kvm/api.rst, 4.133
 * KVM_GET_STATS_FD): a descriptor table that is read once, and values that are
 * read by name with one pread(2) each.
 */
#ifndef RTKVM_KVM_STATS_H
#define RTKVM_KVM_STATS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the header; enough of a file for rtkvm_stats_span(). */
#define RTKVM_STATS_HEADER 24

/* More than these no kernel has: refused. */
#define RTKVM_STATS_MAX 4096
#define RTKVM_STATS_SPAN_MAX (1U << 20)
#define RTKVM_STATS_NAME_MAX 256

/* One counter. */
struct rtkvm_stat {
	const char *name; /* in the buffer that was parsed */
	uint32_t flags;	  /* KVM_STATS_TYPE_*, _UNIT_*, _BASE_* */
	int16_t exponent;
	uint16_t size; /* number of values; 1: a single number */
	uint64_t pos;  /* of its first value, from the start of the file */
};

/*
 * Bytes from the start of the file up to the end of the descriptors, given
 * its header. Negative: -EILSEQ, this is no such file.
 */
int64_t rtkvm_stats_span(const uint8_t header[RTKVM_STATS_HEADER]);

/*
 * Parse the first len bytes of such a file, at least rtkvm_stats_span() of
 * them. Trusts nothing in it. Returns the number of counters (at most max are
 * stored), or -EILSEQ.
 */
int rtkvm_stats_parse(const uint8_t *buf, size_t len, struct rtkvm_stat *stat, unsigned int max);

/* The number in a file's id "kvm-PID/vcpu-N"; -1: it has none. len: at least the span. */
int rtkvm_stats_vcpu_id(const uint8_t *buf, size_t len);

/* The statistics of a VM or vCPU. */
struct rtkvm_stats {
	int fd;
	unsigned int count;
	struct rtkvm_stat *stat;
	uint8_t *buf;
	int vcpu_id; /* the id that KVM_CREATE_VCPU was given, or -1 */
};

/*
 * Open the statistics of kvm_fd (a VM or a vCPU). -EOPNOTSUPP: the kernel has
 * none; -EILSEQ, -ENOMEM, -EMFILE, -EIO. Records no error.
 */
int rtkvm_stats_open(struct rtkvm_stats *stats, int kvm_fd);

/* The same with a descriptor of such a file, which is taken over, also on failure. */
int rtkvm_stats_adopt(struct rtkvm_stats *stats, int fd);
void rtkvm_stats_close(struct rtkvm_stats *stats);

/* Index of a single number by name, or -ENOENT. RT-safe. */
int rtkvm_stats_find(const struct rtkvm_stats *stats, const char *name);

/* Read one; as rtkvm_vcpu_get_stat(). System calls: pread(2). RT-safe. */
int rtkvm_stats_get(const struct rtkvm_stats *stats, const char *name, uint64_t *value);

/* Name of the index-th single number, or NULL after the last. */
const char *rtkvm_stats_name(const struct rtkvm_stats *stats, unsigned int index);

#endif
