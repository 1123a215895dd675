//! Pieces that pages are made of.

use chrono::{DateTime, Utc};
use maud::{Markup, html};
use schemas::money::Nanocredits;

use super::show;

/// A moment, for people and for programs.
pub(super) fn time(time: DateTime<Utc>) -> Markup {
    html! { time datetime=(show::machine_time(time)) { (show::time(time)) } }
}

/// A figure with what it means.
pub(super) fn figure(label: &str, value: &str, unit: &str, note: &Markup) -> Markup {
    html! {
        div.figure {
            dt { (label) }
            dd { span.value { (value) } @if !unit.is_empty() { " " span.unit { (unit) } } span.note { (note) } }
        }
    }
}

/// Something that is no number, with what it means.
pub(super) fn words(label: &str, value: &str, note: &Markup) -> Markup {
    html! {
        div.figure.words {
            dt { (label) }
            dd {
                // Ids of models may break after their provider.
                span.value { @for (index, part) in value.split('/').enumerate() { @if index > 0 { "/" wbr; } (part) } }
                span.note { (note) }
            }
        }
    }
}

/// Credits as a figure, with what they are in dollars.
pub(super) fn credits(label: &str, amount: Nanocredits) -> Markup {
    figure(label, &show::rounded(amount, 2), "credits", &html! { (show::dollars(amount)) })
}

/// How a request went.
pub(super) fn status(status: Option<&str>) -> Markup {
    let (class, text) = match status {
        Some("success") => ("good", "Success"),
        Some("error") => ("bad", "Error"),
        Some("cancelled") => ("fair", "Cancelled"),
        Some(other) => ("fair", other),
        None => ("fair", "No answer"),
    };
    html! { span.badge.(class) { (text) } }
}

/// Something that there is none of, and what would bring it here.
pub(super) fn nothing(title: &str, text: &Markup) -> Markup {
    html! { div.nothing { p.title { (title) } p { (text) } } }
}

/// The way to other pages of a list.
pub(super) fn pages(first: Option<String>, next: Option<String>) -> Markup {
    html! {
        @if first.is_some() || next.is_some() {
            nav.pages aria-label="Pages" {
                @if let Some(first) = first { a.button.quiet href=(first) { "Newest" } }
                @if let Some(next) = next { a.button href=(next) rel="next" { "Older" } }
            }
        }
    }
}

/// How far what is shown has been read.
pub(super) fn as_of(position: i64, time: Option<DateTime<Utc>>) -> Markup {
    html! {
        p.as-of {
            "As of position " (show::count(position))
            @if let Some(at) = time { ", recorded " (self::time(at)) }
        }
    }
}
