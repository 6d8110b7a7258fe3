//! `tokenpak service`: the units of systemd, for a user or for the machine.
//!
//! The user's unit has only what works without privileges. The machine's gets an account of its
//! own for as long as it runs, and nothing of the machine that it does not need.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::print;
use crate::cli::{self, ServiceCommand};
use crate::config::{self, Environment};
use crate::error::Error;
use crate::ownership;

/// Where the machine's units are.
const SYSTEM_UNIT: &str = "/etc/systemd/system/tokenpak.service";
/// What `SYSTEM` says of its home.
const SYSTEM_HOME: &str = "/var/lib/tokenpak";
/// The first line of a unit that we wrote begins so, and ends with a sum over the lines below it, which
/// tells an edited unit from one of another version.
const HEADER: &str = "# Written by tokenpak service install; sum ";
/// Programs below these are out of reach of the machine's unit, or may be replaced by a user.
const UNFIT: &[&str] = &["/home/", "/root/", "/tmp/", "/var/tmp/"];

const COMMON: &str = "\
Type=notify
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartPreventExitStatus=64 78
UMask=0077
LimitNOFILE=8192
LimitCORE=0
NoNewPrivileges=yes
MemoryDenyWriteExecute=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
";

const SYSTEM: &str = "\
DynamicUser=yes
StateDirectory=tokenpak
StateDirectoryMode=0700
Environment=TOKENPAK_HOME=/var/lib/tokenpak
ProtectSystem=strict
ProtectHome=yes
PrivateDevices=yes
PrivateTmp=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RemoveIPC=yes
CapabilityBoundingSet=
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=pidfd_getfd
MemoryMax=256M
";

pub(crate) fn run(args: &cli::Service) -> Result<(), Error> {
    match &args.what {
        ServiceCommand::Install(args) => install(args),
        ServiceCommand::Uninstall(args) => uninstall(args),
        ServiceCommand::Status(args) => status(args.system),
    }
}

fn install(args: &cli::ServiceInstall) -> Result<(), Error> {
    if args.system && args.same_user {
        let what = "--same-user with --system: that service has an account of its own, and all its \
                    clients another";
        return Err(Error::usage(what));
    }
    let program = program()?;
    let units = [unit(&program, args), socket_unit(args.system)?];
    if args.print {
        return print(&units[usize::from(args.socket)]);
    }
    if args.system
        && let Some(place) = UNFIT.iter().find(|place| program.starts_with(**place))
    {
        let what = format!("{program} is below {place}; install it elsewhere first: make install");
        return Err(Error::usage(what));
    }
    let paths = paths(args.system)?;
    for (path, unit) in paths.iter().zip(&units) {
        if let Ok(there) = fs::read_to_string(path)
            && there != *unit
            && !args.force
        {
            let path = path.display();
            let what = format!("{path} differs from what would be written; --force replaces it");
            return Err(Error::usage(what));
        }
    }
    if let Some(directory) = paths[0].parent() {
        ownership::make_directory(directory).map_err(|error| Error::create(directory, error))?;
    }
    for (path, unit) in paths.iter().zip(&units) {
        ownership::replace(path, unit.as_bytes(), 0o644)
            .map_err(|error| Error::create(path, error))?;
    }
    print(&next_steps(&paths, args.system))
}

fn next_steps([service, socket]: &[PathBuf; 2], system: bool) -> String {
    let (service, socket) = (service.display(), socket.display());
    if system {
        return format!(
            "wrote {service}\nwrote {socket}\n\
             next: systemctl daemon-reload && systemctl enable --now tokenpak\n      \
             sudo TOKENPAK_HOME=/var/lib/tokenpak tokenpak stats     (to read the reports)\n"
        );
    }
    let around = Environment::of_process();
    let user = around.set_variable("USER").unwrap_or("$USER");
    format!(
        "wrote {service}\nwrote {socket}\n\
         next: systemctl --user enable --now tokenpak\n      \
         loginctl enable-linger {user}          (to keep it running after logout)\n"
    )
}

fn uninstall(args: &cli::ServiceUninstall) -> Result<(), Error> {
    let paths = paths(args.system)?;
    let mut there = Vec::new();
    for path in &paths {
        match fs::read_to_string(path) {
            Ok(text) if is_as_written(&text) || args.force => there.push(path),
            Ok(_) => {
                let path = path.display();
                let what = format!("{path} was edited, or not written by tokenpak");
                return Err(Error::usage(format!("{what}; --force removes it")));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::read(path, error)),
        }
    }
    if there.is_empty() {
        return Err(Error::missing(&paths[0], None));
    }
    let mut text = String::new();
    for path in there {
        fs::remove_file(path).map_err(|error| Error::create(path, error))?;
        text += &format!("removed {}\n", path.display());
    }
    let user = if args.system { "" } else { " --user" };
    text += &format!(
        "next: systemctl{user} disable --now tokenpak.socket tokenpak; \
         systemctl{user} daemon-reload\n\
         note: conversations that go on without the proxy pay for their cache once more, and models that \
         bind their thoughts refuse them; end them first, see tokenpak(1), Settings and conversations\n"
    );
    print(&text)
}

/// What systemd says of the unit; 3 unless it is active.
fn status(system: bool) -> Result<(), Error> {
    let path = path(system)?;
    let there = path.exists();
    let unknown = || "unknown (systemctl does not answer)".to_owned();
    let active = ask("is-active", system).unwrap_or_else(unknown);
    let text = format!(
        "unit     {}{}\nenabled  {}\nactive   {active}\n",
        path.display(),
        if there { "" } else { " (not there)" },
        ask("is-enabled", system).unwrap_or_else(unknown),
    );
    print(&text)?;
    match active.as_str() {
        "active" => Ok(()),
        _ => Err(Error::not_running(format!("the service is not active: {active}"))),
    }
}

/// One word of systemd's on the unit; `None` where it does not answer.
pub(super) fn ask(what: &str, system: bool) -> Option<String> {
    let mut command = Command::new("systemctl");
    if !system {
        command.arg("--user");
    }
    let output = command.args([what, "tokenpak"]).output().ok()?;
    let word = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!word.is_empty()).then_some(word)
}

/// Where units of ours may be, and whether each is the machine's.
pub(super) fn units() -> Vec<(PathBuf, bool)> {
    let both = [false, true].into_iter();
    both.filter_map(|system| Some((path(system).ok()?, system))).collect()
}

fn unit(program: &str, args: &cli::ServiceInstall) -> String {
    let (target, settings) =
        if args.system { ("multi-user.target", SYSTEM) } else { ("default.target", "") };
    let after =
        if args.system { "After=network-online.target\nWants=network-online.target\n" } else { "" };
    let same_user = if args.same_user { "Environment=TOKENPAK_PROXY_SAME_USER=true\n" } else { "" };
    with_header(&format!(
        "[Unit]\n\
         Description=tokenpak, a proxy between LLM clients and their providers\n\
         Documentation=man:tokenpak(1)\n\
         Wants=tokenpak.socket\n\
         {after}\n\
         [Service]\n\
         ExecStart={program} serve\n\
         {same_user}{COMMON}{settings}\n\
         [Install]\n\
         WantedBy={target}\n\
         Also=tokenpak.socket\n"
    ))
}

fn with_header(lines: &str) -> String {
    format!("{HEADER}{:016x}\n{lines}", sum(lines))
}

/// Whether nobody has changed the unit since `install` wrote it, whatever the version.
fn is_as_written(unit: &str) -> bool {
    let written = unit.strip_prefix(HEADER).and_then(|rest| rest.split_once('\n'));
    written.is_some_and(|(noted, lines)| *noted == format!("{:016x}", sum(lines)))
}

/// FNV-1a: finds edits, and is no seal.
fn sum(text: &str) -> u64 {
    let fold = |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
}

/// The sockets that the settings of the service name: systemd holds them, so that nobody else takes
/// the port while the proxy restarts.
fn socket_unit(system: bool) -> Result<String, Error> {
    let around = Environment::of_process();
    let around = if system { around.in_home(SYSTEM_HOME) } else { around };
    let (config, _) = config::load(&around, None, &[])?;
    if config.port == 0 {
        return Err(Error::usage("proxy.port is 0; the clients of a service need one that stays"));
    }
    let mut listen = format!("ListenStream={}\n", super::status::place(&config));
    // Where there is no such address, systemd would open none of them.
    if config.bind == "localhost" && TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        listen += &format!("ListenStream=[::1]:{}\n", config.port);
    }
    // The account of the machine's service has no name to give a file to.
    if let Some(path) = config.socket.filter(|_| !system) {
        listen += &format!("ListenStream={}\nSocketMode=0600\nRemoveOnStop=yes\n", path.display());
    }
    Ok(with_header(&format!(
        "[Unit]\n\
         Description=Sockets of tokenpak\n\
         Documentation=man:tokenpak(1)\n\n\
         [Socket]\n\
         {listen}Backlog=4096\n\n\
         [Install]\n\
         WantedBy=sockets.target\n"
    )))
}

/// The unit of the proxy and that of its sockets.
fn paths(system: bool) -> Result<[PathBuf; 2], Error> {
    let path = path(system)?;
    Ok([path.clone(), path.with_extension("socket")])
}

fn path(system: bool) -> Result<PathBuf, Error> {
    if system {
        return Ok(PathBuf::from(SYSTEM_UNIT));
    }
    let around = Environment::of_process();
    let base = match (around.variable("XDG_CONFIG_HOME"), around.variable("HOME")) {
        (Some(base), _) if base.starts_with('/') => PathBuf::from(base),
        (_, Some(home)) => Path::new(home).join(".config"),
        _ => return Err(Error::usage("HOME is not set; units of a user are kept below it")),
    };
    Ok(base.join("systemd/user/tokenpak.service"))
}

/// This program's path, as systemd must call it.
fn program() -> Result<String, Error> {
    let path = std::env::current_exe().map_err(|error| Error::system("this program", error))?;
    let path = path.to_string_lossy().into_owned();
    // systemd takes % for a specifier and white space for the end of a word.
    Ok(match path.contains([' ', '\t', '"', '\\']) {
        true => {
            format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"")).replace('%', "%%")
        }
        false => path.replace('%', "%%"),
    })
}
