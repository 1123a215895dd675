use crate::error::Invalid;

/// Where a URL leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UrlForm {
    /// Carries an image in itself.
    ImageData,
    /// Says where it is.
    Web,
    /// Carries something else, or is none.
    Other,
}

impl UrlForm {
    /// What kind of URL a JSON string holds. Some writers escape slashes.
    pub(crate) fn of(json_string: &str) -> Self {
        const LONGEST_PREFIX: usize = 16;
        let head: Vec<u8> = json_string.bytes().skip(1).filter(|byte| *byte != b'\\').take(LONGEST_PREFIX).collect();
        let starts_with =
            |prefix: &str| head.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()));
        if starts_with("data:image/") {
            UrlForm::ImageData
        } else if starts_with("http://") || starts_with("https://") {
            UrlForm::Web
        } else {
            UrlForm::Other
        }
    }

    /// What is said of an image that is neither.
    pub(crate) fn refused(at: &str) -> Invalid {
        let message = format!("Invalid value for '{at}': expected an http(s) URL or image data (data:image/…).");
        Invalid::new("invalid_value", at, message)
    }
}
