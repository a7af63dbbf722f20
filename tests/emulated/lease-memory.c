/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory near leased CPUs: huge pages of their node, reserved by a lease, bound,
 * populated with progress, locked. Where the pages are is asked of the kernel
 * without the library (move_pages(2)); the control is memory that was not prepared.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lease-host.h"

#define HUGE ((size_t)2 << 20)
#define PAGES 8
#define RESERVED "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages"

/* How many of these pages are on that node. */
static int on_node(char *p, size_t page, int count, int node)
{
	int status[PAGES], n = 0;
	void *at[PAGES];

	for (int i = 0; i < count; i++)
		at[i] = p + (size_t)i * page;
	if (syscall(SYS_move_pages, 0, (unsigned long)count, at, NULL, status, 0) < 0)
		return -1;
	for (int i = 0; i < count; i++)
		n += status[i] == node;
	return n;
}

static uint64_t touch(volatile char *p, size_t size)
{
	struct rtkvm_faults a = { .size = sizeof(a) }, b = { .size = sizeof(b) };

	rtkvm_faults_get(&a);
	rtkvm_faults_get(&b); /* the call itself faults once */
	rtkvm_faults_get(&a);
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	rtkvm_faults_get(&b);
	return b.minor - a.minor + b.major - a.major;
}

static int count(size_t done, size_t total, void *arg)
{
	int *calls = arg;

	++*calls;
	return done > total;
}

static void use(struct rtkvm_cpu_lease *lease, int node)
{
	char *huge, *small, *plain;
	struct rtkvm_memory_request q;
	struct rtkvm_report *report = NULL;
	int calls = 0, ret;
	cpu_set_t first;

	huge = mmap(NULL, PAGES * HUGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	small = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	plain = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	result(huge != MAP_FAILED, "memory: huge pages can be mapped");
	if (huge == MAP_FAILED)
		return;
	rtkvm_memory_request_init(&q, sizeof(q));
	q.features |= RTKVM_MEMORY_BIND | RTKVM_MEMORY_NO_THP;
	q.node = node;
	q.progress = count;
	q.progress_arg = &calls;
	ret = rtkvm_memory_prepare(rt, huge, PAGES * HUGE, &q, &report);
	print_report(report, false);
	result(ret == 0 && calls > 0, "memory: huge pages are ready, with progress (%s)",
	       ret ? rtkvm_last_error() : "");
	rtkvm_report_free(report);
	ret = rtkvm_memory_prepare(rt, small, 4 << 20, &q, &report);
	result(ret == 0 && rtkvm_report_problems(report) == 0, "memory: small pages are ready");
	rtkvm_report_free(report);
	ret = on_node(huge, HUGE, PAGES, node);
	result(ret == PAGES, "memory: %d of %d huge pages are on node %d", ret, PAGES, node);
	ret = on_node(small, 4096, PAGES, node);
	result(ret == PAGES, "memory: %d of %d small pages are on node %d", ret, PAGES, node);
	/* on the other node this thread gets its pages there */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first) < 0)
		perror("sched_setaffinity");
	ret = (int)touch(plain, 4 << 20);
	result(ret >= 1024 && on_node(plain, 4096, PAGES, node) == 0,
	       "memory: control: %d page faults of memory not prepared, which is elsewhere", ret);
	if (rtkvm_cpu_lease_add_thread(lease, 0, 0) < 0)
		printf("# %s\n", rtkvm_last_error());
	result(touch(huge, PAGES * HUGE) == 0 && touch(small, 4 << 20) == 0,
	       "memory: no page fault of it on the leased CPU");
	munmap(huge, PAGES * HUGE);
	munmap(small, 4 << 20);
	munmap(plain, 4 << 20);
}

void part_memory(void)
{
	struct rtkvm_cpu_lease *lease;
	struct rtkvm_lease *pages;
	char before[32] = "", during[32] = "", after[32] = "";
	int node;

	mount_v2();
	lease = lease_of("3", RTKVM_CPU_AFFINITY, 0);
	node = lease ? rtkvm_cpu_lease_get_node(lease) : -1;
	result(node == 1, "memory: the leased CPU is on node 1 (%d)", node);
	if (!lease || rtkvm_lease_new(rt, "pages", &pages) < 0)
		return;
	read_text(RESERVED, before, sizeof(before));
	result(rtkvm_lease_set_knob(pages, RTKVM_KNOB_HUGEPAGES_2M, (unsigned int)node, "8") == 0,
	       "memory: huge pages of that node are reserved");
	read_text(RESERVED, during, sizeof(during));
	use(lease, node);
	rtkvm_lease_release(pages, NULL);
	rtkvm_cpu_lease_release(lease, NULL);
	read_text(RESERVED, after, sizeof(after));
	result(!strcmp(during, "8") && !strcmp(before, "0") && !strcmp(after, before),
	       "memory: reserved %s of them, before and after %s", during, after);
}
