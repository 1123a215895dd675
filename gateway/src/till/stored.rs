use serde::Deserialize;

/// The gate's last sequence is not the expected one: it was closed, or purged after that.
const WRONG_LAST_SEQUENCE: u64 = 10_071;
/// A cluster has another message of this gate in flight and decides nothing.
const GATE_IN_FLIGHT: u64 = 10_164;

/// The stream did not acknowledge an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotStored {
    /// The gate is closed: what was sent now is not stored, nor ever will be.
    #[error("the gate is closed")]
    GateClosed,
    /// Undecided; the same again through the same gate.
    #[error("the gate has another message in flight")]
    GateBusy,
    /// It may have been stored or not.
    #[error("{0}")]
    Unknown(&'static str),
    /// The stream said no for a reason that does not tell for certain that it was not stored.
    #[error("the stream answers {code}: {description}")]
    Failed { code: u64, description: String },
}

#[derive(Deserialize)]
struct Acknowledgement {
    error: Option<StreamError>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
struct StreamError {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}

/// Reads what the stream answered to a publish.
pub(super) fn read_acknowledgement(bytes: &[u8]) -> Result<(), NotStored> {
    match serde_json::from_slice::<Acknowledgement>(bytes) {
        Ok(Acknowledgement { error: None, seq: Some(seq) }) if seq > 0 => Ok(()),
        Ok(Acknowledgement { error: Some(error), .. }) => Err(match error.err_code {
            WRONG_LAST_SEQUENCE => NotStored::GateClosed,
            GATE_IN_FLIGHT => NotStored::GateBusy,
            code => NotStored::Failed { code, description: error.description },
        }),
        _ => Err(NotStored::Unknown("the acknowledgement cannot be read")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_acknowledgement_is_one() {
        assert_eq!(read_acknowledgement(br#"{"stream":"LAYERS_a_1","seq":7}"#), Ok(()));
        let closed =
            br#"{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 9"},"stream":"S","seq":0}"#;
        assert_eq!(read_acknowledgement(closed), Err(NotStored::GateClosed));
        let busy = br#"{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"}}"#;
        assert_eq!(read_acknowledgement(busy), Err(NotStored::GateBusy));
        let full = br#"{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}"#;
        assert!(matches!(read_acknowledgement(full), Err(NotStored::Failed { code: 10_077, .. })));
        for not_one in [&b""[..], b"{}", br#"{"stream":"S"}"#, br#"{"seq":0}"#] {
            assert!(matches!(read_acknowledgement(not_one), Err(NotStored::Unknown(_))));
        }
    }
}
