//! One figure, printed.

/// `ratio` is how many times better ours is; whoever reads knows from the metric what is better.
pub(crate) struct Figure<'a> {
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: &'a str,
    /// What it stands beside: another tool, a table, or what was asked for.
    pub(crate) peer: &'a str,
    pub(crate) peer_value: f64,
    pub(crate) ratio: f64,
}

impl Figure<'_> {
    pub(crate) fn print(&self) {
        let number = |value: f64| {
            if value.is_finite() {
                format!("{value}")
            } else {
                "null".into()
            }
        };
        println!(
            r#"{{"bench":"judge","metric":"{}","value":{},"unit":"{}","peer":"{}","peer_value":{},"ratio":{}}}"#,
            self.metric,
            number(self.value),
            self.unit,
            self.peer,
            number(self.peer_value),
            number(self.ratio),
        );
    }
}
