// SPDX-License-Identifier: MIT
//! Makes rtkvm.rs, the declarations of librtkvm for Rust, from its headers:
//!
//!     rustc bindings.rs && ./bindings INCLUDEDIR/rtkvm/*.h >rtkvm.rs
//!
//! It knows the C that these headers are written in and no more: what it cannot
//! read ends it with a message. No crate, no libclang; that each line it writes
//! is what the C compiler has is for a test to show (tests/build/rust-bindings.sh).
use std::fmt::Write;
use std::{env, fs, process};

type Result<T> = std::result::Result<T, String>;

/// What one header declares, as Rust.
#[derive(Default)]
struct Header {
    constants: String,
    types: String,
    functions: String,
}

/// The text without comments and without what is for C++ alone, and the
/// macros that it defines.
fn strip(text: &str) -> (String, Vec<(String, String)>) {
    let (mut code, mut rest) = (String::new(), text);
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        code.push(' ');
        rest = rest[start..].find("*/").map_or("", |end| &rest[start + end + 2..]);
    }
    code.push_str(rest);

    let (mut out, mut macros, mut skip) = (String::new(), Vec::new(), 0);
    for line in code.lines().map(str::trim) {
        if !line.starts_with('#') {
            if skip == 0 {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        }
        let directive = line[1..].trim_start();
        if directive.starts_with("if") {
            if skip > 0 || directive == "ifdef __cplusplus" {
                skip += 1;
            }
        } else if directive.starts_with("endif") && skip > 0 {
            skip -= 1;
        } else if let Some(define) = directive.strip_prefix("define ") {
            let mut words = define.splitn(2, char::is_whitespace);
            let name = words.next().unwrap_or("").to_string();
            macros.push((name, words.next().unwrap_or("").trim().to_string()));
        }
    }
    (out, macros)
}

fn tokens(code: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = false;
    for c in code.chars() {
        let in_word = c.is_ascii_alphanumeric() || c == '_';
        if in_word && word {
            out.last_mut().unwrap().push(c);
        } else if !c.is_whitespace() {
            out.push(c.to_string());
        }
        word = in_word;
    }
    out
}

/// Tokens that are taken one after the other.
struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", |t| t)
    }

    fn take(&mut self) -> String {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().unwrap_or_default()
    }

    fn is(&mut self, token: &str) -> bool {
        let is = self.peek() == token;
        self.at += is as usize;
        is
    }

    fn want(&mut self, token: &str) -> Result<()> {
        match self.take() {
            t if t == token => Ok(()),
            t => Err(format!("'{token}' expected and '{t}' found, after '{}'", self.before())),
        }
    }

    /// The last tokens, for messages.
    fn before(&self) -> String {
        self.tokens[self.at.saturating_sub(8)..(self.at - 1).min(self.tokens.len())].join(" ")
    }

    /// A type with its pointers.
    fn ctype(&mut self) -> Result<String> {
        let mut constant = self.is("const");
        let mut rust = match self.take().as_str() {
            "struct" => self.take(),
            "unsigned" => self.want("int").map(|_| "c_uint".to_string())?,
            "int" | "pid_t" | "clockid_t" => "c_int".into(),
            "char" => "c_char".into(),
            "void" => "c_void".into(),
            "double" => "f64".into(),
            "size_t" => "usize".into(),
            "int32_t" => "i32".into(),
            "uint32_t" => "u32".into(),
            "int64_t" => "i64".into(),
            "uint64_t" => "u64".into(),
            t if t.starts_with("rtkvm_") && t.ends_with("_fn") => t.into(),
            t => return Err(format!("type '{t}' is not known, after '{}'", self.before())),
        };
        while self.is("*") {
            rust = match rust.as_str() {
                f if f.starts_with("rtkvm_") && f.ends_with("_fn") => format!("Option<{f}>"),
                pointee if constant => format!("*const {pointee}"),
                pointee => format!("*mut {pointee}"),
            };
            constant = self.is("const");
        }
        Ok(rust)
    }

    /// "TYPE NAME" or "TYPE NAME[N]" as "NAME: TYPE".
    fn variable(&mut self) -> Result<String> {
        let rust = self.ctype()?;
        let mut name = self.take();
        if ["type", "ref", "in", "fn", "use", "move", "match", "loop", "where"].contains(&&*name) {
            name.insert_str(0, "r#");
        }
        if !self.is("[") {
            return Ok(format!("{name}: {rust}"));
        }
        let n = self.take();
        self.want("]")?;
        Ok(format!("{name}: [{rust}; {n}]"))
    }

    /// "(PARAMETERS)", and what it returns, behind what is written already: in as
    /// many columns as the rest of the project.
    fn signature(&mut self, before: &str, returns: &str) -> Result<String> {
        let mut parameters = Vec::new();
        self.want("(")?;
        if self.peek() == "void" && self.tokens.get(self.at + 1).map(|t| t.as_str()) == Some(")") {
            self.take();
        }
        while !self.is(")") {
            parameters.push(self.variable()?);
            if self.peek() != ")" {
                self.want(",")?;
            }
        }
        let returns = match returns {
            "c_void" => String::new(),
            r => format!(" -> {r}"),
        };
        let line = format!("{before}({}){returns};\n", parameters.join(", "));
        if line.len() <= 100 {
            return Ok(line);
        }
        let indent = &before[..before.len() - before.trim_start().len()];
        let separator = format!(",\n{indent}    ");
        let parameters = parameters.join(&separator);
        Ok(format!("{before}(\n{indent}    {parameters},\n{indent}){returns};\n"))
    }

    fn constants(&mut self, to: &mut String) -> Result<()> {
        let mut last = "-1".to_string();
        while !self.is("}") {
            let name = self.take();
            let mut value = String::new();
            if self.is("=") {
                while self.peek() != "," && self.peek() != "}" {
                    value.push_str(&self.take());
                }
            } else {
                value = format!("{last} + 1");
            }
            self.is(",");
            let spaced = value.replace("<<", " << ");
            writeln!(to, "pub const {name}: c_int = {spaced};").unwrap();
            last = name;
        }
        self.want(";")
    }

    fn structure(&mut self, to: &mut String) -> Result<()> {
        let name = self.take();
        if self.is(";") {
            if name.starts_with("rtkvm") {
                writeln!(to, "opaque!({name});").unwrap();
            }
            return Ok(());
        }
        self.want("{")?;
        writeln!(to, "#[repr(C)]\npub struct {name} {{").unwrap();
        while !self.is("}") {
            writeln!(to, "    pub {},", self.variable()?).unwrap();
            self.want(";")?;
        }
        to.push_str("}\n");
        self.want(";")
    }

    fn header(&mut self) -> Result<Header> {
        let mut h = Header::default();
        while self.at < self.tokens.len() {
            match self.take().as_str() {
                "enum" => {
                    self.want("{")?;
                    self.constants(&mut h.constants)?;
                }
                "struct" => self.structure(&mut h.types)?,
                "typedef" => {
                    let returns = self.ctype()?;
                    let name = self.take();
                    let before = format!("pub type {name} = unsafe extern \"C\" fn");
                    h.types.push_str(&self.signature(&before, &returns)?);
                    self.want(";")?;
                }
                "RTKVM_API" => {
                    let returns = self.ctype()?;
                    let name = self.take();
                    let before = format!("    pub fn {name}");
                    h.functions.push_str(&self.signature(&before, &returns)?);
                    self.want(";")?;
                }
                t => return Err(format!("'{t}' is not known, after '{}'", self.before())),
            }
        }
        Ok(h)
    }
}

/// A macro that is a number, as a constant. Others (initialisers, attributes,
/// texts) have no counterpart: what they are for has a function.
fn number(name: &str, value: &str) -> Option<String> {
    let plain = |v: &str| !v.is_empty() && v.chars().all(|c| c.is_ascii_digit());
    let wrapped = |v: &str, of: &str| {
        let inner = v.strip_prefix(of)?.strip_prefix('(')?.strip_suffix(')')?.to_string();
        plain(&inner).then(|| inner)
    };
    let (kind, v) = if plain(value) {
        ("c_int", value.to_string())
    } else if value == "INT32_MAX" {
        ("i32", "i32::MAX".to_string())
    } else if let Some(v) = wrapped(value, "UINT64_C") {
        ("u64", v)
    } else if let Some(v) = wrapped(value, "UINT32_C") {
        ("u32", v)
    } else {
        let shift = value.strip_prefix('(')?.strip_suffix(')')?;
        let (one, by) = shift.split_once(" << ")?;
        ("u32", format!("{} << {}", wrapped(one, "UINT32_C")?, plain(by).then(|| by)?))
    };
    Some(format!("pub const {name}: {kind} = {v};\n"))
}

const HEAD: &str = r#"// SPDX-License-Identifier: MIT
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
"#;

fn run() -> Result<String> {
    let mut out = HEAD.to_string();
    let mut files: Vec<String> = env::args().skip(1).filter(|f| f.ends_with(".h")).collect();
    files.sort();
    if files.is_empty() {
        return Err("usage: bindings HEADER...".into());
    }
    for file in &files {
        let text = fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
        let (code, macros) = strip(&text);
        let mut parser = Parser { tokens: tokens(&code), at: 0 };
        let mut h = parser.header().map_err(|e| format!("{file}: {e}"))?;
        for (name, value) in macros.iter().filter(|m| m.0.starts_with("RTKVM_")) {
            h.constants.push_str(&number(name, value).unwrap_or_default());
        }
        let name = file.rsplit('/').next().unwrap();
        let parts = [
            h.constants,
            h.types,
            match h.functions.as_str() {
                "" => String::new(),
                f => format!("extern \"C\" {{\n{f}}}\n"),
            },
        ];
        for (i, part) in parts.iter().filter(|p| !p.is_empty()).enumerate() {
            write!(out, "\n{}{part}", if i == 0 { format!("// {name}\n") } else { String::new() })
                .unwrap();
        }
    }
    Ok(out)
}

fn main() {
    match run() {
        Ok(text) => print!("{text}"),
        Err(why) => {
            eprintln!("bindings: {why}");
            process::exit(1);
        }
    }
}
