// SPDX-License-Identifier: MIT
//! A VMM in plain Rust, no crates, that librtkvm makes real-time: one vCPU, a guest
//! with a periodic task, and a device that an I/O thread serves. It goes through
//! the phases of rtkvm/vm.h in the order in which KVM wants them, measures, and
//! says what became of each thread and of each feature.
mod guest;
mod kvm;
mod options;
mod rt;
mod rtkvm;
mod sys;

use std::error::Error;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use guest::Sample;
use options::Options;
use rt::{Context, Lease, Plan, Recorder, Report, Vcpu, Vm, VmWish};
use rtkvm::{RTKVM_ROLE_IO, RTKVM_ROLE_MAIN};

type Failure = Box<dyn Error + Send + Sync>;
type Outcome<T> = Result<T, Failure>;

/// How long the guest may take to come up, and how much longer than planned (--limit).
const LIMIT: Duration = Duration::from_secs(20);

/// How far the guest is; 0 at first.
const UP: u32 = 1;
const MEASURED: u32 = 2;
const FAILED: u32 = 3;

/// What the threads of this VMM share.
#[derive(Default)]
struct Shared {
    phase: AtomicU32,
    stop: AtomicBool,
    vcpu_tid: AtomicI32,
    io_tid: AtomicI32,
    rings: AtomicU32,
}

/// The VM with all that belongs to it.
struct Machine {
    ram: sys::Mapping,
    vm: kvm::Vm,
    bell: File,
    answer: File,
}

impl Machine {
    fn new(kvm: &kvm::Kvm) -> Outcome<Machine> {
        let m = Machine {
            ram: sys::Mapping::memory(guest::RAM)?,
            vm: kvm.create_vm()?,
            bell: sys::event()?,
            answer: sys::event()?,
        };
        guest::load(&m.ram);
        m.vm.set_memory(&m.ram)?;
        m.vm.doorbell(guest::PORT_BELL as u16, &m.bell)?;
        m.vm.interrupt(guest::VECTOR_ANSWER as u8, &m.answer)?;
        Ok(m)
    }

    /// A word that the guest reads.
    fn tell<T>(&self, at: usize, value: T) {
        unsafe { self.ram.place::<T>(at).write_volatile(value) }
    }

    /// A word, or more, that the guest wrote.
    fn ask<T: Copy>(&self, at: usize) -> T {
        unsafe { self.ram.place::<T>(at).read_volatile() }
    }

    /// The vCPU in front of the guest; its CPUID is KVM's, edited by the library.
    fn vcpu(&self, kvm: &kvm::Kvm, vm: &Vm, interval_us: u64) -> Outcome<(kvm::Vcpu, u64)> {
        let mut cpuid = kvm.supported_cpuid()?;
        vm.edit_cpuid(&mut cpuid)?; // phase 2
        let vcpu = self.vm.create_vcpu(0, kvm.run_size()?)?;
        vcpu.set_cpuid(&cpuid)?;
        vcpu.set_registers(&guest::registers(), guest::set_sregs)?;
        let khz = vcpu.tsc_khz()?;
        self.tell(guest::INTERVAL, interval_us * khz / 1000);
        Ok((vcpu, khz))
    }
}

/// Serves the doorbell: each ring is answered by an interrupt.
fn io_thread(plan: &Plan, m: &Machine, shared: &Shared, mute: bool) -> Outcome<()> {
    let _role = plan.enter(RTKVM_ROLE_IO)?;
    shared.io_tid.store(sys::tid(), SeqCst);
    let mut count = [0; 8];
    loop {
        match (&m.bell).read_exact(&mut count) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            r => r?,
        }
        if shared.stop.load(SeqCst) {
            return Ok(());
        }
        shared.rings.fetch_add(1, SeqCst);
        if !mute {
            (&m.answer).write_all(&1u64.to_ne_bytes())?;
        }
    }
}

/// KVM_RUN until the guest has finished or is stopped.
fn vcpu_thread(
    vcpu: &kvm::Vcpu,
    rt: &Vcpu,
    lease: Option<Lease>,
    shared: &Shared,
    main: &thread::Thread,
) -> Outcome<()> {
    shared.vcpu_tid.store(sys::tid(), SeqCst);
    if let Some(lease) = &lease {
        lease.add_this_thread(0)?;
    }
    let entered = rt.enter()?; // phase 4
    let mut told = false;
    loop {
        if let Err(e) = entered.sync() {
            // phase 6; it is in the report as well
            if !told {
                eprintln!("vCPU: {e}");
            }
            told = true;
        }
        // after the sync, which clears immediate_exit: so that no request is lost
        if shared.stop.load(SeqCst) {
            break;
        }
        let phase = match vcpu.run()? {
            kvm::Exit::Interrupted => continue,
            kvm::Exit::Out { port, value } => match port as usize {
                guest::PORT_UP => UP,
                guest::PORT_DONE => MEASURED,
                guest::PORT_TRAP => return Err(format!("exception {value} in the guest").into()),
                other => return Err(format!("the guest wrote to port {other:#x}").into()),
            },
            kvm::Exit::Other(why) => return Err(why.into()),
        };
        shared.phase.store(phase, SeqCst);
        main.unpark();
        // it would say so for ever; stay, so that the main thread sees how this one ran
        while phase == MEASURED && !shared.stop.load(SeqCst) {
            thread::park();
        }
    }
    drop(entered);
    // threads go back to where they were, and then the CPUs
    if let Some((result, report)) = lease.map(Lease::release) {
        print_problems("lease", &report);
        result?;
    }
    Ok(())
}

/// A thread that fails ends the run and says why.
fn guarded(who: &str, shared: &Shared, main: &thread::Thread, body: impl FnOnce() -> Outcome<()>) {
    if let Err(e) = body() {
        eprintln!("{who}: {e}");
        shared.phase.store(FAILED, SeqCst);
        main.unpark();
    }
}

fn wait_for(phase: u32, shared: &Shared, limit: Duration, watch: Option<&rt::Watch>) -> Outcome<()> {
    let end = Instant::now() + limit;
    loop {
        match shared.phase.load(SeqCst) {
            FAILED => return Err("the run ended early".into()),
            p if p >= phase => return Ok(()),
            _ if Instant::now() >= end => {
                let what = if phase == UP { "come up" } else { "finish" };
                return Err(format!("the guest did not {what} within {} s", limit.as_secs()).into());
            }
            _ => thread::park_timeout(Duration::from_millis(20)),
        }
        if let Some(Err(e)) = watch.map(|w| w.dispatch()) {
            eprintln!("threads: {e}");
        }
    }
}

fn print_problems(what: &str, report: &Report) {
    for item in report.items().filter(|i| i.problem) {
        println!("{what} {}: {}: {}", item.feature, item.state, item.reason);
    }
}

fn print_latency(name: &str, recorder: &Recorder) -> Outcome<()> {
    let s = recorder.summary()?;
    let us = |ns| ns as f64 / 1e3;
    println!(
        "{name}: {} values, us: min {:.1}, p50 {:.1}, p99 {:.1}, max {:.1}",
        s.count,
        us(s.min_ns),
        us(s.p50_ns),
        us(s.p99_ns),
        us(s.max_ns)
    );
    Ok(())
}

/// The guest's samples, as figures.
fn print_samples(context: &Context, m: &Machine, khz: u64) -> Outcome<()> {
    let timer = context.recorder("timer interrupt")?;
    let trip = context.recorder("doorbell to interrupt")?;
    let ns = |ticks: u64| (ticks as f64 * 1e6 / khz as f64) as u64;
    for i in 0..m.ask::<u32>(guest::DONE) as usize {
        let s: Sample = m.ask(guest::SAMPLES + i * std::mem::size_of::<Sample>());
        if s.timer < s.deadline || s.answer < s.rung {
            return Err(format!("tick {i}: an interrupt came before its cause").into());
        }
        timer.record(ns(s.timer - s.deadline));
        trip.record(ns(s.answer - s.rung));
    }
    print_latency("late", &timer)?;
    print_latency("round trip", &trip)
}

/// The plan as asked for, or, without the right to it, one that raises nothing.
fn choose_plan<'c>(context: &'c Context, o: &Options) -> Outcome<Plan<'c>> {
    let plan = context.plan(&o.plan)?;
    if o.dedicate {
        plan.allow_sleeping_vcpus()?;
    }
    match plan.check(1) {
        Ok(()) => Ok(plan),
        Err(e) if o.strict => Err(e.into()),
        Err(e) => {
            println!("threads are left as they are: {e}");
            Ok(context.plan("maxprio=0,policy=ts")?)
        }
    }
}

/// While the guest runs: wait until it is up, go real-time, measure.
fn lead(o: &Options, m: &Machine, plan: &Plan, vm: &Vm, vcpu: &Vcpu, shared: &Shared) -> Outcome<()> {
    wait_for(UP, shared, o.limit.unwrap_or(LIMIT), None)?;
    if o.realtime {
        vm.go_realtime(o.strict)?; // phase 5
    }
    let watch = plan.watch()?;
    watch.dispatch()?;

    let polls = || vcpu.counter("halt_attempted_poll");
    let before = (vcpu.counter("exits"), polls());
    m.tell(guest::TICKS, o.ticks);
    m.tell(guest::GO, 1u32);
    let planned = Duration::from_micros(o.interval_us * u64::from(o.ticks));
    wait_for(MEASURED, shared, planned + o.limit.unwrap_or(LIMIT), Some(&watch))?;
    if let ((Some(exits), Some(polled)), (Some(a), Some(b))) =
        (before, (vcpu.counter("exits"), polls()))
    {
        println!("exits a tick: {:.2}", (a - exits) as f64 / f64::from(o.ticks));
        println!("halts polled: {}", b - polled);
    }
    println!("main thread: {}", sys::scheduling(sys::tid()));
    println!("I/O thread: {}", sys::scheduling(shared.io_tid.load(SeqCst)));
    println!("vCPU thread: {}", sys::scheduling(shared.vcpu_tid.load(SeqCst)));
    println!("doorbell rung: {}", shared.rings.load(SeqCst));
    Ok(())
}

/// The threads of the VMM, from the first KVM_RUN to the last.
fn run_threads(
    o: &Options,
    m: &Machine,
    plan: &Plan,
    vm: &Vm,
    vcpu: (&kvm::Vcpu, &Vcpu),
    lease: Option<Lease>,
) -> Outcome<()> {
    let shared = Shared::default();
    let shared = &shared;
    let main = &thread::current();
    thread::scope(|scope| {
        let name = |name: &str| thread::Builder::new().name(name.into());
        let io = name("io").spawn_scoped(scope, move || {
            guarded("I/O thread", shared, main, || io_thread(plan, m, shared, o.mute))
        });
        let run = name("vcpu 0").spawn_scoped(scope, move || {
            guarded("vCPU", shared, main, || vcpu_thread(vcpu.0, vcpu.1, lease, shared, main))
        });
        let result = match (&io, &run) {
            (Ok(_), Ok(_)) => lead(o, m, plan, vm, vcpu.1, shared),
            _ => Err("a thread could not be made".into()),
        };
        if result.is_ok() {
            for item in vm.report()?.items() {
                let problem = if item.problem { " (!)" } else { "" };
                println!("  {:<15} {:<13} {}{problem}", item.feature, item.state, item.reason);
            }
        }
        shared.stop.store(true, SeqCst);
        if let Ok(run) = &run {
            run.thread().unpark();
            let _ = vcpu.1.kick(); // it may have ended
        }
        (&m.bell).write_all(&1u64.to_ne_bytes())?;
        result
    })?;
    match shared.phase.load(SeqCst) {
        FAILED => Err("a thread failed".into()),
        _ => Ok(()),
    }
}

fn run(o: &Options, kvm: kvm::Kvm) -> Outcome<()> {
    let m = Machine::new(&kvm)?;
    let context = Context::new()?;
    println!("librtkvm {}, from Rust", rt::version());

    let lease = match (o.lease_fd, o.cpus || o.dedicate) {
        (Some(fd), _) => Some(context.lease_from_fd(fd)?),
        (None, true) => Some(context.lease(1, o.dedicate)?),
        (None, false) => None,
    };
    if let Some(lease) = &lease {
        println!("leased CPUs: {:?}", lease.cpus());
    }
    let (result, report) = context.prepare_memory(m.ram.at, m.ram.length);
    print_problems("memory", &report);
    if let (Err(e), true) = (result, o.strict) {
        return Err(e.into());
    }

    let plan = choose_plan(&context, o)?;
    let _role = plan.enter(RTKVM_ROLE_MAIN)?;
    let wish = VmWish {
        kvm_fd: kvm.fd(),
        kick_signal: sys::kick_signal(),
        noexit_hlt: o.noexit_hlt,
        own_cpus: lease.is_some(),
        dedicate: o.dedicate,
    };
    let vm = Vm::new(&context, m.vm.fd(), &plan, &wish)?; // phase 1
    let (vcpu, khz) = m.vcpu(&kvm, &vm, o.interval_us)?;
    let rt_vcpu = vm.vcpu(0, vcpu.fd())?; // phase 3
    let (kept, given) = if o.dedicate { (lease, None) } else { (None, lease) };
    if let Some(lease) = &kept {
        rt_vcpu.dedicate(lease, 0)?;
    }
    run_threads(o, &m, &plan, &vm, (&vcpu, &rt_vcpu), given)?;
    print_samples(&context, &m, khz)?;

    vm.leave_realtime()?;
    println!("main thread afterwards: {}", sys::scheduling(sys::tid()));
    drop(vm);
    drop((vcpu, m));
    if let Some((result, report)) = kept.map(Lease::release) {
        print_problems("lease", &report);
        result?;
    }
    Ok(())
}

fn main() {
    let options = match options::parse() {
        Ok(Some(o)) => o,
        Ok(None) => return print!("{}", options::USAGE),
        Err(e) => {
            eprintln!("rust-vmm: {e}\n{}", options::USAGE);
            exit(2);
        }
    };
    let kvm = match kvm::Kvm::open() {
        Ok(kvm) => kvm,
        Err(e) => {
            println!("/dev/kvm: {e}");
            exit(77);
        }
    };
    if let Err(e) = run(&options, kvm) {
        eprintln!("rust-vmm: {e}");
        exit(1);
    }
}
