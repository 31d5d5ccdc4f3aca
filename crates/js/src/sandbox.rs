//! What a worker process may do: compute, and talk on the two pipes that it was
//! given.

use std::io;

use rustix::process::Pid;

/// Open files of a worker: the standard ones, and some to spare.
const FILES_MAX: u64 = 16;
/// Address space: the arena's mapping and room for the process itself.
const ADDRESS_SPACE_BYTES_MAX: u64 = 5 << 30;

/// Limits the resources of this process and, on Linux, filters system calls.
/// There is no way back.
pub(crate) fn enter() -> io::Result<()> {
    limit(libc::RLIMIT_CORE, 0)?;
    limit(libc::RLIMIT_FSIZE, 0)?;
    limit(libc::RLIMIT_NOFILE, FILES_MAX)?;
    limit(libc::RLIMIT_AS, ADDRESS_SPACE_BYTES_MAX)?;
    #[cfg(target_os = "linux")]
    linux::enter()?;
    Ok(())
}

/// On Linux, this process dies with the one that started it.
pub(crate) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    // SAFETY: prctl with constant arguments.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}

/// How much nicer than the server a worker is that stands back: it has a tenth
/// of the time of others, where both want all of it.
const STANDS_BACK_NICE: i32 = 10;

/// What wakes up in this process, and in those that it forks, waits until others
/// make room: the server goes on feeding workers when it has fed one.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    {
        let parameters = libc::sched_param { sched_priority: 0 };
        // SAFETY: the pointer is to a live value.
        unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters) };
    }
}

/// Lets other processes go first; whether that is so now. There is no way back
/// without privileges.
pub(crate) fn stand_back(process: Pid) -> bool {
    let of_server = rustix::process::getpriority_process(None).unwrap_or(0);
    let nice = (of_server + STANDS_BACK_NICE).min(19);
    rustix::process::setpriority_process(Some(process), nice).is_ok()
}

/// Closes every descriptor from `first` on, which nothing in this process uses.
pub(crate) fn close_from(first: libc::c_int) {
    #[cfg(target_os = "linux")]
    // SAFETY: as the caller promises.
    if unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } == 0 {
        return;
    }
    // Kernels before 5.9, and others.
    for descriptor in first..1024 {
        // SAFETY: as the caller promises.
        unsafe { libc::close(descriptor) };
    }
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: value,
        rlim_max: value,
    };
    // SAFETY: the pointer is to a live value.
    if unsafe { libc::setrlimit(resource, &raw const limit) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io;

    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    /// System calls that computing and two pipes need; any other fails with
    /// `EPERM`.
    const ALLOWED: &[libc::c_long] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_readv,
        libc::SYS_writev,
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        libc::SYS_setitimer,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_restart_syscall,
        libc::SYS_close,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_tgkill,
        libc::SYS_sched_yield,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];

    pub(super) fn enter() -> io::Result<()> {
        // SAFETY: prctl with constant arguments.
        unsafe {
            if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
        let rules: BTreeMap<i64, Vec<_>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
        let filter = SeccompFilter::new(
            rules,
            SeccompAction::Errno(libc::EPERM as u32),
            SeccompAction::Allow,
            arch,
        )
        .map_err(io::Error::other)?;
        let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
        seccompiler::apply_filter(&program).map_err(io::Error::other)
    }
}
