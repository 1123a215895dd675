-- The journal: each event that moves money is one balanced posting, and what its account had after it. By it an account's
-- credits as of any position are one look into an index, and analysts sum up what was earned, held and owed.
--
-- A row of the table is a whole posting, in the smallest units and with null for "nothing", which takes no room; the view
-- public.journal unfolds it into debit and credit. docs/decisions/0009-journal.md argues for it.

create table read_models.journal (
    version integer not null,
    account_id uuid not null,
    position bigint not null,
    recorded_at timestamptz not null,
    request_id uuid,
    livemode boolean not null,
    entry text not null,
    -- What the event moved: nanocredits, and picodollars of the provider's cost.
    added bigint,
    adjusted bigint,
    held bigint,
    charged bigint,
    lost bigint,
    cost bigint,
    -- What the account had after it, nanocredits.
    balance_after bigint not null,
    held_after bigint not null,
    -- The account leads: "as of a position" is one step back from there. It is also how a statement is read.
    primary key (account_id, position, version)
) partition by list (version);
-- Rows come in the order of positions, so ranges of pages are enough to find a range of them, and cost a writer nothing.
create index journal_position on read_models.journal using brin (position);

create or replace function projector.tables() returns text[] language sql immutable set search_path = pg_catalog, pg_temp
return array['requests', 'credit_balances', 'credit_transactions', 'api_keys', 'usage_daily', 'fenced_gateways', 'price_books',
    'journal'];

-- The projector that takes a version over says from where on it keeps the journal: a version that has read events before
-- has an incomplete one, until it is built again.
alter table projector.projection add column history_from bigint check (history_from >= 1);

do $$
declare
    part text;
    of_version integer;
begin
    for of_version in select version from projector.projection loop
        part := format('journal_%s', of_version);
        execute format('create table read_models.%I (like read_models.journal including all)', part);
        execute format('alter table read_models.journal attach partition read_models.%I for values in (%s)', part, of_version);
    end loop;
end
$$;

grant select, insert, update, delete on read_models.journal to layers_projector;

create or replace view public.projection as
select p.name, p.version, p.position, p.as_of, p.history_from
from projector.projection p
where p.live;
comment on column public.projection.history_from is 'Journal and credit_history are complete from this position on: 1, or after an upgrade the first one that was read since; a rebuild makes it 1. Null: no journal is kept yet.';

create view public.journal as
select j.position, l.line, j.recorded_at, j.entry, j.account_id, j.request_id, j.livemode, l.ledger_account, l.currency,
    greatest(l.amount, 0) as debit, greatest(-l.amount, 0) as credit
from read_models.journal j
cross join lateral (values
    (1, 'cash', 'credits', j.added * 0.000000001),
    (2, 'customer_available', 'credits',
        (coalesce(j.held, 0) + coalesce(j.charged, 0) - coalesce(j.added, 0) - coalesce(j.adjusted, 0)) * 0.000000001),
    (3, 'customer_held', 'credits', -j.held * 0.000000001),
    (4, 'revenue', 'credits', -j.charged * 0.000000001),
    (5, 'adjustments', 'credits', j.adjusted * 0.000000001),
    (6, 'platform_loss', 'credits', j.lost * 0.000000001),
    (7, 'usage_not_charged', 'credits', -j.lost * 0.000000001),
    (8, 'cost_of_sales', 'usd', j.cost * 0.000000000001),
    (9, 'provider_payable', 'usd', -j.cost * 0.000000000001)
) as l(line, ledger_account, currency, amount)
where l.amount <> 0
    and j.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on view public.journal is 'Double entry: each event that moves money is some lines here that sum to zero in each currency. Ask for an account_id or a range of position where you can. Live and sandbox are books of their own.';
comment on column public.journal.position is 'Position of the event in the ledger.';
comment on column public.journal.line is 'Which line of its posting; with position, it names a row.';
comment on column public.journal.recorded_at is 'When the ledger recorded that event.';
comment on column public.journal.entry is 'What happened: top_up, adjustment, hold, usage, charge, release or expiry.';
comment on column public.journal.account_id is 'Whose credits moved.';
comment on column public.journal.request_id is 'The request that it belongs to, if it does.';
comment on column public.journal.livemode is 'False for a sandbox account.';
comment on column public.journal.ledger_account is 'cash: paid for credits. customer_available, customer_held: owed to customers. revenue: charged. adjustments: given by correction. platform_loss, usage_not_charged: what usage was worth that nobody paid. cost_of_sales, provider_payable: billed by providers.';
comment on column public.journal.currency is 'credits, or usd. Never sum over both.';
comment on column public.journal.debit is 'Amount in that currency; zero on the credit side.';
comment on column public.journal.credit is 'Amount in that currency; zero on the debit side.';

create view public.credit_history as
select j.account_id, j.position, j.recorded_at, j.entry, j.request_id,
    j.balance_after * 0.000000001 as balance,
    j.held_after * 0.000000001 as held,
    (j.balance_after - j.held_after) * 0.000000001 as available,
    j.livemode
from read_models.journal j
where j.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on view public.credit_history is 'What each account had after each event that moved its money. As of a position: the last row up to there.';
comment on column public.credit_history.account_id is 'Whose.';
comment on column public.credit_history.position is 'Position of the event in the ledger.';
comment on column public.credit_history.recorded_at is 'When the ledger recorded that event.';
comment on column public.credit_history.entry is 'What happened: opening, top_up, adjustment, hold, usage, charge, release or expiry.';
comment on column public.credit_history.request_id is 'The request that it belongs to, if it does.';
comment on column public.credit_history.balance is 'Posted after it: bought less charged, credits.';
comment on column public.credit_history.held is 'Set aside for running requests after it, credits.';
comment on column public.credit_history.available is 'What could still be spent after it, credits.';
comment on column public.credit_history.livemode is 'False for a sandbox account.';

grant select on public.journal, public.credit_history to layers_gateway, layers_ledger, layers_projector, layers_analyst;

-- The last event that was recorded up to a time: 0 if there is none; null as long as an event may still come that will have
-- been recorded by then. An event's recorded_at is the time at which its append began, and never earlier than that of the
-- event before it, so some thirty looks into the primary key find it in a log of any length.
--
-- Nothing more comes once a later event is there. At the end of the log, something may: if the time is within the last
-- second, or an append runs that began before it (its session is called ledger-append; what begins later is recorded later).
-- Each statement here sees what was committed before it, so an append that is not found running any more is found in the log.
create function public.position_at(at timestamptz) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
    low bigint := 0;
    high bigint;
    middle bigint;
    last_recorded timestamptz;
begin
    select h.position, e.recorded_at into high, last_recorded
        from ledger.head h left join ledger.events e on e.position = h.position;
    if last_recorded is null or last_recorded <= at then
        if at > clock_timestamp() - interval '1 second' or exists (
            select from pg_stat_activity
            where datname = current_database() and application_name = 'ledger-append' and xact_start <= at
        ) then
            return null;
        end if;
        select h.position into high from ledger.head h;
    end if;
    while low < high loop
        middle := (low + high + 1) / 2;
        if (select e.recorded_at <= at from ledger.events e where e.position = middle) then
            low := middle;
        else
            high := middle - 1;
        end if;
    end loop;
    return low;
end
$$;
comment on function public.position_at is 'The last position that was recorded up to a time; null as long as that may still change.';

-- When the event at a position was recorded; null where there is none.
create function public.recorded_at(at_position bigint) returns timestamptz
language sql stable security definer set search_path = pg_catalog, pg_temp
return (select e.recorded_at from ledger.events e where e.position = at_position);
comment on function public.recorded_at is 'When the event at a position was recorded.';

revoke execute on function public.position_at, public.recorded_at from public;
grant execute on function public.position_at, public.recorded_at
    to layers_gateway, layers_ledger, layers_projector, layers_analyst;
