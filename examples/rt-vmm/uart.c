/* SPDX-License-Identifier: MIT */
/* Registers of the 16550A, as its data sheet has them. */
#include "uart.h"

enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCRATCH };

#define IER_ALL 0x0f
#define IER_EMPTY 0x02       /* interrupt when the transmitter is empty */
#define IIR_NONE 0x01
#define IIR_EMPTY 0x02
#define IIR_FIFO 0xc0        /* it has working FIFOs: a 16550A */
#define LCR_DIVISOR 0x80
#define MCR_ALL 0x1f
#define MCR_LOOP 0x10
#define LSR_SENT 0x60        /* transmitter and its FIFO are empty */
#define MSR_PRESENT 0xb0     /* carrier, data set ready, clear to send */

bool uart_irq(const struct uart *uart)
{
	return uart->empty_pending && (uart->ier & IER_EMPTY);
}

/* In a loop, the outputs come back as the inputs. */
static uint8_t looped(const struct uart *uart)
{
	return (uint8_t)((uart->mcr & 0x0c) << 4 | (uart->mcr & 0x02) << 3 | (uart->mcr & 0x01) << 5);
}

bool uart_write(struct uart *uart, unsigned int reg, uint8_t value, uint8_t *sent)
{
	switch (reg) {
	case DATA:
		if (uart->lcr & LCR_DIVISOR) {
			uart->divisor[0] = value;
			return false;
		}
		uart->empty_pending = true; /* at once: it takes no time */
		*sent = value;
		return !(uart->mcr & MCR_LOOP);
	case IER:
		if (uart->lcr & LCR_DIVISOR) {
			uart->divisor[1] = value;
			return false;
		}
		if ((value & IER_EMPTY) && !(uart->ier & IER_EMPTY))
			uart->empty_pending = true;
		uart->ier = value & IER_ALL;
		return false;
	case LCR:
		uart->lcr = value;
		return false;
	case MCR:
		uart->mcr = value & MCR_ALL;
		return false;
	case SCRATCH:
		uart->scratch = value;
		return false;
	default: /* FIFO control: there is nothing to flush; the rest is read-only */
		return false;
	}
}

uint8_t uart_read(struct uart *uart, unsigned int reg)
{
	switch (reg) {
	case DATA:
		return uart->lcr & LCR_DIVISOR ? uart->divisor[0] : 0;
	case IER:
		return uart->lcr & LCR_DIVISOR ? uart->divisor[1] : uart->ier;
	case IIR_FCR:
		if (!uart_irq(uart))
			return IIR_FIFO | IIR_NONE;
		uart->empty_pending = false; /* told now */
		return IIR_FIFO | IIR_EMPTY;
	case LCR:
		return uart->lcr;
	case MCR:
		return uart->mcr;
	case LSR:
		return LSR_SENT;
	case MSR:
		return uart->mcr & MCR_LOOP ? looped(uart) : MSR_PRESENT;
	default:
		return uart->scratch;
	}
}
