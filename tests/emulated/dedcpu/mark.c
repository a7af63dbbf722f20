// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * mark LABEL: the meter outside writes its counts down (see ../marker.h).
 */
#include <err.h>
#include <stdlib.h>

#include "../marker.h"

int main(int argc, char **argv)
{
	if (argc != 2)
		errx(2, "usage: mark LABEL");
	rtkvm_marker(strtoul(argv[1], NULL, 10));
	return 0;
}
