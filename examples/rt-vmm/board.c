/* SPDX-License-Identifier: MIT */
/* Decoding of port accesses, and interrupts of the serial ports. */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "board.h"

#define PORT_I8042 0x64
#define I8042_RESET 0xfe

void board_init(struct board *board, int vm_fd, int event_fd)
{
	static const struct { uint16_t port; uint8_t irq; } com[2] = { { 0x3f8, 4 }, { 0x2f8, 3 } };

	memset(board, 0, sizeof(*board));
	board->vm_fd = vm_fd;
	board->event_fd = event_fd;
	pthread_mutex_init(&board->lock, NULL);
	for (int i = 0; i < 2; i++) {
		board->serial[i].port = com[i].port;
		board->serial[i].irq = com[i].irq;
		board->serial[i].sink.fd = -1;
	}
}

void board_free(struct board *board)
{
	pthread_mutex_destroy(&board->lock);
}

/* Tell KVM only when it changes. */
static void update_irq(struct board *board, struct serial *serial)
{
	struct kvm_irq_level line = { .irq = serial->irq };
	bool level = uart_irq(&serial->uart);

	if (level == serial->level)
		return;
	serial->level = level;
	line.level = level;
	ioctl(board->vm_fd, KVM_IRQ_LINE, &line);
}

static void end(struct board *board, int state, int status)
{
	int runs = BOARD_RUNS;

	atomic_store(&board->status, status);
	atomic_compare_exchange_strong(&board->state, &runs, state); /* the first one counts */
	eventfd_write(board->event_fd, 1);
}

static struct serial *serial_at(struct board *board, uint16_t port)
{
	for (int i = 0; i < 2; i++)
		if (port >= board->serial[i].port && port < board->serial[i].port + UART_PORTS)
			return &board->serial[i];
	return NULL;
}

static void out(struct board *board, uint16_t port, uint8_t value)
{
	struct serial *serial = serial_at(board, port);
	uint8_t sent;

	if (serial) {
		if (uart_write(&serial->uart, port - serial->port, value, &sent) &&
		    sink_put(&serial->sink, (char)sent))
			eventfd_write(board->event_fd, 1);
		update_irq(board, serial);
	} else if (port == BOARD_PORT_EXIT) {
		end(board, BOARD_EXITED, value);
	} else if (port == PORT_I8042 && value == I8042_RESET) {
		end(board, BOARD_RESET, 0);
	}
}

static uint8_t in(struct board *board, uint16_t port)
{
	struct serial *serial = serial_at(board, port);
	uint8_t value;

	if (!serial)
		return 0xff;
	value = uart_read(&serial->uart, port - serial->port);
	update_irq(board, serial);
	return value;
}

void board_io(struct board *board, struct kvm_run *run)
{
	uint8_t *data = (uint8_t *)run + run->io.data_offset;

	pthread_mutex_lock(&board->lock);
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		/* no device here is wider than a byte */
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			out(board, run->io.port, data[0]);
		} else {
			memset(data, 0xff, run->io.size);
			data[0] = in(board, run->io.port);
		}
	}
	pthread_mutex_unlock(&board->lock);
}
