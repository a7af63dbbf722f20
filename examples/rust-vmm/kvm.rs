// SPDX-License-Identifier: MIT
//! /dev/kvm: a VM with interrupt controllers in the kernel, its memory, one vCPU
//! in long mode, a doorbell (ioeventfd) and an interrupt (irqfd). The structs are
//! those of linux/kvm.h; a wrong one is refused by the kernel, as their sizes are
//! part of the requests' numbers.
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::size_of;
use std::os::unix::io::{AsRawFd, FromRawFd, RawFd};

use crate::sys::{self, Mapping};

const fn request(direction: u64, number: u64, size: usize) -> u64 {
    direction << 30 | (size as u64) << 16 | 0xae << 8 | number
}
const NONE: u64 = 0;
const WRITE: u64 = 1;
const READ: u64 = 2;

const GET_API_VERSION: u64 = request(NONE, 0x00, 0);
const CREATE_VM: u64 = request(NONE, 0x01, 0);
const GET_VCPU_MMAP_SIZE: u64 = request(NONE, 0x04, 0);
const GET_SUPPORTED_CPUID: u64 = request(READ | WRITE, 0x05, 8);
const CREATE_VCPU: u64 = request(NONE, 0x41, 0);
const SET_USER_MEMORY_REGION: u64 = request(WRITE, 0x46, size_of::<MemoryRegion>());
const SET_TSS_ADDR: u64 = request(NONE, 0x47, 0);
const CREATE_IRQCHIP: u64 = request(NONE, 0x60, 0);
const SET_GSI_ROUTING: u64 = request(WRITE, 0x6a, 8);
const IRQFD: u64 = request(WRITE, 0x76, size_of::<Irqfd>());
const IOEVENTFD: u64 = request(WRITE, 0x79, size_of::<Ioeventfd>());
const RUN: u64 = request(NONE, 0x80, 0);
const SET_REGS: u64 = request(WRITE, 0x82, size_of::<Regs>());
const GET_SREGS: u64 = request(READ, 0x83, size_of::<Sregs>());
const SET_SREGS: u64 = request(WRITE, 0x84, size_of::<Sregs>());
const SET_CPUID2: u64 = request(WRITE, 0x90, 8);
const GET_TSC_KHZ: u64 = request(NONE, 0xa3, 0);

const IOEVENTFD_PIO: u32 = 2;
const ROUTING_MSI: u32 = 2;
const EXIT_IO: u32 = 2;
const EXIT_INTR: u32 = 10;
const EXIT_INTERNAL_ERROR: u32 = 17;

/// Where an Intel CPU that cannot run real mode in a guest keeps what it needs.
const TSS_ADDR: u64 = 0xfffbd000;

#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest_phys_addr: u64,
    memory_size: u64,
    userspace_addr: u64,
}

#[repr(C)]
struct Irqfd {
    fd: u32,
    gsi: u32,
    flags: u32,
    resamplefd: u32,
    pad: [u8; 16],
}

#[repr(C)]
struct Ioeventfd {
    datamatch: u64,
    addr: u64,
    len: u32,
    fd: i32,
    flags: u32,
    pad: [u8; 36],
}

#[repr(C)]
struct Routing {
    nr: u32,
    flags: u32,
    gsi: u32,
    kind: u32,
    entry_flags: u32,
    pad: u32,
    address_lo: u32,
    address_hi: u32,
    data: u32,
    rest: [u32; 5],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Regs {
    pub general: [u64; 6], // rax, rbx, rcx, rdx, rsi, rdi
    pub rsp: u64,
    pub others: [u64; 9], // rbp, r8 to r15
    pub rip: u64,
    pub rflags: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Segment {
    pub base: u64,
    pub limit: u32,
    pub selector: u16,
    pub kind: u8,
    pub present: u8,
    pub dpl: u8,
    pub db: u8,
    pub s: u8,
    pub l: u8,
    pub g: u8,
    pub avl: u8,
    pub unusable: u8,
    pub padding: u8,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Table {
    pub base: u64,
    pub limit: u16,
    pub padding: [u16; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Sregs {
    pub cs: Segment,
    pub data: [Segment; 5], // ds, es, fs, gs, ss
    pub tr: Segment,
    pub ldt: Segment,
    pub gdt: Table,
    pub idt: Table,
    pub cr0: u64,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub cr8: u64,
    pub efer: u64,
    pub apic_base: u64,
    pub interrupt_bitmap: [u64; 4],
}

pub const CPUID_ENTRIES: usize = 256;

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct CpuidEntry {
    pub function: u32,
    pub index: u32,
    pub flags: u32,
    pub registers: [u32; 4], // eax, ebx, ecx, edx
    pub padding: [u32; 3],
}

/// struct kvm_cpuid2 with room at its end.
#[repr(C)]
pub struct Cpuid {
    pub nent: u32,
    pub padding: u32,
    pub entries: [CpuidEntry; CPUID_ENTRIES],
}

fn address<T>(of: &T) -> u64 {
    of as *const T as u64
}

pub struct Kvm(File);

impl Kvm {
    pub fn open() -> io::Result<Kvm> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/kvm")?;
        match unsafe { sys::control(file.as_raw_fd(), GET_API_VERSION, 0) }? {
            12 => Ok(Kvm(file)),
            v => Err(io::Error::new(io::ErrorKind::Unsupported, format!("KVM's API is {v}"))),
        }
    }

    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// What KVM offers, for the VMM's table; the bit that says that there is a
    /// hypervisor is the VMM's.
    pub fn supported_cpuid(&self) -> io::Result<Box<Cpuid>> {
        let mut cpuid = Box::new(Cpuid {
            nent: CPUID_ENTRIES as u32,
            padding: 0,
            entries: [CpuidEntry::default(); CPUID_ENTRIES],
        });
        unsafe { sys::control(self.fd(), GET_SUPPORTED_CPUID, address(&*cpuid)) }?;
        for e in cpuid.entries.iter_mut().filter(|e| e.function == 1) {
            e.registers[2] |= 1 << 31;
        }
        Ok(cpuid)
    }

    pub fn create_vm(&self) -> io::Result<Vm> {
        unsafe {
            let fd = sys::control(self.fd(), CREATE_VM, 0)?;
            let vm = Vm(File::from_raw_fd(fd));
            sys::control(fd, SET_TSS_ADDR, TSS_ADDR)?;
            sys::control(fd, CREATE_IRQCHIP, 0)?;
            Ok(vm)
        }
    }

    pub fn run_size(&self) -> io::Result<usize> {
        unsafe { sys::control(self.fd(), GET_VCPU_MMAP_SIZE, 0) }.map(|n| n as usize)
    }
}

pub struct Vm(File);

impl Vm {
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Guest-physical memory from 0. The mapping must live as long as the VM.
    pub fn set_memory(&self, ram: &Mapping) -> io::Result<()> {
        let region = MemoryRegion {
            slot: 0,
            flags: 0,
            guest_phys_addr: 0,
            memory_size: ram.length as u64,
            userspace_addr: ram.at as u64,
        };
        unsafe { sys::control(self.fd(), SET_USER_MEMORY_REGION, address(&region)) }.map(drop)
    }

    /// A write of 32 bits to that port signals the eventfd, without an exit to us.
    pub fn doorbell(&self, port: u16, event: &File) -> io::Result<()> {
        let bell = Ioeventfd {
            datamatch: 0,
            addr: port.into(),
            len: 4,
            fd: event.as_raw_fd(),
            flags: IOEVENTFD_PIO,
            pad: [0; 36],
        };
        unsafe { sys::control(self.fd(), IOEVENTFD, address(&bell)) }.map(drop)
    }

    /// The eventfd raises that vector on vCPU 0 (an MSI to APIC id 0).
    pub fn interrupt(&self, vector: u8, event: &File) -> io::Result<()> {
        const GSI: u32 = 24; // behind those of the IOAPIC
        let routing = Routing {
            nr: 1,
            flags: 0,
            gsi: GSI,
            kind: ROUTING_MSI,
            entry_flags: 0,
            pad: 0,
            address_lo: 0xfee00000,
            address_hi: 0,
            data: vector.into(),
            rest: [0; 5],
        };
        let irqfd = Irqfd {
            fd: event.as_raw_fd() as u32,
            gsi: GSI,
            flags: 0,
            resamplefd: 0,
            pad: [0; 16],
        };
        unsafe {
            sys::control(self.fd(), SET_GSI_ROUTING, address(&routing))?;
            sys::control(self.fd(), IRQFD, address(&irqfd)).map(drop)
        }
    }

    pub fn create_vcpu(&self, index: u32, run_size: usize) -> io::Result<Vcpu> {
        unsafe {
            let fd = sys::control(self.fd(), CREATE_VCPU, index.into())?;
            let file = File::from_raw_fd(fd);
            Ok(Vcpu { run: Mapping::of(fd, run_size)?, file })
        }
    }
}

/// Why the guest has stopped.
pub enum Exit {
    /// A signal or immediate_exit: nothing of the guest.
    Interrupted,
    /// A write to a port.
    Out { port: u16, value: u32 },
    Other(String),
}

pub struct Vcpu {
    file: File,
    run: Mapping,
}

impl Vcpu {
    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    pub fn set_cpuid(&self, cpuid: &Cpuid) -> io::Result<()> {
        unsafe { sys::control(self.fd(), SET_CPUID2, address(cpuid)) }.map(drop)
    }

    pub fn tsc_khz(&self) -> io::Result<u64> {
        unsafe { sys::control(self.fd(), GET_TSC_KHZ, 0) }.map(|khz| khz as u64)
    }

    /// Special registers as they are, changed by the caller.
    pub fn set_registers(&self, regs: &Regs, change: impl Fn(&mut Sregs)) -> io::Result<()> {
        let mut sregs = Sregs::default();
        unsafe {
            sys::control(self.fd(), GET_SREGS, &mut sregs as *mut Sregs as u64)?;
            change(&mut sregs);
            sys::control(self.fd(), SET_SREGS, address(&sregs))?;
            sys::control(self.fd(), SET_REGS, address(regs)).map(drop)
        }
    }

    /// A field of struct kvm_run, at its offset.
    fn field<T: Copy>(&self, offset: usize) -> T {
        unsafe { self.run.place::<T>(offset).read_volatile() }
    }

    /// Into the guest until it exits. In one thread at a time.
    pub fn run(&self) -> io::Result<Exit> {
        match unsafe { sys::control(self.fd(), RUN, 0) } {
            Err(e) if matches!(e.raw_os_error(), Some(sys::EINTR) | Some(sys::EAGAIN)) => {
                return Ok(Exit::Interrupted)
            }
            Err(e) => return Err(e),
            Ok(_) => (),
        }
        Ok(match self.field::<u32>(8) {
            EXIT_INTR => Exit::Interrupted,
            EXIT_IO if self.field::<u8>(32) == 1 => {
                let data = self.field::<u64>(40) as usize;
                Exit::Out { port: self.field(34), value: self.field(data) }
            }
            EXIT_INTERNAL_ERROR => {
                let what: u32 = self.field(32);
                Exit::Other(format!("KVM internal error {what} (1: an unknown instruction)"))
            }
            reason => Exit::Other(format!("exit reason {reason}, which this VMM does not handle")),
        })
    }
}
