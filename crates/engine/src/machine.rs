//! Coroutines over `step`.
//!
//! Every task is polled on every step until none makes progress. A leaf future is ready because
//! an answer arrived, a flag was set, or `now` moved; nothing else can wake it, so no waker is
//! needed and a run is a pure function of its events.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::effect::{CallId, ControlReply, Effect, Event, FaultReport, Outcome, Signal};

type Task = Pin<Box<dyn Future<Output = ()>>>;

pub(crate) struct Machine {
    core: Core,
}

/// The hold that a coroutine has on the machine; cheap to clone.
#[derive(Clone)]
pub(crate) struct Core(Rc<State>);

#[derive(Default)]
struct State {
    now: Cell<Duration>,
    wake: Cell<Option<Duration>>,
    progress: Cell<bool>,
    next_id: Cell<CallId>,
    finished: Cell<bool>,
    effects: RefCell<Vec<Effect>>,
    outcomes: RefCell<BTreeMap<CallId, Outcome>>,
    replies: RefCell<BTreeMap<CallId, ControlReply>>,
    /// What the watch looks at, in order.
    news: RefCell<VecDeque<News>>,
    signals: RefCell<VecDeque<Signal>>,
    tasks: RefCell<Vec<Task>>,
    spawned: RefCell<Vec<Task>>,
}

/// Events that nobody waits for by id.
#[derive(Debug)]
pub(crate) enum News {
    FaultApplied {
        id: CallId,
    },
    FaultEnded {
        id: CallId,
        report: FaultReport,
    },
    Kpi {
        kpi: usize,
        window: firedrill_judge::Window,
    },
    KpiReset {
        kpi: usize,
        at: Duration,
    },
    KpiEnded {
        kpi: usize,
        trouble: Option<String>,
    },
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("now", &self.core.now())
            .finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn new() -> (Self, Core) {
        let core = Core(Rc::new(State::default()));
        (Self { core: core.clone() }, core)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.core.0.spawned.borrow_mut().push(Box::pin(task));
    }

    pub(crate) fn step(&mut self, now: Duration, event: Option<Event>) -> Vec<Effect> {
        let state = &self.core.0;
        state.now.set(state.now.get().max(now));
        if state.finished.get() {
            return Vec::new();
        }
        if let Some(event) = event {
            state.deliver(event);
        }
        state.poll_until_quiet();
        let mut effects = state.effects.take();
        if let Some(wake) = state.wake.get() {
            effects.push(Effect::WakeAt(wake));
        }
        if let Some(last) = effects
            .iter()
            .position(|e| matches!(e, Effect::Finished(_)))
        {
            let finished = effects.remove(last);
            effects.retain(|e| !matches!(e, Effect::WakeAt(_)));
            effects.push(finished);
            state.finished.set(true);
            state.tasks.borrow_mut().clear();
        }
        effects
    }
}

impl State {
    fn deliver(&self, event: Event) {
        let news = match event {
            Event::CallEnded { id, outcome } => {
                self.outcomes.borrow_mut().insert(id, outcome);
                return;
            }
            Event::ControlEnded { id, reply } => {
                self.replies.borrow_mut().insert(id, reply);
                return;
            }
            Event::Interrupted(signal) => {
                self.signals.borrow_mut().push_back(signal);
                return;
            }
            Event::FaultApplied { id } => News::FaultApplied { id },
            Event::FaultEnded { id, report } => News::FaultEnded { id, report },
            Event::Kpi { kpi, window } => News::Kpi { kpi, window },
            Event::KpiReset { kpi, at } => News::KpiReset { kpi, at },
            Event::KpiEnded { kpi, trouble } => News::KpiEnded { kpi, trouble },
        };
        self.news.borrow_mut().push_back(news);
    }

    fn poll_until_quiet(&self) {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            self.progress.set(false);
            self.wake.set(None);
            let mut tasks = self.tasks.take();
            tasks.append(&mut self.spawned.borrow_mut());
            tasks.retain_mut(|task| {
                let pending = task.as_mut().poll(&mut context).is_pending();
                if !pending {
                    self.progress.set(true);
                }
                pending
            });
            self.tasks.borrow_mut().append(&mut tasks);
            if !self.progress.get() && self.spawned.borrow().is_empty() {
                return;
            }
        }
    }
}

impl Core {
    pub(crate) fn now(&self) -> Duration {
        self.0.now.get()
    }

    pub(crate) fn emit(&self, effect: Effect) {
        self.0.effects.borrow_mut().push(effect);
    }

    /// Says that something others may wait for has changed.
    pub(crate) fn touch(&self) {
        self.0.progress.set(true);
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.spawned.borrow_mut().push(Box::pin(task));
    }

    pub(crate) fn take_news(&self) -> Option<News> {
        let news = self.0.news.borrow_mut().pop_front();
        if news.is_some() {
            self.touch();
        }
        news
    }

    pub(crate) fn take_signal(&self) -> Option<Signal> {
        let signal = self.0.signals.borrow_mut().pop_front();
        if signal.is_some() {
            self.touch();
        }
        signal
    }

    pub(crate) fn next_id(&self) -> CallId {
        let id = self.0.next_id.get();
        self.0.next_id.set(id + 1);
        id
    }

    /// Emits the effect and waits for its outcome; dropped before that, it cancels the call.
    pub(crate) fn call(&self, id: CallId, effect: Effect) -> impl Future<Output = Outcome> + use<> {
        self.emit(effect);
        let mut pending = PendingCall {
            core: self.clone(),
            id,
            done: false,
        };
        poll_fn(move |_| {
            let outcome = pending.core.0.outcomes.borrow_mut().remove(&id);
            match outcome {
                Some(outcome) => {
                    pending.done = true;
                    pending.core.touch();
                    Poll::Ready(outcome)
                }
                None => Poll::Pending,
            }
        })
    }

    /// Controls run to their end; they are not cancelled.
    pub(crate) fn control(
        &self,
        id: CallId,
        effect: Effect,
    ) -> impl Future<Output = ControlReply> + use<> {
        self.emit(effect);
        let core = self.clone();
        poll_fn(move |_| {
            let reply = core.0.replies.borrow_mut().remove(&id);
            match reply {
                Some(reply) => {
                    core.touch();
                    Poll::Ready(reply)
                }
                None => Poll::Pending,
            }
        })
    }

    pub(crate) fn sleep(&self, time: Duration) -> impl Future<Output = ()> + use<> {
        self.sleep_until(self.now().saturating_add(time))
    }

    pub(crate) fn sleep_until(&self, deadline: Duration) -> impl Future<Output = ()> + use<> {
        let core = self.clone();
        poll_fn(move |_| {
            if core.now() >= deadline {
                return Poll::Ready(());
            }
            let earliest = core
                .0
                .wake
                .get()
                .map_or(deadline, |wake| wake.min(deadline));
            core.0.wake.set(Some(earliest));
            Poll::Pending
        })
    }

    /// Ready when the condition is. Whoever changes what it reads calls [`Core::touch`].
    pub(crate) fn until(&self, mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
        poll_fn(move |_| {
            if condition() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }
}

/// Cancels a call that nobody waits for any more.
struct PendingCall {
    core: Core,
    id: CallId,
    done: bool,
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if !self.done {
            self.core.emit(Effect::Cancel { id: self.id });
            self.core.touch();
        }
    }
}

/// The first of the two to be ready; the other is dropped.
pub(crate) async fn either<A, B>(
    first: impl Future<Output = A>,
    second: impl Future<Output = B>,
) -> Either<A, B> {
    let mut first = Box::pin(first);
    let mut second = Box::pin(second);
    poll_fn(move |context| {
        if let Poll::Ready(value) = first.as_mut().poll(context) {
            return Poll::Ready(Either::First(value));
        }
        second.as_mut().poll(context).map(Either::Second)
    })
    .await
}

pub(crate) enum Either<A, B> {
    First(A),
    Second(B),
}
