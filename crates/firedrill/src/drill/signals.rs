//! The signals that stop a drill, as Chaos Toolkit understands them.

use std::sync::Arc;

use firedrill_engine::effect::Signal;
use firedrill_runner::provider::python::{Listener, WorkerEvent};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

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
                if drill.send(meaning).is_err() {
                    return;
                }
            }
        });
    }
    Ok(())
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
