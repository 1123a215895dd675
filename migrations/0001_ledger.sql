-- The source of truth. Nothing but the ledger writes here, and nothing ever changes an event.

do $$
declare
    role_name text;
begin
    foreach role_name in array array['layers_ledger', 'layers_projector', 'layers_gateway', 'layers_analyst'] loop
        begin
            execute format('create role %I login', role_name);
        exception
            -- Roles belong to the whole server: another database of it, or a program that starts at the same time, made it.
            when duplicate_object or unique_violation then null;
        end;
    end loop;
end
$$;

create schema ledger;

create table ledger.events (
    position bigint primary key check (position >= 1),
    event_id uuid not null unique,
    event_type text not null,
    account_id uuid,
    request_id uuid,
    emitter uuid not null,
    seq bigint not null check (seq >= 1),
    recorded_at timestamptz not null default now(),
    -- The event's own bytes, as they were published: UTF-8 JSON.
    event bytea not null,
    -- "Once" is this pair; a second event under it cannot be appended.
    unique (emitter, seq)
);
comment on table ledger.events is 'The books: every movement of a credit, in one order, for ever. Append-only.';
-- Replaying one account reads its events and no others.
create index events_account on ledger.events (account_id, position);
-- A receipt or a support question asks for one request.
create index events_request on ledger.events (request_id) where request_id is not null;

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'ledger.events is append-only: % is refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
create trigger events_append_only before update or delete on ledger.events
    for each row execute function ledger.refuse_change();
create trigger events_no_truncate before truncate on ledger.events
    for each statement execute function ledger.refuse_change();

-- One row: where the log ends, who may write it, and how far the stream was read.
create table ledger.head (
    only_row boolean primary key default true check (only_row),
    position bigint not null default 0,
    epoch bigint not null default 0,
    generation bigint not null default 0,
    -- Stream sequence that was applied last; 0 until the generation's first message was.
    stream_seq bigint not null default 0,
    -- SHA-256 of subject and payload of the message at stream_seq: by it the stream is known again.
    stream_anchor bytea
);
insert into ledger.head default values;

create table ledger.accounts (
    account_id uuid primary key,
    livemode boolean not null,
    tier text not null,
    counterpart uuid not null,
    reference text unique,
    -- Nanocredits.
    bought bigint not null,
    unleased bigint not null check (unleased >= 0),
    leased bigint not null check (leased >= 0),
    held bigint not null check (held >= 0),
    charged bigint not null check (charged >= 0),
    lost bigint not null check (lost >= 0),
    constraint accounts_solvent check (bought = unleased + leased + held + charged)
);
comment on table ledger.accounts is 'Each account''s money in nanocredits. Derived from the events; that it adds up is a constraint.';

create table ledger.leases (
    gateway uuid not null,
    account_id uuid not null references ledger.accounts,
    granted bigint not null,
    returned bigint not null check (returned >= 0),
    charged bigint not null check (charged >= 0),
    held bigint not null check (held >= 0),
    closed boolean not null,
    primary key (gateway, account_id),
    constraint leases_covered check (closed or granted >= returned + charged + held)
);
-- A recall asks which gateways hold credits of one account.
create index leases_open on ledger.leases (account_id) where not closed;
comment on table ledger.leases is 'Credits set aside for one life of a gateway, as totals in nanocredits. Derived.';

create table ledger.holds (
    request_id uuid primary key,
    account_id uuid not null references ledger.accounts,
    gateway uuid,
    authorized_at bigint,
    authorized_time timestamptz,
    hold bigint,
    counts boolean,
    usage bigint,
    ending text check (ending in ('deducted', 'released', 'expired')),
    claimed bigint,
    charged bigint,
    constraint holds_cover_charges check (charged <= hold),
    constraint holds_claim check ((ending = 'deducted') = (claimed is not null))
);
comment on table ledger.holds is 'The three slots of each request: authorization, usage, ending; amounts in nanocredits. Derived.';
-- Open holds are few; the search for those to expire and the age metric read only them.
create index holds_open on ledger.holds (gateway, authorized_time)
    where hold is not null and charged is null and (ending is null or ending = 'deducted');

create table ledger.emitters (
    emitter uuid primary key,
    seen int8multirange not null,
    never int8multirange not null,
    fenced boolean not null
);
comment on table ledger.emitters is 'Which sequence numbers of each life are appended, or named as not coming. Derived.';

create table ledger.keys (
    api_key_id uuid primary key,
    account_id uuid not null references ledger.accounts,
    key_hash bytea not null unique,
    key_prefix text not null,
    name text not null,
    expires_at timestamptz,
    revoked boolean not null,
    created_at timestamptz not null
);
comment on table ledger.keys is 'API keys, by the SHA-256 of their secret. Derived.';

create table ledger.refs (
    account_id uuid not null references ledger.accounts,
    reference text not null,
    position bigint not null,
    amount bigint not null,
    primary key (account_id, reference)
);
comment on table ledger.refs is 'References under which credits were added or adjusted: the same one moves nothing twice. Derived.';

create table ledger.price_books (
    version integer primary key,
    position bigint not null,
    book json not null
);
comment on table ledger.price_books is 'Every version of the prices. Derived.';

-- What the ledger knows of gateways' lives beside the events: gates and fences in progress.
create table ledger.lives (
    gateway uuid primary key,
    process uuid not null,
    generation bigint not null,
    gates bigint[] not null,
    state text not null check (state in ('open', 'fencing', 'fenced')),
    -- Bit k: the closing of gate k was read back.
    closed_gates bigint not null default 0,
    registered_at timestamptz not null default now()
);
create index lives_not_over on ledger.lives (gateway) where state <> 'fenced';

create table ledger.quarantine (
    id bigint generated always as identity primary key,
    received_at timestamptz not null default now(),
    generation bigint not null,
    stream_seq bigint not null,
    subject text not null,
    emitter uuid,
    seq bigint,
    reason text not null,
    message bytea not null
);
comment on table ledger.quarantine is 'Messages that are no events that can be true, with their bytes. They hold nothing back and are never dropped.';
create index quarantine_emitter on ledger.quarantine (emitter, seq);

-- What was odd about events that were applied all the same.
create table ledger.notes (
    position bigint not null,
    note text not null,
    primary key (position, note)
);

grant usage on schema ledger to layers_ledger, layers_projector;
grant select, insert on all tables in schema ledger to layers_ledger;
grant update on ledger.head, ledger.accounts, ledger.leases, ledger.holds, ledger.emitters, ledger.keys, ledger.lives
    to layers_ledger;
grant select on ledger.events, ledger.head to layers_projector;
