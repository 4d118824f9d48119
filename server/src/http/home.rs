//! `/`: what is here.

use axum::response::Html;

/// A short page for who opens the server in a browser.
pub(super) async fn home() -> Html<&'static str> {
    Html(include_str!("home.html"))
}
