/// Whether an instance is in rotation, from what its checks and its requests showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Health {
    unhealthy_after: u32,
    healthy_after: u32,
    up: bool,
    failures: u32,
    passes: u32,
}

impl Health {
    /// Down until its first check has passed.
    pub(super) fn unknown(unhealthy_after: u32, healthy_after: u32) -> Self {
        Health {
            unhealthy_after,
            healthy_after,
            up: false,
            failures: 0,
            passes: healthy_after.saturating_sub(1),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    /// A health check passed.
    pub(super) fn check_passed(&mut self) {
        self.failures = 0;
        if !self.up {
            self.passes += 1;
            self.up = self.passes >= self.healthy_after;
        }
    }

    /// A request was answered. That alone brings nothing back into rotation: it may have been
    /// sent before the trouble began.
    pub(super) fn answered(&mut self) {
        self.failures = 0;
    }

    /// A check or a request failed; true when that took the instance out of rotation.
    pub(super) fn failed(&mut self) -> bool {
        self.passes = 0;
        self.failures = self.failures.saturating_add(1);
        let ejected = self.up && self.failures >= self.unhealthy_after;
        self.up = self.up && !ejected;
        ejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> Health {
        let mut health = Health::unknown(2, 2);
        health.check_passed();
        health
    }

    #[test]
    fn an_unknown_instance_is_up_after_its_first_passed_check() {
        assert!(!Health::unknown(2, 2).is_up());
        assert!(up().is_up());
    }

    #[test]
    fn failures_in_a_row_eject_once_and_an_answer_in_between_forgives() {
        let mut health = up();
        assert!(!health.failed());
        health.answered();
        assert!(!health.failed());
        assert!(health.failed());
        assert!(!health.is_up());
        assert!(!health.failed(), "it is ejected already");
    }

    #[test]
    fn only_passed_checks_in_a_row_bring_it_back() {
        let mut health = up();
        health.failed();
        health.failed();
        health.answered();
        health.check_passed();
        assert!(!health.is_up());
        health.failed();
        health.check_passed();
        assert!(!health.is_up());
        health.check_passed();
        assert!(health.is_up());
    }
}
