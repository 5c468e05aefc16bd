//! What is typed at a terminal: a real one, of the kernel's pseudo terminals.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::Child;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::place::{Place, program, wait_until};

/// A terminal with the command at it, which it controls.
struct Seat {
    person: File,
    /// Kept open: what the last one leaves could not be read any more.
    terminal: OwnedFd,
    child: Child,
}

impl Seat {
    fn take(place: &Place, words: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let person = openpt(flags).unwrap();
        grantpt(&person).unwrap();
        unlockpt(&person).unwrap();
        let terminal = ioctl_tiocgptpeer(&person, flags).unwrap();
        let end = || terminal.try_clone().unwrap();
        // Without a session of its own, Ctrl-C would be nobody's.
        let mut command = place.command_of("setsid");
        command
            .args(["--ctty", "--wait"])
            .arg(program())
            .args(words);
        let command = command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        Self {
            person: person.into(),
            terminal,
            child,
        }
    }

    fn is_hidden(&self) -> bool {
        let modes = tcgetattr(&self.terminal).unwrap().local_modes;
        !modes.contains(LocalModes::ECHO)
    }

    /// What is on the terminal when the command is over, and how it went.
    fn leave(mut self) -> (String, Option<i32>) {
        let code = self.child.wait().unwrap().code();
        let mut shown = vec![0; 1 << 16];
        let length = self.person.read(&mut shown).unwrap();
        let shown = String::from_utf8_lossy(&shown[..length]);
        (shown.into_owned(), code)
    }
}

const ASK: [&str; 3] = ["demo", "--secret-timeout", "--no-report"];

#[test]
fn a_secret_is_not_shown_and_a_wrong_one_is_refused() {
    let place = Place::new();
    let mut seat = Seat::take(&place, &ASK);
    assert!(wait_until(|| seat.is_hidden()));
    seat.person.write_all(b"7654321\n").unwrap();
    assert!(wait_until(|| !seat.is_hidden()));
    let (shown, code) = seat.leave();
    assert!(shown.contains("from 20ms to 600ms"), "{shown}");
    assert!(!shown.contains("7654321"), "{shown}");
    assert_eq!(code, Some(2), "{shown}");
}

#[test]
fn ctrl_c_at_a_secret_ends_it_and_gives_the_terminal_back() {
    let place = Place::new();
    let mut seat = Seat::take(&place, &ASK);
    assert!(wait_until(|| seat.is_hidden()));
    seat.person.write_all(b"12\x03").unwrap();
    assert!(wait_until(|| !seat.is_hidden()));
    let (shown, code) = seat.leave();
    assert!(shown.contains("cancelled"), "{shown}");
    assert_eq!(code, Some(5), "{shown}");
}
