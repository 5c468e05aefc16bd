//! A stop that carries its reason, for everything that can be interrupted.

use firedrill_experiment::journal::Interruption;
use tokio::sync::watch;

/// The side that stops. Dropping it stops nobody.
#[derive(Debug, Clone)]
pub struct Canceller(watch::Sender<Option<Interruption>>);

/// The side that is stopped. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Receiver<Option<Interruption>>);

/// A connected pair.
pub fn canceller() -> (Canceller, Cancel) {
    let (sender, receiver) = watch::channel(None);
    (Canceller(sender), Cancel(receiver))
}

impl Canceller {
    /// Stops everyone who holds the other side. The first reason stays.
    pub fn cancel(&self, reason: Interruption) {
        self.0.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(reason);
            }
            first
        });
    }

    /// One more side to hand out.
    pub fn handle(&self) -> Cancel {
        Cancel(self.0.subscribe())
    }
}

impl Cancel {
    /// One that never comes.
    pub fn never() -> Self {
        canceller().1
    }

    /// The reason, if it was given already.
    pub fn reason(&self) -> Option<Interruption> {
        self.0.borrow().clone()
    }

    /// Waits for the reason; for ever when there is no longer anyone to give it.
    pub async fn cancelled(&mut self) -> Interruption {
        let given = self
            .0
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|reason| reason.clone());
        match given {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Interruption {
        Interruption {
            kind: "signal".into(),
            name: None,
            reason: text.into(),
        }
    }

    #[tokio::test]
    async fn the_first_reason_stays() {
        let (canceller, mut cancel) = canceller();
        assert!(cancel.reason().is_none());
        canceller.cancel(reason("first"));
        canceller.cancel(reason("second"));
        assert_eq!(cancel.cancelled().await.reason, "first");
        assert_eq!(canceller.handle().cancelled().await.reason, "first");
    }

    #[tokio::test]
    async fn a_dropped_canceller_stops_nobody() {
        let mut cancel = Cancel::never();
        let waited =
            tokio::time::timeout(std::time::Duration::from_millis(20), cancel.cancelled()).await;
        assert!(waited.is_err());
    }
}
