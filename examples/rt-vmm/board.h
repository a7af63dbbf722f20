/* SPDX-License-Identifier: MIT */
/*
 * The devices of the Linux guest's machine that are not in the kernel, by I/O
 * port: two serial ports, the way to reset, and the port through which the
 * guest ends with a status. Used by all vCPU threads.
 */
#ifndef BOARD_H
#define BOARD_H

#include <pthread.h>
#include <stdatomic.h>

#include <linux/kvm.h>

#include "sink.h"
#include "uart.h"

#define BOARD_PORT_EXIT 0xf4 /* a byte: the guest's exit status */

enum { BOARD_RUNS, BOARD_EXITED, BOARD_RESET };

struct serial {
	struct uart uart;
	struct sink sink;
	uint16_t port;
	uint8_t irq;
	bool level;             /* of its interrupt line, as KVM was told */
};

struct board {
	int vm_fd;
	int event_fd;           /* told when the main thread should come */
	pthread_mutex_t lock;   /* the serial ports' registers */
	struct serial serial[2];
	atomic_int state;       /* BOARD_* */
	atomic_int status;      /* of BOARD_EXITED */
};

void board_init(struct board *board, int vm_fd, int event_fd);
void board_free(struct board *board);

/* An access to a port. Where nothing is, writes are lost and reads give all ones. */
void board_io(struct board *board, struct kvm_run *run);

#endif
