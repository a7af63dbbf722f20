// SPDX-License-Identifier: MIT
//! librtkvm for Rust: its C interface, declared. Made from the headers by
//! bindings.rs; do not edit. What the calls do is described there.
//!
//! Constants are c_int, as in C: a mask goes into a u32 field by `as u32`. Objects
//! that are opaque in C are so here, and neither Send nor Sync: which call may be
//! made from which thread is for a wrapper to say (rt.rs).
#![allow(non_camel_case_types, dead_code)]
use std::marker::{PhantomData, PhantomPinned};
use std::os::raw::{c_char, c_int, c_uint, c_void};

macro_rules! opaque {
    ($name:ident) => {
        #[repr(C)]
        pub struct $name {
            _data: [u8; 0],
            _marker: PhantomData<(*mut u8, PhantomPinned)>,
        }
    };
}

opaque!(kvm_cpuid2); // of linux/kvm.h

#[repr(C)]
pub struct timespec {
    pub tv_sec: i64,
    pub tv_nsec: i64,
}

// context.h
pub const RTKVM_LOG_ERROR: c_int = 0;
pub const RTKVM_LOG_WARNING: c_int = 1;
pub const RTKVM_LOG_INFO: c_int = 2;
pub const RTKVM_LOG_DEBUG: c_int = 3;

opaque!(rtkvm);
pub type rtkvm_log_fn = unsafe extern "C" fn(
    level: c_int,
    message: *const c_char,
    arg: *mut c_void,
);
#[repr(C)]
pub struct rtkvm_options {
    pub size: usize,
    pub log: Option<rtkvm_log_fn>,
    pub log_arg: *mut c_void,
    pub log_level: i32,
    pub flags: u32,
    pub root: *const c_char,
    pub state_dir: *const c_char,
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_options_init(options: *mut rtkvm_options, size: usize);
    pub fn rtkvm_new(options: *const rtkvm_options, rt: *mut *mut rtkvm) -> c_int;
    pub fn rtkvm_free(rt: *mut rtkvm);
    pub fn rtkvm_state_dir(rt: *const rtkvm) -> *const c_char;
    pub fn rtkvm_last_error() -> *const c_char;
    pub fn rtkvm_last_error_what() -> *const c_char;
    pub fn rtkvm_last_error_where() -> *const c_char;
    pub fn rtkvm_last_error_remedy() -> *const c_char;
    pub fn rtkvm_last_error_code() -> c_int;
}

// cpu.h
pub const RTKVM_CPU_BEST: c_int = 0;
pub const RTKVM_CPU_AFFINITY: c_int = 1;
pub const RTKVM_CPU_PARTITION: c_int = 2;
pub const RTKVM_CPU_OFFLINE: c_int = 3;
pub const RTKVM_CPU_WHOLE_CORES: c_int = 1 << 0;
pub const RTKVM_CPU_CPU0: c_int = 1 << 1;
pub const RTKVM_CPU_ONE_CACHE: c_int = 1 << 2;
pub const RTKVM_CPU_STRICT: c_int = 1 << 3;
pub const RTKVM_CPU_NO_FAIR_SERVER: c_int = 1 << 4;
pub const RTKVM_CPU_ALLOW_CSTATES: c_int = 1 << 5;
pub const RTKVM_CPU_HOTPLUG: c_int = 1 << 6;

opaque!(rtkvm_cpu_lease);
#[repr(C)]
pub struct rtkvm_cpu_request {
    pub size: usize,
    pub name: *const c_char,
    pub cpus: *const c_char,
    pub near_device: *const c_char,
    pub count: u32,
    pub node: i32,
    pub mode: i32,
    pub flags: u32,
    pub target: i32,
    pub pad: u32,
    pub schemata: *const c_char,
    pub reserved: [u64; 3],
}

extern "C" {
    pub fn rtkvm_cpu_request_init(request: *mut rtkvm_cpu_request, size: usize);
    pub fn rtkvm_cpu_lease_acquire(
        rt: *mut rtkvm,
        request: *const rtkvm_cpu_request,
        lease: *mut *mut rtkvm_cpu_lease,
    ) -> c_int;
    pub fn rtkvm_cpu_lease_from_fd(
        rt: *mut rtkvm,
        fd: c_int,
        lease: *mut *mut rtkvm_cpu_lease,
    ) -> c_int;
    pub fn rtkvm_cpu_lease_fd(lease: *const rtkvm_cpu_lease) -> c_int;
    pub fn rtkvm_cpu_lease_claim(lease: *mut rtkvm_cpu_lease, index: u32) -> c_int;
    pub fn rtkvm_cpu_lease_add_claim(lease: *mut rtkvm_cpu_lease, fd: c_int) -> c_int;
    pub fn rtkvm_cpu_lease_get_count(lease: *const rtkvm_cpu_lease) -> u32;
    pub fn rtkvm_cpu_lease_get_cpu(lease: *const rtkvm_cpu_lease, index: u32) -> c_int;
    pub fn rtkvm_cpu_lease_get_node(lease: *const rtkvm_cpu_lease) -> c_int;
    pub fn rtkvm_cpu_lease_get_mode(lease: *const rtkvm_cpu_lease) -> c_int;
    pub fn rtkvm_cpu_lease_add_thread(
        lease: *mut rtkvm_cpu_lease,
        tid: c_int,
        index: c_int,
    ) -> c_int;
    pub fn rtkvm_cpu_lease_bring_online(lease: *mut rtkvm_cpu_lease, index: u32) -> c_int;
    pub fn rtkvm_cpu_lease_report(
        lease: *mut rtkvm_cpu_lease,
        report: *mut *mut rtkvm_report,
    ) -> c_int;
    pub fn rtkvm_cpu_lease_repair(
        lease: *mut rtkvm_cpu_lease,
        report: *mut *mut rtkvm_report,
    ) -> c_int;
    pub fn rtkvm_cpu_lease_watch(lease: *mut rtkvm_cpu_lease, interval_ms: u32) -> c_int;
    pub fn rtkvm_cpu_lease_dispatch(
        lease: *mut rtkvm_cpu_lease,
        report: *mut *mut rtkvm_report,
    ) -> c_int;
    pub fn rtkvm_cpu_lease_release(
        lease: *mut rtkvm_cpu_lease,
        report: *mut *mut rtkvm_report,
    ) -> c_int;
    pub fn rtkvm_cpu_lease_leave(lease: *mut rtkvm_cpu_lease);
}

// host.h
pub const RTKVM_VERDICT_OK: c_int = 0;
pub const RTKVM_VERDICT_WARN: c_int = 1;
pub const RTKVM_VERDICT_FAIL: c_int = 2;
pub const RTKVM_VERDICT_NOT_APPLICABLE: c_int = 3;
pub const RTKVM_VERDICT_UNKNOWN: c_int = 4;
pub const RTKVM_REMEDY_NONE: c_int = 0;
pub const RTKVM_REMEDY_COMMAND: c_int = 1;
pub const RTKVM_REMEDY_BOOT: c_int = 2;
pub const RTKVM_REMEDY_MANUAL: c_int = 3;
pub const RTKVM_CPUS_ONLINE: c_int = 0;
pub const RTKVM_CPUS_ISOLATED: c_int = 1;
pub const RTKVM_CPUS_NOHZ_FULL: c_int = 2;
pub const RTKVM_CPUS_REALTIME: c_int = 3;
pub const RTKVM_CPUS_HOUSEKEEPING: c_int = 4;

opaque!(rtkvm_host);
opaque!(rtkvm_check);
#[repr(C)]
pub struct rtkvm_host_options {
    pub size: usize,
    pub flags: u32,
    pub pid: i32,
    pub cpus: *const c_char,
    pub plan: *const rtkvm_plan,
    pub vm_facts: *const c_char,
    pub only: *const c_char,
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_host_options_init(options: *mut rtkvm_host_options, size: usize);
    pub fn rtkvm_host_probe(
        rt: *mut rtkvm,
        options: *const rtkvm_host_options,
        host: *mut *mut rtkvm_host,
    ) -> c_int;
    pub fn rtkvm_host_free(host: *mut rtkvm_host);
    pub fn rtkvm_host_count(host: *const rtkvm_host) -> usize;
    pub fn rtkvm_host_count_verdict(host: *const rtkvm_host, verdict: c_int) -> usize;
    pub fn rtkvm_host_next(
        host: *const rtkvm_host,
        check: *const rtkvm_check,
    ) -> *const rtkvm_check;
    pub fn rtkvm_host_find(host: *const rtkvm_host, id: *const c_char) -> *const rtkvm_check;
    pub fn rtkvm_host_get_cpus(
        host: *const rtkvm_host,
        which: c_int,
        text: *mut c_char,
        size: usize,
    ) -> c_int;
    pub fn rtkvm_host_get_node(host: *const rtkvm_host, cpu: c_uint) -> c_int;
    pub fn rtkvm_verdict_name(verdict: c_int) -> *const c_char;
    pub fn rtkvm_check_id(check: *const rtkvm_check) -> *const c_char;
    pub fn rtkvm_check_category(check: *const rtkvm_check) -> *const c_char;
    pub fn rtkvm_check_title(check: *const rtkvm_check) -> *const c_char;
    pub fn rtkvm_check_verdict(check: *const rtkvm_check) -> c_int;
    pub fn rtkvm_check_value(check: *const rtkvm_check) -> *const c_char;
    pub fn rtkvm_check_why(check: *const rtkvm_check) -> *const c_char;
    pub fn rtkvm_check_source(check: *const rtkvm_check) -> *const c_char;
    pub fn rtkvm_check_remedy(check: *const rtkvm_check) -> *const c_char;
    pub fn rtkvm_check_remedy_kind(check: *const rtkvm_check) -> c_int;
    pub fn rtkvm_check_needs_root(check: *const rtkvm_check) -> c_int;
}

// latency.h
pub const RTKVM_LATENCY_TEXT: c_int = 0;
pub const RTKVM_LATENCY_HGRM: c_int = 1;
pub const RTKVM_LATENCY_CYCLICTEST: c_int = 2;
pub const RTKVM_LATENCY_JSON: c_int = 3;
pub const RTKVM_LATENCY_MAX_NS: u64 = 10000000000;

opaque!(rtkvm_latency);
#[repr(C)]
pub struct rtkvm_latency_summary {
    pub size: usize,
    pub count: u64,
    pub overflows: u64,
    pub min_ns: u64,
    pub max_ns: u64,
    pub avg_ns: f64,
    pub stddev_ns: f64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_latency_new(
        rt: *mut rtkvm,
        name: *const c_char,
        latency: *mut *mut rtkvm_latency,
    ) -> c_int;
    pub fn rtkvm_latency_free(latency: *mut rtkvm_latency);
    pub fn rtkvm_latency_record(latency: *mut rtkvm_latency, ns: u64);
    pub fn rtkvm_latency_merge(to: *mut rtkvm_latency, from: *const rtkvm_latency) -> c_int;
    pub fn rtkvm_latency_reset(latency: *mut rtkvm_latency);
    pub fn rtkvm_latency_percentile(latency: *const rtkvm_latency, percentile: f64) -> u64;
    pub fn rtkvm_latency_get_summary(
        latency: *const rtkvm_latency,
        summary: *mut rtkvm_latency_summary,
    ) -> c_int;
    pub fn rtkvm_latency_export(latency: *const rtkvm_latency, format: c_int, fd: c_int) -> c_int;
    pub fn rtkvm_latency_import(latency: *mut rtkvm_latency, text: *const c_char) -> c_int;
    pub fn rtkvm_latency_plot(
        latencies: *const *const rtkvm_latency,
        count: usize,
        path: *const c_char,
    ) -> c_int;
}

// lease.h
pub const RTKVM_KNOB_IRQ_AFFINITY: c_int = 1;
pub const RTKVM_KNOB_IRQ_DEFAULT_AFFINITY: c_int = 2;
pub const RTKVM_KNOB_WORKQUEUE_CPUMASK: c_int = 3;
pub const RTKVM_KNOB_TIMER_MIGRATION: c_int = 4;
pub const RTKVM_KNOB_KSM_RUN: c_int = 5;
pub const RTKVM_KNOB_STAT_INTERVAL: c_int = 6;
pub const RTKVM_KNOB_NUMA_BALANCING: c_int = 7;
pub const RTKVM_KNOB_HUGEPAGES_2M: c_int = 8;
pub const RTKVM_KNOB_HUGEPAGES_1G: c_int = 9;
pub const RTKVM_KNOB_CPU_ONLINE: c_int = 10;
pub const RTKVM_KNOB_CPU_LATENCY: c_int = 11;
pub const RTKVM_KNOB_CPU_GOVERNOR: c_int = 12;
pub const RTKVM_KNOB_CPU_EPP: c_int = 13;
pub const RTKVM_KNOB_FAIR_SERVER: c_int = 14;
pub const RTKVM_KNOB_NET_RPS: c_int = 15;
pub const RTKVM_KNOB_NET_XPS: c_int = 16;
pub const RTKVM_KNOB_NET_RPS_DEFAULT: c_int = 17;
pub const RTKVM_KNOB_CGROUP_CPUSET: c_int = 18;
pub const RTKVM_KNOB_WATCHDOG_CPUMASK: c_int = 19;
pub const RTKVM_KNOB_TRACE_INSTANCE: c_int = 32;
pub const RTKVM_KNOB_OSNOISE_CPUS: c_int = 33;
pub const RTKVM_POLICY_TS: c_int = 0;
pub const RTKVM_POLICY_FF: c_int = 1;
pub const RTKVM_POLICY_RR: c_int = 2;

opaque!(rtkvm_lease);

extern "C" {
    pub fn rtkvm_lease_new(
        rt: *mut rtkvm,
        name: *const c_char,
        lease: *mut *mut rtkvm_lease,
    ) -> c_int;
    pub fn rtkvm_lease_fd(lease: *const rtkvm_lease) -> c_int;
    pub fn rtkvm_lease_set_knob(
        lease: *mut rtkvm_lease,
        knob: c_int,
        index: c_uint,
        value: *const c_char,
    ) -> c_int;
    pub fn rtkvm_lease_set_thread_sched(
        lease: *mut rtkvm_lease,
        tid: c_int,
        policy: c_int,
        priority: c_int,
    ) -> c_int;
    pub fn rtkvm_lease_set_thread_cpus(
        lease: *mut rtkvm_lease,
        tid: c_int,
        cpus: *const c_char,
    ) -> c_int;
    pub fn rtkvm_lease_hold_cstate(lease: *mut rtkvm_lease, max_exit_us: i32) -> c_int;
    pub fn rtkvm_lease_set_target(lease: *mut rtkvm_lease, pid: c_int) -> c_int;
    pub fn rtkvm_lease_leave(lease: *mut rtkvm_lease);
    pub fn rtkvm_lease_release(lease: *mut rtkvm_lease, report: *mut *mut rtkvm_report) -> c_int;
    pub fn rtkvm_restore(rt: *mut rtkvm, report: *mut *mut rtkvm_report) -> c_int;
    pub fn rtkvm_lease_end(
        rt: *mut rtkvm,
        name: *const c_char,
        report: *mut *mut rtkvm_report,
    ) -> c_int;
    pub fn rtkvm_status(rt: *mut rtkvm, report: *mut *mut rtkvm_report) -> c_int;
}

// memory.h
pub const RTKVM_MEMORY_BIND: c_int = 1 << 0;
pub const RTKVM_MEMORY_NO_KSM: c_int = 1 << 1;
pub const RTKVM_MEMORY_PREFAULT: c_int = 1 << 2;
pub const RTKVM_MEMORY_LOCK: c_int = 1 << 3;
pub const RTKVM_MEMORY_THP: c_int = 1 << 4;
pub const RTKVM_MEMORY_NO_THP: c_int = 1 << 5;

pub type rtkvm_memory_progress_fn = unsafe extern "C" fn(
    done: usize,
    total: usize,
    arg: *mut c_void,
) -> c_int;
#[repr(C)]
pub struct rtkvm_memory_request {
    pub size: usize,
    pub features: u32,
    pub node: i32,
    pub progress: Option<rtkvm_memory_progress_fn>,
    pub progress_arg: *mut c_void,
    pub reserved: [u64; 4],
}
#[repr(C)]
pub struct rtkvm_faults {
    pub size: usize,
    pub minor: u64,
    pub major: u64,
}

extern "C" {
    pub fn rtkvm_memory_request_init(request: *mut rtkvm_memory_request, size: usize);
    pub fn rtkvm_memory_prepare(
        rt: *mut rtkvm,
        address: *mut c_void,
        length: usize,
        request: *const rtkvm_memory_request,
        report: *mut *mut rtkvm_report,
    ) -> c_int;
    pub fn rtkvm_faults_get(faults: *mut rtkvm_faults) -> c_int;
}

// plan.h
pub const RTKVM_ROLE_MAIN: c_int = 0;
pub const RTKVM_ROLE_IO: c_int = 1;
pub const RTKVM_ROLE_VCPU: c_int = 2;
pub const RTKVM_ROLE_AIO: c_int = 3;
pub const RTKVM_ROLE_HELPER: c_int = 4;
pub const RTKVM_ROLE_COUNT: c_int = 5;
pub const RTKVM_GUARD_OVERCOMMIT: c_int = 1;
pub const RTKVM_GUARD_KTHREADS: c_int = 2;
pub const RTKVM_GUARD_THROTTLE: c_int = 4;
pub const RTKVM_GUARD_PRIVILEGE: c_int = 8;
pub const RTKVM_GUARD_TOP: c_int = 16;
pub const RTKVM_GUARD_ALL: c_int = 31;

opaque!(rtkvm_plan);
opaque!(rtkvm_watch);
#[repr(C)]
pub struct rtkvm_role_sched {
    pub size: usize,
    pub policy: i32,
    pub priority: i32,
    pub reserved: [u64; 2],
}
#[repr(C)]
pub struct rtkvm_thread_info {
    pub size: usize,
    pub tid: i32,
    pub role: i32,
    pub policy: i32,
    pub priority: i32,
    pub as_planned: i32,
    pub pad: u32,
    pub name: [c_char; 64],
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_plan_parse(
        rt: *mut rtkvm,
        text: *const c_char,
        plan: *mut *mut rtkvm_plan,
    ) -> c_int;
    pub fn rtkvm_plan_print(plan: *const rtkvm_plan, buf: *mut c_char, len: usize) -> c_int;
    pub fn rtkvm_plan_free(plan: *mut rtkvm_plan);
    pub fn rtkvm_plan_get_role(
        plan: *const rtkvm_plan,
        role: c_int,
        sched: *mut rtkvm_role_sched,
    ) -> c_int;
    pub fn rtkvm_plan_get_ceiling(plan: *const rtkvm_plan, roles: c_uint) -> c_int;
    pub fn rtkvm_plan_get_maxprio(plan: *const rtkvm_plan) -> c_int;
    pub fn rtkvm_plan_get_pvsched(plan: *const rtkvm_plan) -> c_int;
    pub fn rtkvm_plan_set_role_cpus(
        plan: *mut rtkvm_plan,
        role: c_int,
        cpus: *const c_char,
    ) -> c_int;
    pub fn rtkvm_plan_add_rule(
        plan: *mut rtkvm_plan,
        pattern: *const c_char,
        role: c_int,
    ) -> c_int;
    pub fn rtkvm_plan_allow(plan: *mut rtkvm_plan, guards: c_uint) -> c_int;
    pub fn rtkvm_plan_check(
        plan: *mut rtkvm_plan,
        vcpus: c_uint,
        report: *mut *mut rtkvm_report,
    ) -> c_int;
    pub fn rtkvm_thread_enter(plan: *mut rtkvm_plan, role: c_int) -> c_int;
    pub fn rtkvm_thread_leave(plan: *mut rtkvm_plan) -> c_int;
    pub fn rtkvm_plan_go_realtime(plan: *mut rtkvm_plan, report: *mut *mut rtkvm_report) -> c_int;
    pub fn rtkvm_plan_is_realtime(plan: *const rtkvm_plan) -> c_int;
    pub fn rtkvm_plan_next_thread(
        plan: *mut rtkvm_plan,
        after: c_int,
        info: *mut rtkvm_thread_info,
    ) -> c_int;
    pub fn rtkvm_plan_undo(plan: *mut rtkvm_plan, report: *mut *mut rtkvm_report) -> c_int;
    pub fn rtkvm_watch_new(
        plan: *mut rtkvm_plan,
        pid: c_int,
        lease: *mut rtkvm_lease,
        watch: *mut *mut rtkvm_watch,
    ) -> c_int;
    pub fn rtkvm_watch_add_device(watch: *mut rtkvm_watch, device: *const c_char) -> c_int;
    pub fn rtkvm_watch_fd(watch: *const rtkvm_watch) -> c_int;
    pub fn rtkvm_watch_set_interval(watch: *mut rtkvm_watch, ms: c_uint) -> c_int;
    pub fn rtkvm_watch_set_role(watch: *mut rtkvm_watch, tid: c_int, role: c_int) -> c_int;
    pub fn rtkvm_watch_go_realtime(
        watch: *mut rtkvm_watch,
        report: *mut *mut rtkvm_report,
    ) -> c_int;
    pub fn rtkvm_watch_dispatch(watch: *mut rtkvm_watch, placed: *mut c_uint) -> c_int;
    pub fn rtkvm_watch_free(watch: *mut rtkvm_watch);
}

// report.h
pub const RTKVM_STATE_OFF: c_int = 0;
pub const RTKVM_STATE_ACCEPTED: c_int = 1;
pub const RTKVM_STATE_VERIFIED: c_int = 2;
pub const RTKVM_STATE_UNVERIFIABLE: c_int = 3;

opaque!(rtkvm_report);
opaque!(rtkvm_report_item);

extern "C" {
    pub fn rtkvm_report_state_name(state: c_int) -> *const c_char;
    pub fn rtkvm_report_count(report: *const rtkvm_report) -> usize;
    pub fn rtkvm_report_next(
        report: *const rtkvm_report,
        item: *const rtkvm_report_item,
    ) -> *const rtkvm_report_item;
    pub fn rtkvm_report_find(
        report: *const rtkvm_report,
        feature: *const c_char,
    ) -> *const rtkvm_report_item;
    pub fn rtkvm_report_item_feature(item: *const rtkvm_report_item) -> *const c_char;
    pub fn rtkvm_report_item_state(item: *const rtkvm_report_item) -> c_int;
    pub fn rtkvm_report_item_reason(item: *const rtkvm_report_item) -> *const c_char;
    pub fn rtkvm_report_item_problem(item: *const rtkvm_report_item) -> c_int;
    pub fn rtkvm_report_problems(report: *const rtkvm_report) -> usize;
    pub fn rtkvm_report_free(report: *mut rtkvm_report);
}

// sync_cond.h
pub const RTKVM_COND_SHARED: c_int = 1;
pub const RTKVM_COND_STATS: c_int = 4;

#[repr(C)]
pub struct rtkvm_cond {
    pub opaque: [u64; 8],
}
#[repr(C)]
pub struct rtkvm_cond_options {
    pub size: usize,
    pub clock: i32,
    pub flags: u32,
    pub reserved: [u64; 4],
}
#[repr(C)]
pub struct rtkvm_cond_stats {
    pub size: usize,
    pub waits: u64,
    pub wakes: u64,
    pub retries: u64,
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_cond_options_init(options: *mut rtkvm_cond_options, size: usize);
    pub fn rtkvm_cond_init(cond: *mut rtkvm_cond, options: *const rtkvm_cond_options) -> c_int;
    pub fn rtkvm_cond_destroy(cond: *mut rtkvm_cond) -> c_int;
    pub fn rtkvm_cond_wait(cond: *mut rtkvm_cond, mutex: *mut rtkvm_mutex) -> c_int;
    pub fn rtkvm_cond_timedwait(
        cond: *mut rtkvm_cond,
        mutex: *mut rtkvm_mutex,
        until: *const timespec,
    ) -> c_int;
    pub fn rtkvm_cond_clockwait(
        cond: *mut rtkvm_cond,
        mutex: *mut rtkvm_mutex,
        clock: c_int,
        until: *const timespec,
    ) -> c_int;
    pub fn rtkvm_cond_signal(cond: *mut rtkvm_cond, mutex: *mut rtkvm_mutex) -> c_int;
    pub fn rtkvm_cond_broadcast(cond: *mut rtkvm_cond, mutex: *mut rtkvm_mutex) -> c_int;
    pub fn rtkvm_cond_get_stats(cond: *const rtkvm_cond, stats: *mut rtkvm_cond_stats) -> c_int;
}

// sync_event.h
pub const RTKVM_EVENT_SHARED: c_int = 1;
pub const RTKVM_EVENT_MANUAL: c_int = 2;
pub const RTKVM_EVENT_STATS: c_int = 4;
pub const RTKVM_SEMAPHORE_SHARED: c_int = 1;
pub const RTKVM_SEMAPHORE_HANDOFF: c_int = 2;
pub const RTKVM_SEMAPHORE_STATS: c_int = 4;
pub const RTKVM_SEMAPHORE_MAX: i32 = i32::MAX;

#[repr(C)]
pub struct rtkvm_event {
    pub opaque: [u64; 8],
}
#[repr(C)]
pub struct rtkvm_event_options {
    pub size: usize,
    pub flags: u32,
    pub initial: u32,
    pub reserved: [u64; 2],
}
#[repr(C)]
pub struct rtkvm_event_stats {
    pub size: usize,
    pub sets: u64,
    pub wakes: u64,
    pub sleeps: u64,
    pub reserved: [u64; 4],
}
#[repr(C)]
pub struct rtkvm_event_fd {
    pub opaque: [u64; 8],
}
#[repr(C)]
pub struct rtkvm_semaphore {
    pub opaque: [u64; 16],
}
#[repr(C)]
pub struct rtkvm_semaphore_options {
    pub size: usize,
    pub flags: u32,
    pub value: u32,
    pub reserved: [u64; 2],
}
#[repr(C)]
pub struct rtkvm_semaphore_stats {
    pub size: usize,
    pub posts: u64,
    pub wakes: u64,
    pub handoffs: u64,
    pub sleeps: u64,
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_event_options_init(options: *mut rtkvm_event_options, size: usize);
    pub fn rtkvm_event_init(event: *mut rtkvm_event, options: *const rtkvm_event_options) -> c_int;
    pub fn rtkvm_event_set(event: *mut rtkvm_event) -> c_int;
    pub fn rtkvm_event_reset(event: *mut rtkvm_event) -> c_int;
    pub fn rtkvm_event_is_set(event: *const rtkvm_event) -> c_int;
    pub fn rtkvm_event_wait(
        event: *mut rtkvm_event,
        clock: c_int,
        until: *const timespec,
    ) -> c_int;
    pub fn rtkvm_event_get_stats(
        event: *const rtkvm_event,
        stats: *mut rtkvm_event_stats,
    ) -> c_int;
    pub fn rtkvm_event_fd_init(event: *mut rtkvm_event_fd) -> c_int;
    pub fn rtkvm_event_fd_destroy(event: *mut rtkvm_event_fd);
    pub fn rtkvm_event_fd_get(event: *const rtkvm_event_fd) -> c_int;
    pub fn rtkvm_event_fd_set(event: *mut rtkvm_event_fd) -> c_int;
    pub fn rtkvm_event_fd_take(event: *mut rtkvm_event_fd) -> c_int;
    pub fn rtkvm_semaphore_options_init(options: *mut rtkvm_semaphore_options, size: usize);
    pub fn rtkvm_semaphore_init(
        semaphore: *mut rtkvm_semaphore,
        options: *const rtkvm_semaphore_options,
    ) -> c_int;
    pub fn rtkvm_semaphore_post(semaphore: *mut rtkvm_semaphore) -> c_int;
    pub fn rtkvm_semaphore_wait(
        semaphore: *mut rtkvm_semaphore,
        clock: c_int,
        until: *const timespec,
    ) -> c_int;
    pub fn rtkvm_semaphore_trywait(semaphore: *mut rtkvm_semaphore) -> c_int;
    pub fn rtkvm_semaphore_value(semaphore: *const rtkvm_semaphore) -> c_int;
    pub fn rtkvm_semaphore_get_stats(
        semaphore: *const rtkvm_semaphore,
        stats: *mut rtkvm_semaphore_stats,
    ) -> c_int;
}

// sync_mutex.h
pub const RTKVM_MUTEX_NORMAL: c_int = 0;
pub const RTKVM_MUTEX_ERRORCHECK: c_int = 1;
pub const RTKVM_MUTEX_RECURSIVE: c_int = 2;
pub const RTKVM_MUTEX_INHERIT: c_int = 0;
pub const RTKVM_MUTEX_STATIC: c_int = 1;
pub const RTKVM_MUTEX_EAGER: c_int = 2;
pub const RTKVM_MUTEX_CHECKED: c_int = 3;
pub const RTKVM_MUTEX_SHARED: c_int = 1;
pub const RTKVM_MUTEX_ROBUST: c_int = 2;
pub const RTKVM_MUTEX_STATS: c_int = 4;

#[repr(C)]
pub struct rtkvm_mutex {
    pub opaque: [u64; 8],
}
#[repr(C)]
pub struct rtkvm_mutex_options {
    pub size: usize,
    pub r#type: u32,
    pub protocol: u32,
    pub ceiling: u32,
    pub flags: u32,
    pub reserved: [u64; 4],
}
#[repr(C)]
pub struct rtkvm_mutex_stats {
    pub size: usize,
    pub contended: u64,
    pub retries: u64,
    pub boosts: u64,
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_mutex_options_init(options: *mut rtkvm_mutex_options, size: usize);
    pub fn rtkvm_mutex_init(mutex: *mut rtkvm_mutex, options: *const rtkvm_mutex_options) -> c_int;
    pub fn rtkvm_mutex_destroy(mutex: *mut rtkvm_mutex) -> c_int;
    pub fn rtkvm_mutex_lock(mutex: *mut rtkvm_mutex) -> c_int;
    pub fn rtkvm_mutex_trylock(mutex: *mut rtkvm_mutex) -> c_int;
    pub fn rtkvm_mutex_timedlock(
        mutex: *mut rtkvm_mutex,
        clock: c_int,
        until: *const timespec,
    ) -> c_int;
    pub fn rtkvm_mutex_unlock(mutex: *mut rtkvm_mutex) -> c_int;
    pub fn rtkvm_mutex_consistent(mutex: *mut rtkvm_mutex) -> c_int;
    pub fn rtkvm_mutex_get_ceiling(mutex: *const rtkvm_mutex) -> c_int;
    pub fn rtkvm_mutex_set_ceiling(mutex: *mut rtkvm_mutex, ceiling: c_int) -> c_int;
    pub fn rtkvm_mutex_get_stats(
        mutex: *const rtkvm_mutex,
        stats: *mut rtkvm_mutex_stats,
    ) -> c_int;
    pub fn rtkvm_thread_resync() -> c_int;
}

// sync_queue.h
pub const RTKVM_QUEUE_SHARED: c_int = 1;
pub const RTKVM_QUEUE_MPSC: c_int = 2;
pub const RTKVM_QUEUE_STATS: c_int = 4;
pub const RTKVM_QUEUE_CAPACITY_MAX: u32 = 1 << 24;
pub const RTKVM_QUEUE_ITEM_MAX: u32 = 65536;

#[repr(C)]
pub struct rtkvm_queue {
    pub opaque: [u64; 48],
}
#[repr(C)]
pub struct rtkvm_queue_options {
    pub size: usize,
    pub flags: u32,
    pub capacity: u32,
    pub item_size: u32,
    pub reserved0: u32,
    pub bell: *mut rtkvm_event_fd,
    pub reserved: [u64; 4],
}
#[repr(C)]
pub struct rtkvm_queue_stats {
    pub size: usize,
    pub pushes: u64,
    pub overflows: u64,
    pub waits: u64,
    pub rings: u64,
    pub passed: u64,
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_queue_options_init(options: *mut rtkvm_queue_options, size: usize);
    pub fn rtkvm_queue_bytes(capacity: u32, item_size: u32) -> usize;
    pub fn rtkvm_queue_init(
        queue: *mut rtkvm_queue,
        bytes: usize,
        options: *const rtkvm_queue_options,
    ) -> c_int;
    pub fn rtkvm_queue_push(queue: *mut rtkvm_queue, item: *const c_void) -> c_int;
    pub fn rtkvm_queue_pop(queue: *mut rtkvm_queue, item: *mut c_void) -> c_int;
    pub fn rtkvm_queue_pop_wait(
        queue: *mut rtkvm_queue,
        item: *mut c_void,
        clock: c_int,
        until: *const timespec,
    ) -> c_int;
    pub fn rtkvm_queue_arm(queue: *mut rtkvm_queue) -> c_int;
    pub fn rtkvm_queue_get_stats(
        queue: *const rtkvm_queue,
        stats: *mut rtkvm_queue_stats,
    ) -> c_int;
}

// sync_request.h
pub const RTKVM_PORT_SHARED: c_int = 1;
pub const RTKVM_PORT_STATS: c_int = 2;
pub const RTKVM_PORT_SPIN_MAX_NS: u32 = 1000000;
pub const RTKVM_PORT_SPIN_DEFAULT_NS: u32 = 20000;

#[repr(C)]
pub struct rtkvm_port {
    pub opaque: [u64; 48],
}
#[repr(C)]
pub struct rtkvm_request {
    pub op: u64,
    pub arg: [u64; 6],
    pub result: i64,
}
#[repr(C)]
pub struct rtkvm_port_options {
    pub size: usize,
    pub flags: u32,
    pub client_spin_ns: u32,
    pub server_spin_ns: u32,
    pub reserved0: u32,
    pub bell: *mut rtkvm_event_fd,
    pub reserved: [u64; 4],
}
#[repr(C)]
pub struct rtkvm_port_stats {
    pub size: usize,
    pub calls: u64,
    pub contended: u64,
    pub lent: u64,
    pub wakes: u64,
    pub withdrawn: u64,
    pub abandoned: u64,
    pub deaths: u64,
    pub reserved: [u64; 4],
}

extern "C" {
    pub fn rtkvm_port_options_init(options: *mut rtkvm_port_options, size: usize);
    pub fn rtkvm_port_init(port: *mut rtkvm_port, options: *const rtkvm_port_options) -> c_int;
    pub fn rtkvm_port_open(port: *mut rtkvm_port) -> c_int;
    pub fn rtkvm_port_close(port: *mut rtkvm_port) -> c_int;
    pub fn rtkvm_port_receive(
        port: *mut rtkvm_port,
        request: *mut rtkvm_request,
        clock: c_int,
        until: *const timespec,
    ) -> c_int;
    pub fn rtkvm_port_reply(port: *mut rtkvm_port, request: *const rtkvm_request) -> c_int;
    pub fn rtkvm_port_call(
        port: *mut rtkvm_port,
        request: *mut rtkvm_request,
        clock: c_int,
        until: *const timespec,
    ) -> c_int;
    pub fn rtkvm_port_drain(port: *mut rtkvm_port, clock: c_int, until: *const timespec) -> c_int;
    pub fn rtkvm_port_server(port: *const rtkvm_port) -> c_int;
    pub fn rtkvm_port_get_stats(port: *const rtkvm_port, stats: *mut rtkvm_port_stats) -> c_int;
}

// version.h
pub const RTKVM_VERSION_MAJOR: c_int = 0;
pub const RTKVM_VERSION_MINOR: c_int = 1;
pub const RTKVM_VERSION_PATCH: c_int = 0;

extern "C" {
    pub fn rtkvm_version() -> *const c_char;
}

// vm.h
pub const RTKVM_VM_NOEXIT_HLT: c_int = 1;
pub const RTKVM_VM_NOEXIT_PAUSE: c_int = 2;
pub const RTKVM_VM_NOEXIT_MWAIT: c_int = 4;
pub const RTKVM_VM_NOEXIT_CSTATE: c_int = 8;
pub const RTKVM_VM_HALT_POLL: c_int = 16;
pub const RTKVM_VM_X2APIC: c_int = 32;
pub const RTKVM_VM_PV_CPUID: c_int = 64;
pub const RTKVM_VM_TSC: c_int = 128;
pub const RTKVM_VM_CSTATE_HOLD: c_int = 256;
pub const RTKVM_VM_ALL: c_int = 511;
pub const RTKVM_VM_DEDICATED_CPU: c_int = 512;
pub const RTKVM_STRICT: c_int = 1;
pub const RTKVM_DEDICATE_NO_FALLBACK: c_int = 1;

opaque!(rtkvm_vm);
opaque!(rtkvm_vcpu);
#[repr(C)]
pub struct rtkvm_vm_options {
    pub size: usize,
    pub features: u32,
    pub halt_poll_ns: u32,
    pub max_exit_us: i32,
    pub kick_signal: i32,
    pub kvm_fd: i32,
    pub dedicated: u32,
    pub reserved: [u64; 6],
}
#[repr(C)]
pub struct rtkvm_dedicate_options {
    pub size: usize,
    pub features: u64,
    pub poll_ns: u32,
    pub flags: u32,
    pub reserved: [u64; 5],
}

extern "C" {
    pub fn rtkvm_vm_options_init(options: *mut rtkvm_vm_options, size: usize);
    pub fn rtkvm_vm_new(
        rt: *mut rtkvm,
        vm_fd: c_int,
        plan: *mut rtkvm_plan,
        options: *const rtkvm_vm_options,
        vm: *mut *mut rtkvm_vm,
    ) -> c_int;
    pub fn rtkvm_vm_free(vm: *mut rtkvm_vm);
    pub fn rtkvm_vm_edit_cpuid(
        vm: *mut rtkvm_vm,
        cpuid: *mut kvm_cpuid2,
        max_entries: u32,
    ) -> c_int;
    pub fn rtkvm_vcpu_new(
        vm: *mut rtkvm_vm,
        index: c_uint,
        vcpu_fd: c_int,
        vcpu: *mut *mut rtkvm_vcpu,
    ) -> c_int;
    pub fn rtkvm_dedicate_options_init(options: *mut rtkvm_dedicate_options, size: usize);
    pub fn rtkvm_vcpu_dedicate(
        vcpu: *mut rtkvm_vcpu,
        lease: *mut rtkvm_cpu_lease,
        index: u32,
        options: *const rtkvm_dedicate_options,
    ) -> c_int;
    pub fn rtkvm_vcpu_free(vcpu: *mut rtkvm_vcpu);
    pub fn rtkvm_vcpu_enter(vcpu: *mut rtkvm_vcpu) -> c_int;
    pub fn rtkvm_vcpu_leave(vcpu: *mut rtkvm_vcpu) -> c_int;
    pub fn rtkvm_vm_go_realtime(vm: *mut rtkvm_vm, flags: c_uint) -> c_int;
    pub fn rtkvm_vm_leave_realtime(vm: *mut rtkvm_vm) -> c_int;
    pub fn rtkvm_vcpu_sync(vcpu: *mut rtkvm_vcpu) -> c_int;
    pub fn rtkvm_vcpu_kick(vcpu: *mut rtkvm_vcpu) -> c_int;
    pub fn rtkvm_vcpu_get_stat(
        vcpu: *const rtkvm_vcpu,
        name: *const c_char,
        value: *mut u64,
    ) -> c_int;
    pub fn rtkvm_vm_get_stat(vm: *const rtkvm_vm, name: *const c_char, value: *mut u64) -> c_int;
    pub fn rtkvm_vcpu_stat_name(vcpu: *const rtkvm_vcpu, index: c_uint) -> *const c_char;
    pub fn rtkvm_vm_report(vm: *mut rtkvm_vm, report: *mut *mut rtkvm_report) -> c_int;
}
