// SPDX-License-Identifier: MIT
//! The command line.
use std::env;
use std::str::FromStr;
use std::time::Duration;

use crate::guest::MAX_TICKS;

pub const USAGE: &str = "\
usage: rust-vmm [OPTION]...

  --plan OPTIONS     thread plan (default maxprio=20,policy=ff)
  --ticks N          wake-ups of the guest that are recorded (default 500)
  --interval-us N    between two of them (default 1000)
  --cpus             lease a CPU for the vCPU
  --lease-fd N       use the lease of that open descriptor
  --dedicate         take a CPU offline and run the guest there (patched kernel)
  --noexit-hlt       ask for a HLT that does not exit, too
  --strict           fail when something that is asked for is off
  --no-realtime      never go real-time (to compare)
  --mute             the device does not answer (to see that it is noticed)
  --limit S          how long it may take to come up, and how much longer than planned

Exit status: 0 done, 1 failed, 2 wrong usage, 77 there is no /dev/kvm to use.
";

pub struct Options {
    pub plan: String,
    pub ticks: u32,
    pub interval_us: u64,
    pub cpus: bool,
    pub lease_fd: Option<i32>,
    pub dedicate: bool,
    pub noexit_hlt: bool,
    pub strict: bool,
    pub realtime: bool,
    pub mute: bool,
    pub limit: Option<Duration>,
}

fn number<T: FromStr + PartialOrd>(option: &str, text: &str, from: T, to: T) -> Result<T, String> {
    match text.parse() {
        Ok(n) if n >= from && n <= to => Ok(n),
        _ => Err(format!("{option}: '{text}' is not a number in its range")),
    }
}

/// None: help was asked for.
pub fn parse() -> Result<Option<Options>, String> {
    let mut o = Options {
        plan: "maxprio=20,policy=ff".into(),
        ticks: 500,
        interval_us: 1000,
        cpus: false,
        lease_fd: None,
        dedicate: false,
        noexit_hlt: false,
        strict: false,
        realtime: true,
        mute: false,
        limit: None,
    };
    let mut arguments = env::args().skip(1);
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{option} wants a value"));
        match option.as_str() {
            "-h" | "--help" => return Ok(None),
            "--plan" => o.plan = value()?,
            "--ticks" => o.ticks = number(&option, &value()?, 1, MAX_TICKS)?,
            "--interval-us" => o.interval_us = number(&option, &value()?, 50, 1_000_000)?,
            "--cpus" => o.cpus = true,
            "--lease-fd" => o.lease_fd = Some(number(&option, &value()?, 0, i32::MAX)?),
            "--dedicate" => o.dedicate = true,
            "--noexit-hlt" => o.noexit_hlt = true,
            "--strict" => o.strict = true,
            "--no-realtime" => o.realtime = false,
            "--mute" => o.mute = true,
            "--limit" => o.limit = Some(Duration::from_secs(number(&option, &value()?, 1, 3600)?)),
            _ => return Err(format!("no option '{option}'")),
        }
    }
    Ok(Some(o))
}
