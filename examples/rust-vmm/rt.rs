// SPDX-License-Identifier: MIT
//! librtkvm in Rust's terms: owners that free, borrows that keep the order of
//! freeing, and tokens that stay in their thread. Only what this VMM uses; each
//! function is one call of rtkvm.rs, whose header says what it does.
//!
//! - A VM borrows its plan, a plan its context: the library wants to be left in
//!   that order.
//! - What may be called from any thread is Send and Sync here. What belongs to one
//!   thread (a role, a vCPU that was entered) is a token that is neither.
use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::mem::{size_of, MaybeUninit};
use std::os::raw::{c_char, c_int, c_void};
use std::os::unix::io::RawFd;
use std::{fmt, ptr};

use crate::kvm::{Cpuid, CPUID_ENTRIES};
use crate::rtkvm::*;

/// What the library says of a call that failed.
#[derive(Debug)]
pub struct Error(pub String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;

/// Texts of the library are never NULL; copied, as some are only lent.
fn text(s: *const c_char) -> String {
    unsafe { CStr::from_ptr(s) }.to_string_lossy().into_owned()
}

/// In the thread that made the call: the last error is each thread's own.
fn check(code: c_int) -> Result<c_int> {
    if code < 0 {
        return Err(Error(text(unsafe { rtkvm_last_error() })));
    }
    Ok(code)
}

fn c_string(s: &str) -> Result<CString> {
    CString::new(s).map_err(|_| Error(format!("a zero byte in '{}'", s.escape_default())))
}

/// A struct of options with its defaults.
fn defaults<T>(init: unsafe extern "C" fn(*mut T, usize)) -> T {
    let mut options = MaybeUninit::uninit();
    unsafe {
        init(options.as_mut_ptr(), size_of::<T>());
        options.assume_init()
    }
}

pub fn version() -> String {
    text(unsafe { rtkvm_version() })
}

/// A panic may not leave a function that C calls; printing to a closed stderr is
/// the only one here, so it is written without.
unsafe extern "C" fn on_log(_: c_int, message: *const c_char, _: *mut c_void) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "librtkvm: {}", text(message));
}

pub struct Context(*mut rtkvm);

unsafe impl Send for Context {}
unsafe impl Sync for Context {}

impl Context {
    pub fn new() -> Result<Context> {
        let mut rt = ptr::null_mut();
        let mut options = defaults(rtkvm_options_init);
        options.log = Some(on_log);
        check(unsafe { rtkvm_new(&options, &mut rt) })?;
        Ok(Context(rt))
    }

    pub fn plan(&self, option: &str) -> Result<Plan<'_>> {
        let option = c_string(option)?;
        let mut plan = ptr::null_mut();
        check(unsafe { rtkvm_plan_parse(self.0, option.as_ptr(), &mut plan) })?;
        Ok(Plan { plan, context: PhantomData })
    }

    /// Lease that many CPUs; offline: for dedicated vCPUs.
    pub fn lease(&self, count: u32, offline: bool) -> Result<Lease<'_>> {
        let mut lease = ptr::null_mut();
        let name = c_string("rust-vmm")?;
        let mut request = defaults(rtkvm_cpu_request_init);
        request.name = name.as_ptr();
        request.count = count;
        request.mode = if offline { RTKVM_CPU_OFFLINE } else { RTKVM_CPU_BEST };
        check(unsafe { rtkvm_cpu_lease_acquire(self.0, &request, &mut lease) })?;
        Ok(Lease { lease, context: PhantomData })
    }

    /// One that a launcher took and passed on: a sandboxed VMM needs no privilege.
    pub fn lease_from_fd(&self, fd: RawFd) -> Result<Lease<'_>> {
        let mut lease = ptr::null_mut();
        check(unsafe { rtkvm_cpu_lease_from_fd(self.0, fd, &mut lease) })?;
        Ok(Lease { lease, context: PhantomData })
    }

    /// Make the guest's memory ready: populated and locked.
    pub fn prepare_memory(&self, at: *mut u8, length: usize) -> (Result<()>, Report) {
        let mut report = ptr::null_mut();
        let code = unsafe {
            rtkvm_memory_prepare(self.0, at as *mut c_void, length, ptr::null(), &mut report)
        };
        (check(code).map(drop), Report(report))
    }

    pub fn recorder(&self, name: &str) -> Result<Recorder<'_>> {
        let name = c_string(name)?;
        let mut recorder = ptr::null_mut();
        check(unsafe { rtkvm_latency_new(self.0, name.as_ptr(), &mut recorder) })?;
        Ok(Recorder { recorder, context: PhantomData })
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        unsafe { rtkvm_free(self.0) }
    }
}

/// A lease is used by one thread at a time: Send, and not Sync.
pub struct Lease<'c> {
    lease: *mut rtkvm_cpu_lease,
    context: PhantomData<&'c Context>,
}

unsafe impl Send for Lease<'_> {}

impl Lease<'_> {
    pub fn cpus(&self) -> Vec<c_int> {
        let count = unsafe { rtkvm_cpu_lease_get_count(self.lease) };
        (0..count).map(|i| unsafe { rtkvm_cpu_lease_get_cpu(self.lease, i) }).collect()
    }

    /// Put the calling thread on that CPU of the lease.
    pub fn add_this_thread(&self, index: c_int) -> Result<()> {
        check(unsafe { rtkvm_cpu_lease_add_thread(self.lease, 0, index) }).map(drop)
    }

    /// Give the CPUs back; what could not be given back is in the report.
    pub fn release(self) -> (Result<()>, Report) {
        let mut report = ptr::null_mut();
        let code = unsafe { rtkvm_cpu_lease_release(self.lease, &mut report) };
        std::mem::forget(self);
        (check(code).map(drop), Report(report))
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        unsafe { rtkvm_cpu_lease_release(self.lease, ptr::null_mut()) };
    }
}

pub struct Plan<'c> {
    plan: *mut rtkvm_plan,
    context: PhantomData<&'c Context>,
}

unsafe impl Send for Plan<'_> {}
unsafe impl Sync for Plan<'_> {}

impl Plan<'_> {
    /// What its guards say of it: an error when it would be refused.
    pub fn check(&self, vcpus: u32) -> Result<()> {
        check(unsafe { rtkvm_plan_check(self.plan, vcpus, ptr::null_mut()) }).map(drop)
    }

    /// A vCPU whose guest runs on a dedicated CPU has a thread that does not spin:
    /// the guards against one that does are overridden.
    pub fn allow_sleeping_vcpus(&self) -> Result<()> {
        let guards = RTKVM_GUARD_OVERCOMMIT | RTKVM_GUARD_KTHREADS | RTKVM_GUARD_THROTTLE;
        check(unsafe { rtkvm_plan_allow(self.plan, guards as u32) }).map(drop)
    }

    /// The calling thread has that role until the token is dropped.
    pub fn enter(&self, role: c_int) -> Result<Role<'_>> {
        check(unsafe { rtkvm_thread_enter(self.plan, role) })?;
        Ok(Role { plan: self, thread: PhantomData })
    }

    /// Look after threads that nobody entered, such as those that KVM makes.
    pub fn watch(&self) -> Result<Watch<'_>> {
        let mut watch = ptr::null_mut();
        check(unsafe { rtkvm_watch_new(self.plan, 0, ptr::null_mut(), &mut watch) })?;
        Ok(Watch { watch, plan: PhantomData })
    }
}

impl Drop for Plan<'_> {
    fn drop(&mut self) {
        unsafe { rtkvm_plan_free(self.plan) }
    }
}

/// In its thread only, as its pointer is not Send.
pub struct Role<'p> {
    plan: &'p Plan<'p>,
    thread: PhantomData<*mut ()>,
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        unsafe { rtkvm_thread_leave(self.plan.plan) };
    }
}

pub struct Watch<'p> {
    watch: *mut rtkvm_watch,
    plan: PhantomData<&'p Plan<'p>>,
}

impl Watch<'_> {
    pub fn dispatch(&self) -> Result<()> {
        check(unsafe { rtkvm_watch_dispatch(self.watch, ptr::null_mut()) }).map(drop)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        unsafe { rtkvm_watch_free(self.watch) }
    }
}

/// What is wanted of a VM beyond the defaults.
pub struct VmWish {
    pub kvm_fd: RawFd,
    pub kick_signal: i32,
    pub noexit_hlt: bool,
    pub own_cpus: bool,
    pub dedicate: bool,
}

pub struct Vm<'p> {
    vm: *mut rtkvm_vm,
    plan: PhantomData<&'p Plan<'p>>,
}

unsafe impl Send for Vm<'_> {}
unsafe impl Sync for Vm<'_> {}

impl<'p> Vm<'p> {
    /// Phase 1, before the first vCPU.
    pub fn new(context: &Context, fd: RawFd, plan: &'p Plan, wish: &VmWish) -> Result<Vm<'p>> {
        let mut vm = ptr::null_mut();
        let mut options = defaults(rtkvm_vm_options_init);
        options.kvm_fd = wish.kvm_fd;
        options.kick_signal = wish.kick_signal;
        options.dedicated = wish.own_cpus.into();
        if wish.noexit_hlt {
            options.features |= RTKVM_VM_NOEXIT_HLT as u32;
        }
        if wish.dedicate {
            options.features |= RTKVM_VM_DEDICATED_CPU as u32;
        }
        check(unsafe { rtkvm_vm_new(context.0, fd, plan.plan, &options, &mut vm) })?;
        Ok(Vm { vm, plan: PhantomData })
    }

    /// Phase 2, before KVM_SET_CPUID2.
    pub fn edit_cpuid(&self, cpuid: &mut Cpuid) -> Result<()> {
        let table = cpuid as *mut Cpuid as *mut kvm_cpuid2;
        check(unsafe { rtkvm_vm_edit_cpuid(self.vm, table, CPUID_ENTRIES as u32) }).map(drop)
    }

    /// Phase 3, after KVM_CREATE_VCPU.
    pub fn vcpu(&self, index: u32, fd: RawFd) -> Result<Vcpu<'_>> {
        let mut vcpu = ptr::null_mut();
        check(unsafe { rtkvm_vcpu_new(self.vm, index, fd, &mut vcpu) })?;
        Ok(Vcpu { vcpu, vm: PhantomData })
    }

    /// Phase 5, when the guest is up.
    pub fn go_realtime(&self, strict: bool) -> Result<()> {
        let flags = if strict { RTKVM_STRICT as u32 } else { 0 };
        check(unsafe { rtkvm_vm_go_realtime(self.vm, flags) }).map(drop)
    }

    pub fn leave_realtime(&self) -> Result<()> {
        check(unsafe { rtkvm_vm_leave_realtime(self.vm) }).map(drop)
    }

    pub fn report(&self) -> Result<Report> {
        let mut report = ptr::null_mut();
        check(unsafe { rtkvm_vm_report(self.vm, &mut report) })?;
        Ok(Report(report))
    }
}

impl Drop for Vm<'_> {
    fn drop(&mut self) {
        unsafe { rtkvm_vm_free(self.vm) }
    }
}

/// The VM frees it.
pub struct Vcpu<'v> {
    vcpu: *mut rtkvm_vcpu,
    vm: PhantomData<&'v Vm<'v>>,
}

unsafe impl Send for Vcpu<'_> {}
unsafe impl Sync for Vcpu<'_> {}

impl Vcpu<'_> {
    /// The guest runs on that CPU of the lease, which must be there as long as the VM.
    pub fn dedicate(&self, lease: &Lease, index: u32) -> Result<()> {
        check(unsafe { rtkvm_vcpu_dedicate(self.vcpu, lease.lease, index, ptr::null()) }).map(drop)
    }

    /// Phase 4, in the vCPU's thread, which has it until the token is dropped.
    pub fn enter(&self) -> Result<Entered<'_>> {
        check(unsafe { rtkvm_vcpu_enter(self.vcpu) })?;
        Ok(Entered { vcpu: self, thread: PhantomData })
    }

    /// Out of KVM_RUN, or not into it.
    pub fn kick(&self) -> Result<()> {
        check(unsafe { rtkvm_vcpu_kick(self.vcpu) }).map(drop)
    }

    /// None where KVM does not count that.
    pub fn counter(&self, name: &str) -> Option<u64> {
        let (name, mut value) = (c_string(name).ok()?, 0);
        let code = unsafe { rtkvm_vcpu_get_stat(self.vcpu, name.as_ptr(), &mut value) };
        (code == 0).then(|| value)
    }
}

pub struct Entered<'v> {
    vcpu: &'v Vcpu<'v>,
    thread: PhantomData<*mut ()>,
}

impl Entered<'_> {
    /// Phase 6, between two KVM_RUNs.
    pub fn sync(&self) -> Result<()> {
        check(unsafe { rtkvm_vcpu_sync(self.vcpu.vcpu) }).map(drop)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        unsafe { rtkvm_vcpu_leave(self.vcpu.vcpu) };
    }
}

pub struct Report(*mut rtkvm_report);

/// One line of a report.
pub struct Item {
    pub feature: String,
    pub state: String,
    pub reason: String,
    pub problem: bool,
}

impl Report {
    pub fn items(&self) -> impl Iterator<Item = Item> + '_ {
        let mut at: *const rtkvm_report_item = ptr::null();
        std::iter::from_fn(move || unsafe {
            at = rtkvm_report_next(self.0, at);
            (!at.is_null()).then(|| Item {
                feature: text(rtkvm_report_item_feature(at)),
                state: text(rtkvm_report_state_name(rtkvm_report_item_state(at))),
                reason: text(rtkvm_report_item_reason(at)),
                problem: rtkvm_report_item_problem(at) != 0,
            })
        })
        .fuse()
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        unsafe { rtkvm_report_free(self.0) }
    }
}

/// One thread records: Send, and not Sync.
pub struct Recorder<'c> {
    recorder: *mut rtkvm_latency,
    context: PhantomData<&'c Context>,
}

unsafe impl Send for Recorder<'_> {}

impl Recorder<'_> {
    pub fn record(&self, ns: u64) {
        unsafe { rtkvm_latency_record(self.recorder, ns) }
    }

    pub fn summary(&self) -> Result<rtkvm_latency_summary> {
        // no ..._init() here: its size is all that the caller sets
        let mut summary: rtkvm_latency_summary = unsafe { MaybeUninit::zeroed().assume_init() };
        summary.size = size_of::<rtkvm_latency_summary>();
        check(unsafe { rtkvm_latency_get_summary(self.recorder, &mut summary) })?;
        Ok(summary)
    }
}

impl Drop for Recorder<'_> {
    fn drop(&mut self) {
        unsafe { rtkvm_latency_free(self.recorder) }
    }
}
