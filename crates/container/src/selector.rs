//! Which containers are meant.

use serde::{Deserialize, Serialize};

use crate::Container;

/// One property that a container has to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selector {
    /// The whole name, with or without the leading slash.
    Name(String),
    /// The beginning of the id, at least one digit.
    Id(String),
    /// A label that is set, and its value unless any will do.
    Label { key: String, value: Option<String> },
    /// `nginx` is any tag of it from Docker's registry; `nginx:1.27` that tag; `sha256:…` the
    /// beginning of the image's id.
    Image(String),
}

impl Selector {
    #[must_use]
    pub fn matches(&self, container: &Container) -> bool {
        match self {
            Self::Name(name) => {
                let name = name.strip_prefix('/').unwrap_or(name);
                container.names.iter().any(|own| own == name)
            }
            Self::Id(prefix) => !prefix.is_empty() && container.id.starts_with(prefix.as_str()),
            Self::Label { key, value } => container
                .labels
                .get(key)
                .is_some_and(|own| value.as_ref().is_none_or(|wanted| wanted == own)),
            Self::Image(wanted) => match wanted.strip_prefix("sha256:") {
                Some(digits) => {
                    !digits.is_empty() && container.image_id.starts_with(wanted.as_str())
                }
                None => is_image(wanted, &container.image),
            },
        }
    }
}

fn is_image(wanted: &str, image: &str) -> bool {
    let (wanted_name, wanted_tag) = split_tag(wanted);
    let (name, tag) = split_tag(image);
    !wanted_name.is_empty()
        && short(wanted_name) == short(name)
        // Engines write out `latest` or leave it away.
        && wanted_tag.is_none_or(|wanted| wanted == tag.unwrap_or("latest"))
}

/// The name, and the tag or digest behind it. A port of a registry is not a tag.
fn split_tag(image: &str) -> (&str, Option<&str>) {
    if let Some((name, digest)) = image.split_once('@') {
        return (name, Some(digest));
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

/// Docker leaves its own registry away, Podman writes it out.
fn short(name: &str) -> &str {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;

    fn container(image: &str) -> Container {
        Container {
            id: "0123abcd".into(),
            names: vec!["web".into(), "other".into()],
            image: image.into(),
            image_id: "sha256:feed".into(),
            state: State::Running,
            labels: [("tier".to_owned(), "front".to_owned())].into(),
        }
    }

    fn label(key: &str, value: Option<&str>) -> Selector {
        Selector::Label {
            key: key.into(),
            value: value.map(str::to_owned),
        }
    }

    #[test]
    fn names_match_whole_and_ids_by_their_beginning() {
        let it = container("nginx");
        assert!(Selector::Name("web".into()).matches(&it));
        assert!(Selector::Name("/other".into()).matches(&it));
        assert!(!Selector::Name("we".into()).matches(&it));
        assert!(Selector::Id("0123".into()).matches(&it));
        assert!(!Selector::Id("123".into()).matches(&it));
    }

    #[test]
    fn an_empty_selector_matches_nothing() {
        let it = container("");
        for selector in [
            Selector::Name(String::new()),
            Selector::Id(String::new()),
            Selector::Image(String::new()),
            Selector::Image("sha256:".into()),
            label("", None),
        ] {
            assert!(!selector.matches(&it), "{selector:?}");
        }
    }

    #[test]
    fn labels_match_by_key_or_by_key_and_value() {
        let it = container("nginx");
        assert!(label("tier", None).matches(&it));
        assert!(label("tier", Some("front")).matches(&it));
        assert!(!label("tier", Some("")).matches(&it));
        assert!(!label("tie", None).matches(&it));
    }

    #[test]
    fn images_match_however_an_engine_writes_them() {
        let image =
            |wanted: &str, image: &str| Selector::Image(wanted.into()).matches(&container(image));
        assert!(image("nginx", "docker.io/library/nginx:1.27"));
        assert!(image("nginx:latest", "nginx"));
        assert!(image("host:5000/app", "host:5000/app:2"));
        assert!(image("app@sha256:1", "docker.io/app@sha256:1"));
        assert!(image("sha256:fe", "anything"));
        assert!(!image("nginx:1.26", "nginx:1.27"));
        assert!(!image("nginx", "evil.example/nginx"));
        assert!(!image("ngin", "nginx"));
    }
}
