//! The calls that rustix does not offer. The only unsafe code of the workspace.
#![expect(
    unsafe_code,
    reason = "signal masks, also of what is started, signalfd, close_range, scheduling classes and clock_adjtime have no safe wrapper"
)]

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Blocks the signals for the calling thread and gives a descriptor that reads them.
pub(crate) fn signal_descriptor(signals: &[i32]) -> io::Result<OwnedFd> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set it is given; sigaddset and the two calls after it
    // only read or change that initialised set; the signalfd is a fresh descriptor that nobody
    // else owns.
    unsafe {
        if libc::sigemptyset(set.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut set = set.assume_init();
        for signal in signals {
            if libc::sigaddset(&raw mut set, *signal) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        let error = libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Has the command start with no signal blocked.
pub(crate) fn start_unblocked(command: &mut Command) {
    let unblock = || {
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set, which sigprocmask only reads.
        let failed = unsafe {
            libc::sigemptyset(none.as_mut_ptr()) != 0
                || libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) != 0
        };
        if failed {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes two calls that are allowed there (signal-safety(7)), and
    // neither allocates nor locks.
    unsafe { command.pre_exec(unblock) };
}

/// Makes standard output the same as this descriptor.
pub(crate) fn become_stdout(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no pointer. Nobody owns standard output: whoever writes to it borrows it for a
    // call, and then writes to what it is now.
    let result = unsafe { libc::dup2(fd.as_raw_fd(), libc::STDOUT_FILENO) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Closes every descriptor from `first` up.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: takes no pointer. The caller promises (see `hardening::close_inherited`) that no
    // descriptor from `first` up has an owner in this process.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0_u32) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Puts the calling thread above everything that is not realtime itself; children start as usual.
pub(crate) fn run_before_others() -> io::Result<()> {
    // SAFETY: an all-zero sched_param is valid: it is plain integers.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = 1;
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: reads the parameters only during the call.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Reads or changes how the kernel keeps CLOCK_REALTIME: `request` fills in what to change.
pub(crate) fn adjust_clock(request: impl FnOnce(&mut libc::timex)) -> io::Result<libc::timex> {
    // SAFETY: an all-zero timex is valid (it is plain integers) and asks for no change.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    request(&mut timex);
    // SAFETY: reads and writes the structure only during the call.
    let result = unsafe { libc::clock_adjtime(libc::CLOCK_REALTIME, &raw mut timex) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(timex)
}

/// Switches an option of a netlink socket on. Kernels before 4.12 do not have all of them, and then
/// only say less.
pub(crate) fn enable_netlink_option(socket: BorrowedFd<'_>, option: i32) {
    let on: i32 = 1;
    // SAFETY: reads the one integer only during the call.
    let _unsupported = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
}

/// The number of a socket's network namespace, never used again until the next boot (Linux 5.14).
pub(crate) fn namespace_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    /// `SO_NETNS_COOKIE` of asm-generic/socket.h.
    const SO_NETNS_COOKIE: i32 = 71;
    let mut cookie: u64 = 0;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: both pointers are valid for the call, and the length is that of the target.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(cookie)
}

/// Moves the calling thread into a network namespace of its own.
pub(crate) fn unshare_network() -> Result<(), rustix::io::Errno> {
    // SAFETY: only CLONE_FILES makes this call unsafe, and it is not asked for.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
}

/// Gives the children of the calling process a time namespace of their own.
pub(crate) fn unshare_time() -> Result<(), rustix::io::Errno> {
    // SAFETY: only CLONE_FILES makes this call unsafe, and it is not asked for.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWTIME) }
}

/// `SO_PRIORITY`: the priority of the packets that a socket sends.
#[cfg(test)]
pub(crate) fn set_priority(socket: BorrowedFd<'_>, priority: u32) -> io::Result<()> {
    // SAFETY: reads the one integer only during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PRIORITY,
            (&raw const priority).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Marks what a socket sends.
pub(crate) fn set_mark(socket: BorrowedFd<'_>, mark: u32) -> io::Result<()> {
    set_socket_option(socket, libc::SO_MARK, mark)
}

/// Binds a socket to the interface with this index; 0 for none.
pub(crate) fn bind_to_interface(socket: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    set_socket_option(socket, libc::SO_BINDTOIFINDEX, index)
}

/// Where a connection was meant for before it was redirected to this socket, as a `sockaddr_in` or a
/// `sockaddr_in6`; its bytes, and how many the kernel wrote.
pub(crate) fn original_destination(
    socket: BorrowedFd<'_>,
    v6: bool,
) -> io::Result<([u8; 28], usize)> {
    let (level, option) = match v6 {
        false => (libc::SOL_IP, libc::SO_ORIGINAL_DST),
        true => (libc::SOL_IPV6, libc::IP6T_SO_ORIGINAL_DST),
    };
    let mut address = [0_u8; 28];
    let mut length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: both pointers are valid for the call, and the length is that of the target.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            address.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((address, length as usize))
}

fn set_socket_option(socket: BorrowedFd<'_>, option: i32, value: u32) -> io::Result<()> {
    // SAFETY: reads the one integer only during the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            size_of::<u32>() as libc::socklen_t,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
