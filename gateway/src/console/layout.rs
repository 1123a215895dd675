//! What is round every page: head, skip link, navigation, footer.

use maud::{DOCTYPE, Markup, html};
use schemas::ids::AccountId;

use super::asset::{ICON, STYLE};
use super::visitor::Visitor;
use super::{PATH, form};

/// Where a page belongs in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Overview(AccountId),
    Requests(AccountId),
    Credits(AccountId),
    Keys(AccountId),
    Accounts,
    AllRequests,
    Operations,
    Nowhere,
}

impl Place {
    /// The account that the page is about.
    fn account(self) -> Option<AccountId> {
        match self {
            Self::Overview(account) | Self::Requests(account) | Self::Credits(account) | Self::Keys(account) => {
                Some(account)
            }
            _ => None,
        }
    }

    pub(super) fn path(self) -> String {
        match self {
            Self::Overview(account) => format!("{PATH}/accounts/{account}"),
            Self::Requests(account) => format!("{PATH}/accounts/{account}/requests"),
            Self::Credits(account) => format!("{PATH}/accounts/{account}/credits"),
            Self::Keys(account) => format!("{PATH}/accounts/{account}/keys"),
            Self::Accounts => format!("{PATH}/accounts"),
            Self::AllRequests => format!("{PATH}/requests"),
            Self::Operations => format!("{PATH}/operations"),
            Self::Nowhere => PATH.to_owned(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Overview(_) => "Overview",
            Self::Requests(_) => "Requests",
            Self::Credits(_) => "Top-ups",
            Self::Keys(_) => "Keys",
            Self::Accounts => "Accounts",
            Self::AllRequests => "All requests",
            Self::Operations => "Operations",
            Self::Nowhere => "",
        }
    }
}

/// A page of somebody who has signed in.
pub(super) fn page(visitor: &Visitor, place: Place, title: &str, content: Markup) -> Markup {
    shell(Some(visitor), place, title, content)
}

/// A page in place of the one that was asked for.
pub(super) fn refusal(visitor: Option<&Visitor>, title: &str, text: &str) -> Markup {
    let content = html! {
        div.card.message role="alert" {
            h1 { (title) }
            p { (text) }
            p { a href=(PATH) { "To the console" } }
        }
    };
    shell(visitor, Place::Nowhere, title, content)
}

/// The page of the sign-in.
pub(super) fn outside(title: &str, content: Markup) -> Markup {
    shell(None, Place::Nowhere, title, content)
}

fn shell(visitor: Option<&Visitor>, place: Place, title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · Layers" }
                link rel="stylesheet" href=(STYLE.path());
                link rel="icon" type="image/svg+xml" href=(ICON.path());
            }
            body {
                a.skip href="#content" { "Skip to content" }
                header.top {
                    div.bar {
                        a.brand href=(PATH) {
                            img src=(ICON.path()) alt="" width="28" height="28";
                            span { "Layers" }
                        }
                        @if let Some(visitor) = visitor { (session(visitor)) }
                    }
                    @if let Some(visitor) = visitor { (navigation(visitor, place)) }
                }
                main id="content" tabindex="-1" { (content) }
                footer.foot { p { "Times are UTC. 1 credit is US$ 0.01." } }
            }
        }
    }
}

fn session(visitor: &Visitor) -> Markup {
    html! {
        div.session {
            span.who {
                @match &visitor.caller {
                    None => { "Operator" },
                    Some(caller) if caller.livemode => { "Tier " (caller.tier.name()) },
                    Some(_) => { "Sandbox" },
                }
            }
            form method="post" action={ (PATH) "/sign-out" } {
                input type="hidden" name=(form::TOKEN) value=(visitor.token);
                button.quiet type="submit" { "Sign out" }
            }
        }
    }
}

fn navigation(visitor: &Visitor, place: Place) -> Markup {
    let own = visitor.caller.as_ref().map(|caller| caller.account_id);
    let of =
        |account| [Place::Overview(account), Place::Requests(account), Place::Credits(account), Place::Keys(account)];
    let link = |to: Place| {
        html! { li { a href=(to.path()) aria-current=[(to == place).then_some("page")] { (to.name()) } } }
    };
    html! {
        @if visitor.is_operator() {
            nav.tabs aria-label="Console" {
                ul { @for to in [Place::Accounts, Place::AllRequests, Place::Operations] { (link(to)) } }
            }
        }
        @if let Some(account) = own.or(place.account()) {
            nav.tabs.inner aria-label="Account" {
                @if visitor.is_operator() { p.scope { "Account " code { (account) } } }
                ul { @for to in of(account) { (link(to)) } }
            }
        }
    }
}
