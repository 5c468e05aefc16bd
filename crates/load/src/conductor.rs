use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::config::{LoadConfig, LoadError, order};
use crate::schedule::{Schedule, schedule};
use crate::summary::{LoadSummary, Totals};
use crate::window::Window;
use crate::wire::{Outcome, Wire};

/// How long after its requests' timeouts a window is sent although outcomes are missing.
const GRACE: Duration = Duration::from_millis(250);

/// Starts sending, on the current tokio runtime.
///
/// Windows come in order, without gaps, each once and complete: at the latest `timeout` and
/// 250 ms after the window's end. If the receiver goes away, the load goes on and only the
/// summary tells of it.
///
/// # Errors
/// Every limit of [`LoadConfig`], and a missing runtime. Nothing was sent then.
pub fn start(
    config: &LoadConfig,
    windows: mpsc::UnboundedSender<Window>,
) -> Result<LoadHandle, LoadError> {
    let order = order(config)?;
    let runtime = Handle::try_current().map_err(|source| LoadError::NoRuntime { source })?;
    let (command, commands) = watch::channel(Command::Send);
    let (result, summary) = oneshot::channel();
    let conductor = Conductor::new(config, Wire::new(order), windows);
    runtime.spawn(conductor.run(commands, result));
    Ok(LoadHandle { command, summary })
}

/// A running load generator. Dropping it halts the load.
#[derive(Debug)]
#[must_use = "dropping the handle halts the load"]
pub struct LoadHandle {
    command: watch::Sender<Command>,
    summary: oneshot::Receiver<LoadSummary>,
}

impl LoadHandle {
    /// Ends arrivals, and waits for what is on its way: at most `timeout` and 250 ms.
    pub async fn stop(self) -> LoadSummary {
        self.command.send_replace(Command::Drain);
        self.wait().await
    }

    /// Ends arrivals and cuts off what is on its way, which counts as `unfinished`.
    pub async fn halt(self) -> LoadSummary {
        self.command.send_replace(Command::Halt);
        self.wait().await
    }

    /// Waits until the configured duration is over and everything has ended; without a
    /// duration, for ever.
    pub async fn wait(self) -> LoadSummary {
        // Only a runtime that is shutting down loses the conductor; nothing is known then.
        self.summary
            .await
            .unwrap_or_else(|_| Totals::new().summary())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Send,
    Drain,
    Halt,
}

/// Starts requests on time, and gathers their outcomes into windows.
struct Conductor {
    began: Instant,
    schedule: Schedule,
    /// The intended start of the next request.
    next: Duration,
    wire: Arc<Wire>,
    length: Duration,
    timeout: Duration,
    stop_at: Option<Duration>,
    /// The window that still takes arrivals; none once arrivals have ended.
    open: Option<Window>,
    /// The index of the oldest window that has not been sent.
    first: u64,
    /// Windows that take no more arrivals and wait for outcomes, oldest first.
    closed: VecDeque<Window>,
    requests: JoinSet<Outcome>,
    windows: mpsc::UnboundedSender<Window>,
    totals: Totals,
}

impl Conductor {
    fn new(config: &LoadConfig, wire: Arc<Wire>, windows: mpsc::UnboundedSender<Window>) -> Self {
        let mut schedule = schedule(config.arrival, config.rate, config.seed);
        Conductor {
            began: Instant::now(),
            next: schedule.next().unwrap_or(Duration::MAX),
            schedule,
            wire,
            length: config.window,
            timeout: config.timeout,
            stop_at: config.duration,
            open: Some(Window::empty(Duration::ZERO, config.window)),
            first: 0,
            closed: VecDeque::new(),
            requests: JoinSet::new(),
            windows,
            totals: Totals::new(),
        }
    }

    async fn run(
        mut self,
        mut commands: watch::Receiver<Command>,
        result: oneshot::Sender<LoadSummary>,
    ) {
        while self.open.is_some() || !self.closed.is_empty() {
            let wake = self.wake();
            tokio::select! {
                changed = commands.changed() => {
                    // A dropped handle wants no more load.
                    let command = changed.map_or(Command::Halt, |()| *commands.borrow_and_update());
                    if command != Command::Send {
                        self.end_arrivals(self.began.elapsed());
                    }
                    if command == Command::Halt {
                        self.abandon();
                    }
                }
                Some(ended) = self.requests.join_next() => {
                    if let Ok(outcome) = ended {
                        self.count(&outcome);
                    }
                }
                () = sleep_until(wake) => self.advance(),
            }
            self.send_complete();
        }
        // The caller may have dropped the handle and want no summary.
        let _ = result.send(self.totals.summary());
    }

    /// The next moment at which something is due without any outcome.
    fn wake(&self) -> Instant {
        let overdue = self
            .closed
            .front()
            .map(|window| window.end() + self.timeout + GRACE);
        let due = self
            .open
            .as_ref()
            .map(|open| self.next.min(self.open_until(open)));
        let next = overdue.into_iter().chain(due).min().unwrap_or_default();
        self.began + next
    }

    fn open_until(&self, open: &Window) -> Duration {
        self.stop_at.map_or(open.end(), |stop| stop.min(open.end()))
    }

    /// Does one thing that is due: start a request, close a window, or give up on one.
    fn advance(&mut self) {
        let now = self.began.elapsed();
        if let Some(open) = &self.open {
            let until = self.open_until(open);
            if self.next < until && self.next <= now {
                self.start_request();
                return;
            }
            if until <= now {
                self.close_window(until);
            }
        }
        if let Some(front) = self.closed.front_mut()
            && front.end() + self.timeout + GRACE <= now
        {
            front.unfinished += front.pending();
        }
    }

    fn start_request(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.sent += 1;
        let window = self.first + self.closed.len() as u64;
        let intended = self.began + self.next;
        self.requests
            .spawn(Arc::clone(&self.wire).request(window, intended));
        self.next = self.schedule.next().unwrap_or(Duration::MAX);
    }

    fn close_window(&mut self, until: Duration) {
        let Some(open) = self.open.take() else { return };
        let (cut_short, end) = (self.stop_at == Some(until), open.end());
        self.closed.push_back(Window {
            length: until - open.start,
            ..open
        });
        if !cut_short {
            self.open = Some(Window::empty(end, self.length));
        }
    }

    /// No arrival after `now`; whole windows that a lagging generator has not closed yet count.
    fn end_arrivals(&mut self, now: Duration) {
        while let Some(open) = &self.open {
            let last = open.end() >= now;
            let until = if last {
                now.max(open.start)
            } else {
                open.end()
            };
            self.close_window(until);
            if last {
                self.open = None;
            }
        }
    }

    /// Cuts off all that is on its way.
    fn abandon(&mut self) {
        self.requests.abort_all();
        for window in &mut self.closed {
            window.unfinished += window.pending();
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        // A window that was given up on has been sent, and what was sent is never revised.
        let Some(index) = outcome.window.checked_sub(self.first) else {
            return;
        };
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match self.closed.get_mut(index) {
            Some(window) => window.count(outcome),
            None => {
                if let Some(open) = &mut self.open {
                    open.count(outcome);
                }
            }
        }
    }

    fn send_complete(&mut self) {
        while self
            .closed
            .front()
            .is_some_and(|window| window.pending() == 0)
        {
            let Some(window) = self.closed.pop_front() else {
                return;
            };
            self.first += 1;
            self.totals.add(&window);
            // Without a receiver only the summary is wanted.
            let _ = self.windows.send(window);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Verdict;

    fn conductor() -> (Conductor, mpsc::UnboundedReceiver<Window>) {
        let config = LoadConfig {
            timeout: Duration::from_millis(1),
            ..LoadConfig::get("http://127.0.0.1:9/", 10.0)
        };
        let (windows, received) = mpsc::unbounded_channel();
        let wire = Wire::new(order(&config).unwrap());
        (Conductor::new(&config, wire, windows), received)
    }

    fn outcome(window: u64) -> Outcome {
        Outcome {
            window,
            verdict: Verdict::Good,
            latency: Duration::from_millis(1),
            late: false,
        }
    }

    #[test]
    fn a_window_waits_for_its_slowest_request_and_holds_back_those_after_it() {
        let (mut conductor, mut received) = conductor();
        let length = Duration::from_millis(100);
        for start in 0..3 {
            let mut window = Window::empty(length * start, length);
            window.sent = 1;
            conductor.closed.push_back(window);
        }
        conductor.count(&outcome(1));
        conductor.send_complete();
        assert!(received.try_recv().is_err());
        conductor.count(&outcome(0));
        conductor.send_complete();
        assert_eq!(received.try_recv().unwrap().start, Duration::ZERO);
        assert_eq!(received.try_recv().unwrap().start, length);
        assert!(received.try_recv().is_err());
    }

    #[tokio::test]
    async fn what_never_ends_is_unfinished_and_a_window_once_sent_is_not_revised() {
        let (mut conductor, mut received) = conductor();
        let length = Duration::from_millis(1);
        conductor.open = None;
        for start in 0..2 {
            let mut window = Window::empty(length * start, length);
            window.sent = 2;
            conductor.closed.push_back(window);
        }
        conductor.count(&outcome(0));
        tokio::time::sleep_until(conductor.wake()).await;
        conductor.advance();
        conductor.send_complete();
        conductor.count(&outcome(0));
        conductor.count(&outcome(1));

        let window = received.recv().await.unwrap();
        assert_eq!((window.sent, window.good, window.unfinished), (2, 1, 1));
        assert_eq!(
            conductor.closed[0].good, 1,
            "the second outcome is the next window's"
        );
        assert_eq!(conductor.totals.summary().unfinished, 1);
    }

    #[test]
    fn a_lagging_generator_closes_every_window_up_to_the_stop() {
        let (mut conductor, _received) = conductor();
        conductor.end_arrivals(Duration::from_millis(250));
        let lengths: Vec<_> = conductor
            .closed
            .iter()
            .map(|window| window.length)
            .collect();
        assert_eq!(lengths, [100, 100, 50].map(Duration::from_millis));
        assert!(conductor.open.is_none());
    }
}
