use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use schemas::ids::AccountId;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

/// Feeds of one account on one gateway.
const MOST_AN_ACCOUNT: usize = 8;
/// Feeds of all accounts on one gateway: each looks into the database when something happens.
const MOST: usize = 1_000;

/// The feeds of this gateway.
pub(crate) struct Feeds {
    pub(super) pool: PgPool,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_account: HashMap<AccountId, usize>,
}

/// A feed's place; dropped with it.
pub(super) struct Place {
    account: AccountId,
    open: Arc<Mutex<Open>>,
}

impl Feeds {
    /// A pool that connects when it is first asked. Its own, so that feeds hold up nobody who asks for their credits.
    pub(crate) fn open(database_url: &str) -> anyhow::Result<Self> {
        const CONNECTIONS: u32 = 4;
        const PATIENCE: Duration = Duration::from_secs(5);
        let options = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        Ok(Self { pool: options.connect_lazy(database_url)?, open: Arc::default() })
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open.lock().all
    }

    /// A place for one more of this account, if there is one.
    pub(super) fn take(&self, account: AccountId) -> Option<Place> {
        Place::take(&self.open, account)
    }
}

impl Place {
    fn take(open: &Arc<Mutex<Open>>, account: AccountId) -> Option<Self> {
        let mut places = open.lock();
        let own = places.by_account.get(&account).copied().unwrap_or(0);
        if own >= MOST_AN_ACCOUNT || places.all >= MOST {
            return None;
        }
        places.by_account.insert(account, own + 1);
        places.all += 1;
        Some(Self { account, open: open.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.open.lock();
        places.all -= 1;
        if let Some(own) = places.by_account.get_mut(&self.account) {
            *own -= 1;
            if *own == 0 {
                places.by_account.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_account_has_so_many_places_and_a_gateway_too() {
        let open = Arc::default();
        let account = |number: u128| AccountId(Uuid::from_u128(number));
        let mut first: Vec<_> = (0..MOST_AN_ACCOUNT).map(|_| Place::take(&open, account(1)).unwrap()).collect();
        assert!(Place::take(&open, account(1)).is_none());
        first.pop();
        first.push(Place::take(&open, account(1)).unwrap());
        let others: Vec<_> = (2..).map_while(|number| Place::take(&open, account(number))).collect();
        assert_eq!(first.len() + others.len(), MOST);
        drop((first, others));
        let open = open.lock();
        assert_eq!((open.all, open.by_account.len()), (0, 0));
    }
}
