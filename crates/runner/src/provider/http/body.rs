//! A response's bytes as text.

use super::Response;

/// UTF-8 where it is; else Latin-1 when the response says so, or is text of an unnamed charset,
/// which is what `requests` takes it for; else with replacement characters.
pub(crate) fn text(response: &Response) -> String {
    match std::str::from_utf8(&response.body) {
        Ok(text) => text.to_owned(),
        Err(_) if is_latin_1(response.header("content-type").unwrap_or_default()) => {
            response.body.iter().map(|&byte| char::from(byte)).collect()
        }
        Err(_) => String::from_utf8_lossy(&response.body).into_owned(),
    }
}

fn is_latin_1(content_type: &str) -> bool {
    let content_type = content_type.to_ascii_lowercase();
    match content_type.split_once("charset=") {
        Some((_, charset)) => {
            let charset = charset
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .trim_matches(['"', '\'']);
            matches!(
                charset,
                "iso-8859-1" | "latin-1" | "latin1" | "windows-1252"
            )
        }
        None => content_type.starts_with("text/"),
    }
}
