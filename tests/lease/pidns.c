/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has a pid namespace ended? With real ones, asked by root, by root without
 * CAP_SYS_PTRACE, and by an ordinary user. Each "yes" has the "no" beside it that
 * differs in one thing.
 */
#include <dirent.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rtkvm/rtkvm.h>

#include "lease/lease_priv.h"
#include "support/test.h"

#define NOBODY 65534
#define HOST 0xeffffffcU

static struct rtkvm *rt;

static void setup(void)
{
	ck_assert_int_eq(rtkvm_new(NULL, &rt), 0);
}

static void teardown(void)
{
	rtkvm_free(rt);
}

/* A namespace: its first process, a child of this one. */
struct space {
	pid_t first;
	uint64_t inode;
};

/* In the first process, which has other threads or not. */
static int stay(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return 0;
}

static void be_first(bool leader_ends)
{
	static char stack[65536];

	if (!leader_ends)
		stay(NULL);
	if (clone(stay, stack + sizeof(stack),
		  CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, NULL) > 0)
		syscall(SYS_exit, 0);
	_exit(1);
}

/* false: none can be made here */
static bool make_space(struct space *s, bool leader_ends)
{
	int flags = CLONE_NEWPID | (geteuid() ? CLONE_NEWUSER : 0);
	char path[64];
	struct stat st;

	s->first = (pid_t)syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	if (s->first == 0)
		be_first(leader_ends);
	if (s->first < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", s->first);
	ck_assert_int_eq(stat(path, &st), 0);
	s->inode = (uint64_t)st.st_ino;
	ck_assert_uint_ne(s->inode, rtkvm_pidns());
	return true;
}

/* Kill it; it stays as a zombie until it is reaped. */
static void end_space(const struct space *s)
{
	siginfo_t info;

	ck_assert_int_eq(kill(s->first, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)s->first, &info, WEXITED | WNOWAIT), 0);
}

static void reap(const struct space *s)
{
	ck_assert_int_eq(waitpid(s->first, NULL, 0), s->first);
}

static bool on_the_host(void)
{
	return rtkvm_pidns() == HOST;
}

/* Does somebody else have namespaces here? Then who may not look into them cannot know. */
static bool others_have_some(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	bool some = false;
	char path[300], line[4096], *p;
	FILE *f;

	while (dir && !some && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/status", e->d_name);
		f = atoi(e->d_name) > 0 ? fopen(path, "r") : NULL;
		if (!f)
			continue;
		while (fgets(line, sizeof(line), f))
			if (!strncmp(line, "NSpid:\t", 7) && (p = strchr(line + 7, '\t')) && p[1])
				some = true;
		fclose(f);
	}
	if (dir)
		closedir(dir);
	return some;
}

START_TEST(lives_and_ends)
{
	struct space s;

	if (!on_the_host())
		SKIP_TEST("needs the pid namespace of the host");
	if (!make_space(&s, false))
		SKIP_TEST("no pid namespace can be made here");
	ck_assert(!rtkvm_pidns_gone(rt, s.inode));
	ck_assert(!rtkvm_pidns_gone(rt, 0));
	ck_assert(!rtkvm_pidns_gone(rt, HOST));
	end_space(&s);
	reap(&s);
	if (geteuid() != 0 && others_have_some())
		SKIP_TEST("other pid namespaces are in use here");
	ck_assert(rtkvm_pidns_gone(rt, s.inode));
}
END_TEST

/* Whose parent does not reap it: nobody runs there. */
START_TEST(zombie)
{
	struct space s;

	if (!on_the_host())
		SKIP_TEST("needs the pid namespace of the host");
	if (!make_space(&s, false))
		SKIP_TEST("no pid namespace can be made here");
	end_space(&s);
	if (geteuid() != 0 && others_have_some())
		SKIP_TEST("other pid namespaces are in use here");
	ck_assert(rtkvm_pidns_gone(rt, s.inode));
	reap(&s);
}
END_TEST

static char state_of(pid_t pid)
{
	char path[64], text[512] = "";
	const char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	fclose(f);
	p = strrchr(text, ')');
	return p ? p[2] : '?';
}

/* Looks like a zombie, too; but another of its threads runs. */
START_TEST(leader_ended)
{
	struct space s;

	if (!on_the_host())
		SKIP_TEST("needs the pid namespace of the host");
	if (!make_space(&s, true))
		SKIP_TEST("no pid namespace can be made here");
	while (state_of(s.first) != 'Z')
		usleep(1000);
	ck_assert(!rtkvm_pidns_gone(rt, s.inode));
	end_space(&s);
	reap(&s);
}
END_TEST

/* The answer of a child that has become less: 0, 1; 2: it cannot become so here */
static int answer_of(bool (*become)(void), uint64_t inode)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(become() ? rtkvm_pidns_gone(rt, inode) : 2);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool become_ordinary(void)
{
	return setgid(NOBODY) == 0 && setuid(NOBODY) == 0;
}

static bool drop_ptrace(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return false;
	data[0].effective &= ~(1U << CAP_SYS_PTRACE);
	data[0].permitted &= ~(1U << CAP_SYS_PTRACE);
	return syscall(SYS_capset, &header, data) == 0;
}

/* Processes are not shown to who may not trace them. */
static bool become_blind(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("proc", "/proc", "proc", 0, "hidepid=2") == 0 && become_ordinary();
}

/* May not ask whose namespace it is, and may not be shown it at all. */
static bool is_closed(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return stat(path, &st) < 0;
}

static pid_t asked;

static bool ordinary_is_refused(void)
{
	return become_ordinary() && is_closed(asked);
}

static bool without_ptrace_is_refused(void)
{
	return drop_ptrace() && is_closed(asked);
}

/* What only those may know who may trace it counts as alive. */
START_TEST(not_readable)
{
	struct space s;

	if (geteuid() != 0 || !on_the_host())
		SKIP_TEST("needs root in the pid namespace of the host");
	ck_assert(make_space(&s, false));
	asked = s.first;
	ck_assert_int_eq(answer_of(ordinary_is_refused, s.inode), 0);
	ck_assert_int_eq(answer_of(without_ptrace_is_refused, s.inode), 0);
	end_space(&s);
	reap(&s);
	if (others_have_some())
		SKIP_TEST("other pid namespaces are in use here");
	/* of all others it is known that they are the host's */
	ck_assert_int_eq(answer_of(become_ordinary, s.inode), 1);
	ck_assert_int_eq(answer_of(drop_ptrace, s.inode), 1);
}
END_TEST

/* With hidepid=2 who is not seen may be there. */
START_TEST(hidden)
{
	struct space s;
	int answer;

	if (geteuid() != 0 || !on_the_host())
		SKIP_TEST("needs root in the pid namespace of the host");
	ck_assert(make_space(&s, false));
	answer = answer_of(become_blind, s.inode);
	end_space(&s);
	reap(&s);
	if (answer == 2)
		SKIP_TEST("/proc cannot be mounted with hidepid=2 here");
	ck_assert_int_eq(answer, 0);
	ck_assert_int_eq(answer_of(become_blind, s.inode), 0);
}
END_TEST

Suite *rtkvm_suite(void)
{
	Suite *suite = suite_create("pidns");
	TCase *tc = tcase_create("pidns");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, lives_and_ends);
	tcase_add_test(tc, zombie);
	tcase_add_test(tc, leader_ended);
	tcase_add_test(tc, not_readable);
	tcase_add_test(tc, hidden);
	suite_add_tcase(suite, tc);
	return suite;
}
