/* SPDX-License-Identifier: LGPL-2.1-or-later */
/**
 * @file rtkvm.h
 * Umbrella header: includes every public header of librtkvm.
 */
#ifndef RTKVM_RTKVM_H
#define RTKVM_RTKVM_H

#include <rtkvm/context.h>
#include <rtkvm/cpu.h>
#include <rtkvm/host.h>
#include <rtkvm/latency.h>
#include <rtkvm/lease.h>
#include <rtkvm/memory.h>
#include <rtkvm/plan.h>
#include <rtkvm/report.h>
#include <rtkvm/sync.h>
#include <rtkvm/sync_cond.h>
#include <rtkvm/sync_event.h>
#include <rtkvm/sync_mutex.h>
#include <rtkvm/sync_queue.h>
#include <rtkvm/sync_request.h>
#include <rtkvm/version.h>
#include <rtkvm/vm.h>

#endif
