/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See tree.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tree.h"

static const struct {
	const char *path, *text;
} files[] = {
	{ "proc/sys/kernel/random/boot_id", BOOT_ID "\n" },
	{ IRQ24, "0-3\n" },
	{ IRQ25, "2-3\n" },
	{ "proc/irq/default_smp_affinity", "f\n" },
	{ "sys/devices/virtual/workqueue/cpumask", "0000000f\n" },
	{ TIMER_MIGRATION, "1\n" },
	{ "sys/kernel/mm/ksm/run", "1\n" },
	{ STAT_INTERVAL, "1\n" },
	{ "proc/sys/kernel/numa_balancing", "1\n" },
	{ PAGES_2M, "0\n" },
	{ "sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages", "2\n" },
};

struct rtkvm_lease *lease_left;

#define FILES (sizeof(files) / sizeof(files[0]))

void tree_fill(const char *root)
{
	for (size_t i = 0; i < FILES; i++)
		test_write(root, files[i].path, files[i].text);
}

char *tree_text(const char *root)
{
	char *text = NULL;

	for (size_t i = 0; i < FILES; i++) {
		char *more;

		ck_assert_int_gt(asprintf(&more, "%s%s: %s", text ? text : "", files[i].path,
					  test_read(root, files[i].path)), 0);
		free(text);
		text = more;
	}
	return text;
}

struct rtkvm *tree_context(const char *root)
{
	struct rtkvm_options opt;
	char dir[4300];
	struct rtkvm *rt;

	snprintf(dir, sizeof(dir), "%s/state", root);
	rtkvm_options_init(&opt, sizeof(opt));
	opt.root = root;
	opt.state_dir = dir;
	ck_assert_int_eq(rtkvm_new(&opt, &rt), 0);
	return rt;
}

struct rtkvm_lease *lease_of(struct rtkvm *rt, const char *name)
{
	struct rtkvm_lease *lease;

	ck_assert_msg(rtkvm_lease_new(rt, name, &lease) == 0, "%s", rtkvm_last_error());
	return lease;
}

void set_knob(struct rtkvm_lease *lease, int knob, unsigned int index, const char *value)
{
	ck_assert_msg(rtkvm_lease_set_knob(lease, knob, index, value) == 0, "%s",
		      rtkvm_last_error());
}

void tree_change(struct rtkvm_lease *lease)
{
	set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, 24, "0");
	set_knob(lease, RTKVM_KNOB_IRQ_AFFINITY, 25, "0-1");
	set_knob(lease, RTKVM_KNOB_IRQ_DEFAULT_AFFINITY, 0, "0-1");
	set_knob(lease, RTKVM_KNOB_WORKQUEUE_CPUMASK, 0, "0");
	set_knob(lease, RTKVM_KNOB_TIMER_MIGRATION, 0, "0");
	set_knob(lease, RTKVM_KNOB_KSM_RUN, 0, "0");
	set_knob(lease, RTKVM_KNOB_STAT_INTERVAL, 0, "120");
	set_knob(lease, RTKVM_KNOB_NUMA_BALANCING, 0, "0");
	set_knob(lease, RTKVM_KNOB_HUGEPAGES_2M, 0, "128");
	set_knob(lease, RTKVM_KNOB_HUGEPAGES_1G, 1, "4");
	set_knob(lease, RTKVM_KNOB_STAT_INTERVAL, 0, "7");
	set_knob(lease, RTKVM_KNOB_TIMER_MIGRATION, 0, "1");
}

void leave_changes(struct rtkvm *rt, const char *name)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		lease_left = lease_of(rt, name);
		tree_change(lease_left);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static DIR *open_leases(const char *root)
{
	char path[4400];

	snprintf(path, sizeof(path), "%s/state/leases", root);
	return opendir(path);
}

const char *journal_name(const char *root)
{
	static char name[300];
	DIR *dir = open_leases(root);
	struct dirent *e;

	name[0] = '\0';
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			snprintf(name, sizeof(name), "%s", e->d_name);
	if (dir)
		closedir(dir);
	ck_assert_str_ne(name, "");
	return name;
}

unsigned int journal_count(const char *root)
{
	DIR *dir = open_leases(root);
	struct dirent *e;
	unsigned int n = 0;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

char *journal_text(const char *root, size_t *len)
{
	char path[400];
	char *text;

	snprintf(path, sizeof(path), "state/leases/%s", journal_name(root));
	text = strdup(test_read(root, path));
	*len = strlen(text);
	return text;
}

void journal_write(const char *root, const char *name, const char *text, size_t len, int mode)
{
	char path[4800];
	int fd;

	snprintf(path, sizeof(path), "%s/state", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/state/leases", root);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/state/leases/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, (mode_t)mode), 0);
	close(fd);
}

char *sealed(const char *const *lines, size_t count)
{
	char *text = calloc(1, 1);

	for (size_t i = 0; i < count; i++) {
		char *more;

		ck_assert_int_gt(asprintf(&more, "%s%s *%08x\n", text, lines[i],
					  rtkvm_crc32(lines[i], strlen(lines[i]))), 0);
		free(text);
		text = more;
	}
	return text;
}

const char *header_line(const char *boot_id, unsigned int uid, const char *root, const char *name)
{
	static char line[300];

	snprintf(line, sizeof(line), "0 rtkvm-journal 1 boot %s uid %u pidns %llu owner 1:0 root %s "
		 "lease %s", boot_id, uid, (unsigned long long)rtkvm_pidns(), root, name);
	return line;
}

struct rtkvm_report *restored(struct rtkvm *rt, int expected)
{
	struct rtkvm_report *report;
	int ret = rtkvm_restore(rt, &report);

	ck_assert_msg(ret == expected, "restore: %d, %s", ret, rtkvm_last_error());
	ck_assert_ptr_nonnull(report);
	return report;
}

const struct rtkvm_report_item *item_of(const struct rtkvm_report *r, const char *feature)
{
	const struct rtkvm_report_item *item = rtkvm_report_find(r, feature);

	ck_assert_msg(item != NULL, "no item \"%s\"", feature);
	return item;
}
