/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What looks like a VMM from outside: threads with the names that QEMU gives them.
 * At SIGUSR1 it makes one vCPU and one AIO worker more. It knows nothing of librtkvm.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static void *work(void *arg)
{
	const char *name = arg;

	prctl(PR_SET_NAME, name);
	for (;;)
		usleep(1000);
	return NULL;
}

static void start(const char *name)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, work, (void *)(unsigned long)name))
		_exit(1);
}

int main(void)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	start("CPU 0/KVM");
	start("CPU 1/KVM");
	start("IO io1");
	start("call_rcu");
	puts("started");
	fflush(stdout);
	while (sigwait(&set, &sig) == 0) {
		start("CPU 2/KVM");
		start("worker");
	}
	return 0;
}
