use std::str::FromStr;

use schemas::ids::AccountId;

use super::answer::Refusal;
use super::session::{Session, Who};
use crate::till::Caller;

/// Whether the operator's key opens the console at this port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operators(pub(super) bool);

/// Who looks: a session whose key stands.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) session: Session,
    /// Which account, for one of its keys; `None` for the operator.
    pub(super) caller: Option<Caller>,
    /// What the session's forms bring back.
    pub(super) token: String,
}

impl Visitor {
    pub(super) fn is_operator(&self) -> bool {
        self.session.who() == Who::Operator
    }

    /// The operator's pages are no pages to anybody else.
    pub(super) fn operator(&self) -> Result<(), Refusal> {
        if self.is_operator() { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// The account that a path names, if this visitor may see it. Another account looks like one that does not exist.
    pub(super) fn account(&self, named: &str) -> Result<AccountId, Refusal> {
        let named = AccountId::from_str(named).map_err(|_| Refusal::NotFound)?;
        match &self.caller {
            None => self.operator().map(|()| named),
            Some(caller) if caller.account_id == named => Ok(named),
            Some(_) => Err(Refusal::NotFound),
        }
    }
}
