//! The style and the icon: files in the program, under names that change with them, so that browsers keep them for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::answer::{HEADERS, Refusal};

/// A file as it is served.
pub(super) struct Asset {
    /// `style-1f2e3d4c5b6a7988.css`.
    name: String,
    kind: &'static str,
    bytes: &'static str,
}

pub(super) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", "text/css; charset=utf-8", include_str!("style.css")));
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg")));

impl Asset {
    fn new(stem: &str, ending: &str, kind: &'static str, bytes: &'static str) -> Self {
        let hash: String = Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}-{hash}.{ending}"), kind, bytes }
    }

    pub(super) fn path(&self) -> String {
        format!("{}/assets/{}", super::PATH, self.name)
    }
}

/// `GET /console/assets/{name}`.
pub(super) async fn show(Path(name): Path<String>) -> Response {
    let found = [&*STYLE, &*ICON].into_iter().find(|asset| asset.name == name);
    let Some(asset) = found else { return Refusal::NotFound.into_response() };
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    let cache = (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    (StatusCode::OK, [kind, cache], HEADERS, asset.bytes).into_response()
}
