/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * simtree SHAPE DIR [CPUS IRQS]: writes a made-up tree, for tests that run
 * the command on one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "host/sim.h"

int main(int argc, char **argv)
{
	const struct sim_shape *named = argc > 2 ? sim_named(argv[1]) : NULL;
	struct sim_shape shape;

	if (!named) {
		fprintf(stderr, "usage: simtree intel|amd|laptop|container|big DIR [CPUS IRQS]\n");
		return 2;
	}
	shape = *named;
	if (argc > 4) {
		shape.cpus = (unsigned int)atoi(argv[3]);
		shape.irqs = (unsigned int)atoi(argv[4]);
		shape.rt_from = shape.cpus / 2;
	}
	return sim_make(argv[2], &shape) == 0 ? 0 : 1;
}
