// SPDX-License-Identifier: MIT
//! What the VMM wants of Linux and std has not: ioctl, memory, eventfd, a signal
//! handler, and how a thread is scheduled. Nothing here knows of KVM or librtkvm.
use std::fs::{self, File};
use std::io;
use std::os::raw::{c_int, c_uint, c_ulong, c_void};
use std::os::unix::io::{FromRawFd, RawFd};

pub const EINTR: i32 = 4;
pub const EAGAIN: i32 = 11;

const PROT_READ_WRITE: c_int = 3;
const MAP_SHARED: c_int = 1;
const MAP_ANONYMOUS: c_int = 0x20;
const EFD_CLOEXEC: c_int = 0x80000;
const SIGUSR1: c_int = 10;

extern "C" {
    // with one type for all arguments, as the kernel has it
    fn ioctl(fd: c_int, request: c_ulong, argument: c_ulong) -> c_int;
    fn mmap(at: *mut c_void, n: usize, prot: c_int, flags: c_int, fd: c_int, off: i64)
        -> *mut c_void;
    fn munmap(at: *mut c_void, n: usize) -> c_int;
    fn eventfd(initial: c_uint, flags: c_int) -> c_int;
    fn signal(number: c_int, handler: extern "C" fn(c_int)) -> usize;
    fn gettid() -> c_int;
}

/// An ioctl with a number, or with the address of a struct, as argument.
///
/// # Safety
/// The request must be one that takes such an argument.
pub unsafe fn control(fd: RawFd, request: u64, argument: u64) -> io::Result<i32> {
    match ioctl(fd, request as c_ulong, argument as c_ulong) {
        n if n < 0 => Err(io::Error::last_os_error()),
        n => Ok(n),
    }
}

/// A mapping that is undone with its owner.
pub struct Mapping {
    pub at: *mut u8,
    pub length: usize,
}

// It is memory that both sides of a VM write to: who reads what is decided by the
// protocol of its users, who go through volatile or atomic accesses.
unsafe impl Send for Mapping {}
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(length: usize, flags: c_int, fd: RawFd) -> io::Result<Mapping> {
        let at = unsafe { mmap(std::ptr::null_mut(), length, PROT_READ_WRITE, flags, fd, 0) };
        if at as isize == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Mapping { at: at as *mut u8, length })
    }

    pub fn memory(length: usize) -> io::Result<Mapping> {
        Mapping::new(length, MAP_SHARED | MAP_ANONYMOUS, -1)
    }

    pub fn of(fd: RawFd, length: usize) -> io::Result<Mapping> {
        Mapping::new(length, MAP_SHARED, fd)
    }

    /// The T at that offset.
    pub fn place<T>(&self, offset: usize) -> *mut T {
        assert!(offset + std::mem::size_of::<T>() <= self.length);
        unsafe { self.at.add(offset) as *mut T }
    }

    pub fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.length);
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.add(offset), bytes.len()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        unsafe { munmap(self.at as *mut c_void, self.length) };
    }
}

/// An eventfd, which is read and written as a file of 8 bytes.
pub fn event() -> io::Result<File> {
    match unsafe { eventfd(0, EFD_CLOEXEC) } {
        fd if fd < 0 => Err(io::Error::last_os_error()),
        fd => Ok(unsafe { File::from_raw_fd(fd) }),
    }
}

extern "C" fn nothing(_: c_int) {}

/// A handler for the signal that gets a vCPU out of KVM_RUN: that it comes is enough.
pub fn kick_signal() -> i32 {
    unsafe { signal(SIGUSR1, nothing) };
    SIGUSR1
}

pub fn tid() -> i32 {
    unsafe { gettid() }
}

/// Policy, priority and CPUs of a thread of this process, read from /proc and not
/// through the library.
pub fn scheduling(tid: i32) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/task/{tid}/{file}"));
    let stat = read("stat").unwrap_or_default();
    // behind the name, which may have blanks; see proc(5)
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let field = |n: usize| fields.get(n - 3).copied().unwrap_or("?");
    let policy = match field(41) {
        "0" => "SCHED_OTHER",
        "1" => "SCHED_FIFO",
        "2" => "SCHED_RR",
        other => other,
    };
    let status = read("status").unwrap_or_default();
    let cpus = status
        .lines()
        .find_map(|l| l.strip_prefix("Cpus_allowed_list:"))
        .map_or("?", str::trim);
    format!("{policy} {}, CPUs {cpus}", field(40))
}
