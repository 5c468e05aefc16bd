//! The signals that stop a drill, as Chaos Toolkit understands them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use firedrill_engine::effect::Signal;
use firedrill_runner::provider::python::{Listener, WorkerEvent};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::exit::Exit;

/// Forwards each signal from now on, for as long as the runtime lives.
pub(crate) fn listen(drill: &mpsc::UnboundedSender<Signal>) -> std::io::Result<()> {
    let kinds = [
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
        (SignalKind::hangup(), Signal::Terminate),
        (SignalKind::user_defined1(), Signal::ExitGracefully),
        (SignalKind::user_defined2(), Signal::ExitNow),
    ];
    for (kind, meaning) in kinds {
        let mut stream = signal(kind)?;
        let drill = drill.clone();
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                leave_if_pressed_again(meaning);
                if drill.send(meaning).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
}

/// The third Ctrl-C or SIGTERM ends the process, whatever hangs: the guardian undoes the faults and
/// plays the rollbacks, as it does after a kill.
fn leave_if_pressed_again(meaning: Signal) {
    static PRESSED: AtomicU32 = AtomicU32::new(0);
    if !matches!(meaning, Signal::Interrupt | Signal::Terminate) {
        return;
    }
    if PRESSED.fetch_add(1, Ordering::Relaxed) >= 2 {
        #[expect(
            clippy::exit,
            clippy::disallowed_methods,
            reason = "the way out of everything else"
        )]
        std::process::exit(Exit::Halted.code().into());
    }
}

/// The user's Python stops a drill by signals to its own process, which is the worker.
pub(crate) fn of_worker(drill: mpsc::UnboundedSender<Signal>) -> Listener {
    Arc::new(move |event| {
        let WorkerEvent::Signal { name } = event else {
            return;
        };
        let meaning = match name.as_str() {
            "SIGINT" => Signal::Interrupt,
            "SIGTERM" => Signal::Terminate,
            "SIGUSR1" => Signal::ExitGracefully,
            "SIGUSR2" => Signal::ExitNow,
            _ => return,
        };
        // A drill that has ended needs no more stopping.
        let _ = drill.send(meaning);
    })
}
