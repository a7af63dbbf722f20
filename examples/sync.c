/* SPDX-License-Identifier: MIT */
/*
 * A queue of one item between two threads: a mutex with a ceiling from a
 * thread plan, and a condition variable that is signalled after unlocking.
 *
 *   cc sync.c $(pkg-config --cflags --libs rtkvm) -pthread
 */
#include <pthread.h>
#include <stdio.h>

#include <rtkvm/rtkvm.h>

static struct rtkvm_mutex mutex = RTKVM_MUTEX_INIT;
static struct rtkvm_cond changed = RTKVM_COND_INIT;
static int item; /* 0: none */

static void *producer(void *arg)
{
	for (int i = 1; i <= 10; i++) {
		rtkvm_mutex_lock(&mutex);
		while (item)
			rtkvm_cond_wait(&changed, &mutex);
		item = i;
		rtkvm_mutex_unlock(&mutex);
		rtkvm_cond_signal(&changed, &mutex);
	}
	return arg;
}

int main(void)
{
	struct rtkvm_mutex_options options;
	struct rtkvm_plan *plan;
	pthread_t thread;
	struct rtkvm *rt;
	int sum = 0;

	if (rtkvm_new(NULL, &rt) < 0 || rtkvm_plan_parse(rt, "maxprio=80", &plan) < 0)
		goto failed;

	/* main and vCPU threads use it: nobody above the higher of the two may */
	rtkvm_mutex_options_init(&options, sizeof(options));
	options.protocol = RTKVM_MUTEX_CHECKED;
	options.ceiling = (unsigned int)rtkvm_plan_get_ceiling(
		plan, 1 << RTKVM_ROLE_MAIN | 1 << RTKVM_ROLE_VCPU);
	if (rtkvm_mutex_init(&mutex, &options) < 0)
		goto failed;

	pthread_create(&thread, NULL, producer, NULL);
	for (int i = 1; i <= 10; i++) {
		rtkvm_mutex_lock(&mutex);
		while (!item)
			rtkvm_cond_wait(&changed, &mutex);
		sum += item;
		item = 0;
		rtkvm_mutex_unlock(&mutex);
		rtkvm_cond_signal(&changed, &mutex);
	}
	pthread_join(thread, NULL);
	printf("ceiling %d, sum %d\n", rtkvm_mutex_get_ceiling(&mutex), sum);
	rtkvm_plan_free(plan);
	rtkvm_free(rt);
	return sum == 55 ? 0 : 1;

failed:
	fprintf(stderr, "%s\n", rtkvm_last_error());
	return 1;
}
