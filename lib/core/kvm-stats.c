/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * KVM's binary statistics: the parser of their file format, and reading a
 * counter. What the counters mean for a feature is not here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "file.h"
#include "kvm-stats.h"

_Static_assert(sizeof(struct kvm_stats_header) == RTKVM_STATS_HEADER, "header of the ABI");

/* Bytes of a descriptor before its name. */
#define DESC_FIXED sizeof(struct kvm_stats_desc)

int64_t rtkvm_stats_span(const uint8_t header[RTKVM_STATS_HEADER])
{
	struct kvm_stats_header h;
	uint64_t end;

	memcpy(&h, header, sizeof(h));
	if (h.name_size < 2 || h.name_size > RTKVM_STATS_NAME_MAX || h.num_desc > RTKVM_STATS_MAX)
		return -EILSEQ;
	if (h.desc_offset < sizeof(h))
		return -EILSEQ;
	end = h.desc_offset + (uint64_t)h.num_desc * (DESC_FIXED + h.name_size);
	/* data before the descriptors would be legal; data in them is not */
	if (end > RTKVM_STATS_SPAN_MAX ||
	    (h.data_offset < end && h.data_offset >= h.desc_offset && h.num_desc))
		return -EILSEQ;
	return (int64_t)end;
}

/* A name is a C string of visible characters: it goes into reports. */
static bool name_ok(const char *name, size_t size)
{
	size_t len = strnlen(name, size);

	if (!len || len == size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	return true;
}

int rtkvm_stats_parse(const uint8_t *buf, size_t len, struct rtkvm_stat *stat, unsigned int max)
{
	struct kvm_stats_header h;
	int64_t span;

	if (len < sizeof(h))
		return -EILSEQ;
	span = rtkvm_stats_span(buf);
	if (span < 0 || (uint64_t)span > len)
		return -EILSEQ;
	memcpy(&h, buf, sizeof(h));
	for (uint32_t i = 0; i < h.num_desc; i++) {
		const uint8_t *at = buf + h.desc_offset + i * (DESC_FIXED + h.name_size);
		const char *name = (const char *)at + DESC_FIXED;
		struct kvm_stats_desc d;

		memcpy(&d, at, DESC_FIXED);
		if (!name_ok(name, h.name_size) || !d.size)
			return -EILSEQ;
		if (i >= max)
			continue;
		stat[i] = (struct rtkvm_stat){
			.name = name,
			.flags = d.flags,
			.exponent = d.exponent,
			.size = d.size,
			.pos = (uint64_t)h.data_offset + d.offset,
		};
	}
	return (int)h.num_desc;
}

int rtkvm_stats_vcpu_id(const uint8_t *buf, size_t len)
{
	static const char before[] = "/vcpu-";
	char id[RTKVM_STATS_NAME_MAX + 1];
	struct kvm_stats_header h;
	const char *at;
	int64_t value;

	if (len < sizeof(h) || rtkvm_stats_span(buf) < 0)
		return -1;
	memcpy(&h, buf, sizeof(h));
	if (h.id_offset > len || h.name_size > len - h.id_offset)
		return -1;
	memcpy(id, buf + h.id_offset, h.name_size);
	id[h.name_size] = '\0';
	at = strstr(id, before);
	if (!at || !rtkvm_parse_i64(at + strlen(before), 0, INT32_MAX, &value))
		return -1;
	return (int)value;
}

/* All of len bytes from the start. */
static int read_all(int fd, uint8_t *buf, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, buf + done, len - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int load(struct rtkvm_stats *stats)
{
	uint8_t header[RTKVM_STATS_HEADER];
	int64_t span;
	int ret;

	ret = read_all(stats->fd, header, sizeof(header));
	if (ret < 0)
		return ret;
	span = rtkvm_stats_span(header);
	if (span < 0)
		return (int)span;
	stats->buf = malloc((size_t)span);
	if (!stats->buf)
		return -ENOMEM;
	ret = read_all(stats->fd, stats->buf, (size_t)span);
	if (ret == 0)
		ret = rtkvm_stats_parse(stats->buf, (size_t)span, NULL, 0);
	if (ret < 0)
		return ret;
	stats->count = (unsigned int)ret;
	stats->vcpu_id = rtkvm_stats_vcpu_id(stats->buf, (size_t)span);
	stats->stat = calloc(stats->count ? stats->count : 1, sizeof(*stats->stat));
	if (!stats->stat)
		return -ENOMEM;
	ret = rtkvm_stats_parse(stats->buf, (size_t)span, stats->stat, stats->count);
	return ret < 0 ? ret : 0;
}

int rtkvm_stats_adopt(struct rtkvm_stats *stats, int fd)
{
	int ret;

	*stats = (struct rtkvm_stats){ .fd = fd, .vcpu_id = -1 };
	ret = load(stats);
	if (ret < 0)
		rtkvm_stats_close(stats);
	return ret;
}

int rtkvm_stats_open(struct rtkvm_stats *stats, int kvm_fd)
{
	int ret;

	*stats = (struct rtkvm_stats){ .fd = -1, .vcpu_id = -1 };
	/* the VM's answer; a kernel before 5.14 does not know the ioctl */
	stats->fd = ioctl(kvm_fd, KVM_GET_STATS_FD, NULL);
	if (stats->fd < 0) {
		ret = errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : -EOPNOTSUPP;
		return ret;
	}
	/* older kernels let it leak into what the VMM executes */
	fcntl(stats->fd, F_SETFD, FD_CLOEXEC);
	return rtkvm_stats_adopt(stats, stats->fd);
}

void rtkvm_stats_close(struct rtkvm_stats *stats)
{
	if (stats->fd >= 0)
		close(stats->fd);
	free(stats->stat);
	free(stats->buf);
	*stats = (struct rtkvm_stats){ .fd = -1, .vcpu_id = -1 };
}

int rtkvm_stats_find(const struct rtkvm_stats *stats, const char *name)
{
	for (unsigned int i = 0; i < stats->count; i++)
		if (stats->stat[i].size == 1 && !strcmp(stats->stat[i].name, name))
			return (int)i;
	return -ENOENT;
}

int rtkvm_stats_get(const struct rtkvm_stats *stats, const char *name, uint64_t *value)
{
	uint64_t v;
	int i;

	if (stats->fd < 0)
		return -EOPNOTSUPP;
	i = rtkvm_stats_find(stats, name);
	if (i < 0)
		return i;
	if (pread(stats->fd, &v, sizeof(v), (off_t)stats->stat[i].pos) != (ssize_t)sizeof(v))
		return -EIO;
	*value = v;
	return 0;
}

const char *rtkvm_stats_name(const struct rtkvm_stats *stats, unsigned int index)
{
	for (unsigned int i = 0; i < stats->count; i++)
		if (stats->stat[i].size == 1 && !index--)
			return stats->stat[i].name;
	return NULL;
}
