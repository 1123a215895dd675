-- An operator looks through the keys of one account, page by page in the order in which they were issued.
create index keys_account on ledger.keys (account_id, api_key_id);

-- What a key may do beside what its account may. Nulls are what old keys have: nothing is restricted.
alter table ledger.keys add column models text[], add column cap bigint, add column cap_period text,
    add constraint keys_cap check ((cap is null) = (cap_period is null) and cap > 0),
    add constraint keys_cap_period check (cap_period in ('day', 'month', 'total'));
comment on column ledger.keys.cap is 'The most that the key may spend in a period, nanocredits.';

-- Where a request of a key with a cap is counted.
alter table ledger.holds add column capped_key uuid, add column capped_from date,
    add constraint holds_capped check ((capped_key is null) = (capped_from is null));

create table ledger.key_spending (
    api_key_id uuid not null references ledger.keys,
    -- The first day of the period, UTC.
    period_from date not null,
    held bigint not null check (held >= 0),
    charged bigint not null check (charged >= 0),
    primary key (api_key_id, period_from)
);
comment on table ledger.key_spending is 'What keys with a cap have in open holds and have spent, by period, in nanocredits. Derived.';

-- Room below a cap that was promised to a request whose authorization was not read yet. Kept beside the events, as lives are:
-- a ledger that takes over must know of them.
create table ledger.key_reservations (
    request_id uuid primary key,
    api_key_id uuid not null references ledger.keys,
    gateway uuid not null,
    amount bigint not null check (amount >= 0)
);

grant select, insert on ledger.key_spending, ledger.key_reservations to layers_ledger;
grant update on ledger.key_spending to layers_ledger;
grant delete on ledger.key_reservations to layers_ledger;
