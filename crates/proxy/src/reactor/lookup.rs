//! Names to addresses: a thread that may wait, beside loops that may not.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::worker::{Handle, Order};

/// A question to the resolver of the system.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Which connection asks.
    pub(crate) key: usize,
    pub(crate) ticket: u64,
    pub(crate) asked_by: usize,
}

/// How many names are looked up at a time: a dead server holds up each for many seconds.
const THREADS: usize = 4;

/// Starts the threads; they end when the last question can have been asked.
pub(crate) fn start(workers: &[Handle]) -> std::io::Result<Sender<Question>> {
    let (ask, questions) = channel();
    let questions = std::sync::Arc::new(std::sync::Mutex::new(questions));
    for _ in 0..THREADS {
        let questions = std::sync::Arc::clone(&questions);
        let workers = workers.to_vec();
        thread::Builder::new()
            .name("lookup".into())
            .spawn(move || answer(&questions, &workers))?;
    }
    Ok(ask)
}

fn answer(questions: &std::sync::Mutex<Receiver<Question>>, workers: &[Handle]) {
    loop {
        let next = questions.lock().map(|questions| questions.recv());
        let Ok(Ok(question)) = next else { return };
        let found = (question.host.as_str(), question.port).to_socket_addrs();
        let addresses: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
        workers[question.asked_by].tell(Order::Found {
            key: question.key,
            ticket: question.ticket,
            addresses,
        });
    }
}
