// SPDX-License-Identifier: MIT
//! librtkvm from Rust, by plain `extern "C"`: a context, a thread plan, its
//! guards' report, and a latency recorder. No crate is needed:
//!
//!     rustc latency.rs $(pkg-config --libs rtkvm)
use std::ffi::{c_char, c_int, c_uint, CStr, CString};
use std::ptr;
use std::time::{Duration, Instant};

/// Opaque objects of the library: only ever behind a pointer.
macro_rules! opaque {
    ($($name:ident)*) => { $(#[repr(C)] pub struct $name { _private: [u8; 0] })* };
}
opaque!(Rtkvm Plan Report Item Latency);

/// struct rtkvm_latency_summary; its size field tells the library which one.
#[repr(C)]
#[derive(Default)]
struct Summary {
    size: usize,
    count: u64,
    overflows: u64,
    min_ns: u64,
    max_ns: u64,
    avg_ns: f64,
    stddev_ns: f64,
    p50_ns: u64,
    p90_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    reserved: [u64; 4],
}

extern "C" {
    fn rtkvm_version() -> *const c_char;
    fn rtkvm_last_error() -> *const c_char;
    fn rtkvm_new(options: *const u8, rt: *mut *mut Rtkvm) -> c_int;
    fn rtkvm_free(rt: *mut Rtkvm);
    fn rtkvm_plan_parse(rt: *mut Rtkvm, text: *const c_char, plan: *mut *mut Plan) -> c_int;
    fn rtkvm_plan_print(plan: *const Plan, buf: *mut c_char, len: usize) -> c_int;
    fn rtkvm_plan_check(plan: *mut Plan, vcpus: c_uint, report: *mut *mut Report) -> c_int;
    fn rtkvm_plan_free(plan: *mut Plan);
    fn rtkvm_report_next(report: *const Report, item: *const Item) -> *const Item;
    fn rtkvm_report_item_feature(item: *const Item) -> *const c_char;
    fn rtkvm_report_item_state(item: *const Item) -> c_int;
    fn rtkvm_report_item_reason(item: *const Item) -> *const c_char;
    fn rtkvm_report_state_name(state: c_int) -> *const c_char;
    fn rtkvm_report_free(report: *mut Report);
    fn rtkvm_latency_new(rt: *mut Rtkvm, name: *const c_char, l: *mut *mut Latency) -> c_int;
    fn rtkvm_latency_record(l: *mut Latency, ns: u64);
    fn rtkvm_latency_get_summary(l: *const Latency, summary: *mut Summary) -> c_int;
    fn rtkvm_latency_free(l: *mut Latency);
}

/// Texts of the library are never NULL and live as long as their object.
unsafe fn text<'a>(s: *const c_char) -> std::borrow::Cow<'a, str> {
    CStr::from_ptr(s).to_string_lossy()
}

fn check(rc: c_int) -> Result<(), String> {
    if rc < 0 {
        return Err(unsafe { text(rtkvm_last_error()) }.into_owned());
    }
    Ok(())
}

/// Read a plan, print it in the reference spelling, and ask its guards.
unsafe fn plan(rt: *mut Rtkvm, option: &str) -> Result<(), String> {
    let option = CString::new(option).map_err(|e| e.to_string())?;
    let mut plan = ptr::null_mut();
    check(rtkvm_plan_parse(rt, option.as_ptr(), &mut plan))?;

    let mut buf = [0 as c_char; 256];
    check(rtkvm_plan_print(plan, buf.as_mut_ptr(), buf.len()))?;
    println!("plan: {}", text(buf.as_ptr()));

    let mut report = ptr::null_mut();
    if rtkvm_plan_check(plan, 1, &mut report) < 0 {
        println!("it would be refused: {}", text(rtkvm_last_error()));
    }
    let mut item = rtkvm_report_next(report, ptr::null());
    while !item.is_null() {
        println!(
            "  {}: {}: {}",
            text(rtkvm_report_item_feature(item)),
            text(rtkvm_report_state_name(rtkvm_report_item_state(item))),
            text(rtkvm_report_item_reason(item))
        );
        item = rtkvm_report_next(report, item);
    }
    rtkvm_report_free(report);
    rtkvm_plan_free(plan);
    Ok(())
}

/// How late a sleep of 1 ms ends, 50 times.
unsafe fn sleeps(rt: *mut Rtkvm) -> Result<(), String> {
    let name = CString::new("sleep").unwrap();
    let mut latency = ptr::null_mut();
    check(rtkvm_latency_new(rt, name.as_ptr(), &mut latency))?;
    let wanted = Duration::from_millis(1);
    for _ in 0..50 {
        let start = Instant::now();
        std::thread::sleep(wanted);
        rtkvm_latency_record(latency, (start.elapsed() - wanted).as_nanos() as u64);
    }

    let mut s = Summary { size: std::mem::size_of::<Summary>(), ..Default::default() };
    let rc = rtkvm_latency_get_summary(latency, &mut s);
    rtkvm_latency_free(latency);
    check(rc)?;
    println!(
        "{} sleeps, late by us: min {:.1}, avg {:.1}, p99 {:.1}, max {:.1}",
        s.count,
        s.min_ns as f64 / 1e3,
        s.avg_ns / 1e3,
        s.p99_ns as f64 / 1e3,
        s.max_ns as f64 / 1e3
    );
    if s.count == 50 && s.min_ns <= s.p50_ns && s.p50_ns <= s.max_ns {
        return Ok(());
    }
    Err("these figures cannot be".into())
}

fn main() -> Result<(), String> {
    let mut rt = ptr::null_mut();
    unsafe {
        println!("librtkvm {}", text(rtkvm_version()));
        check(rtkvm_new(ptr::null(), &mut rt))?;
        plan(rt, "maxprio=80,policy=fifo,paioprio=1")?;
        match plan(rt, "maxprio=80,policy=best") {
            Err(why) => println!("refused, as it must be: {why}"),
            Ok(()) => return Err("a wrong plan was taken".into()),
        }
        let result = sleeps(rt);
        rtkvm_free(rt);
        result
    }
}
