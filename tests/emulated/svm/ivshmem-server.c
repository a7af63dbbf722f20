// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What is at the other end of the svm host's ivshmem-doorbell device: gives QEMU the
 * shared memory and the eventfds of the device's vectors, as QEMU's document "Device
 * Specification for Inter-VM shared memory device" says, and raises vector 0 as often
 * as asked by a word in that memory (../vfio/ivshmem.h). No Debian package has QEMU's
 * own example of a server, which raises nothing by itself either.
 *
 *   ivshmem-server SOCKET    makes the socket, serves one QEMU, ends when that does
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../vfio/ivshmem.h"

#define POLL_US 100

/* One message: a number, little-endian, and perhaps a file descriptor. */
static void tell(int to, int64_t number, int fd)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec data = { &number, sizeof(number) };
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	if (sendmsg(to, &m, MSG_NOSIGNAL) != sizeof(number))
		err(1, "a message to QEMU");
}

static int accept_one(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), connection;

	/* under its name only when it can be connected to */
	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", path) >=
	    (int)sizeof(address.sun_path))
		errx(2, "%s is too long", path);
	if (listening < 0 || bind(listening, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(listening, 1) || rename(address.sun_path, path))
		err(1, "%s", path);
	connection = accept(listening, NULL, NULL);
	if (connection < 0)
		err(1, "%s", path);
	close(listening);
	return connection;
}

int main(int argc, char **argv)
{
	volatile struct ivshmem_page *page;
	int connection, memory, vector[IVSHMEM_VECTORS];
	struct pollfd gone;

	if (argc != 2)
		errx(2, "usage: ivshmem-server SOCKET");
	memory = memfd_create("ivshmem", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, IVSHMEM_SIZE))
		err(1, "shared memory");
	page = mmap(NULL, IVSHMEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (page == MAP_FAILED)
		err(1, "shared memory");
	page->magic = IVSHMEM_MAGIC;
	connection = accept_one(argv[1]);
	tell(connection, 0, -1);      /* version of the protocol */
	tell(connection, 0, -1);      /* the client's number */
	tell(connection, -1, memory); /* the memory */
	for (int i = 0; i < IVSHMEM_VECTORS; i++) {
		vector[i] = eventfd(0, EFD_CLOEXEC);
		if (vector[i] < 0)
			err(1, "eventfd");
		tell(connection, 0, vector[i]);
	}
	gone = (struct pollfd){ .fd = connection, .events = POLLIN | POLLRDHUP };
	while (poll(&gone, 1, 0) == 0 || (errno == EINTR && gone.revents == 0)) {
		while (page->fired != page->asked) {
			page->fired++;
			if (eventfd_write(vector[0], 1))
				err(1, "eventfd");
		}
		usleep(POLL_US);
	}
	return 0;
}
