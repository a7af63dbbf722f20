/* SPDX-License-Identifier: MIT */
/*
 * A 16550A serial port, output only: enough for Linux's console and for its tty
 * driver with interrupts. It is always ready to send; nothing ever arrives.
 */
#ifndef UART_H
#define UART_H

#include <stdbool.h>
#include <stdint.h>

#define UART_PORTS 8

struct uart {
	uint8_t ier, lcr, mcr, scratch, divisor[2];
	bool empty_pending; /* "transmitter empty" has not been told yet */
};

/* What the guest writes to a register: true and the byte when it has been sent. */
bool uart_write(struct uart *uart, unsigned int reg, uint8_t value, uint8_t *sent);

uint8_t uart_read(struct uart *uart, unsigned int reg);

/* Level of the interrupt line. */
bool uart_irq(const struct uart *uart);

#endif
