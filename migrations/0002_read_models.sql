-- Read models: rows built from the events, which can be dropped and built again. Nothing but the projector writes them.
--
-- schema       holds                                             who sees it
-- projector    checkpoints, quarantine, and the functions below  the projector
-- read_models  the tables, each split by projection version      the projector
-- public       views of the version that is live                 gateway, ledger, analysts
--
-- A rebuild writes a new version beside the live one, into partitions of its own. Which version is live is one row, which
-- the views read: a swap is an update of that row, takes no lock that a reader could meet, and is seen by each statement
-- as a whole or not at all. All queries name the same tables whatever the version, so they are checked at compile time.

create schema projector;
create schema read_models;

create table projector.projection (
    name text not null default 'read_models',
    version integer not null check (version >= 1),
    -- The last event whose rows are there. Moved in the transaction that wrote them.
    position bigint not null default 0 check (position >= 0),
    -- When the ledger recorded that event.
    as_of timestamptz,
    live boolean not null default false,
    started_at timestamptz not null default now(),
    primary key (name, version)
);
comment on table projector.projection is 'Each version of the read models, and how far it has read the log.';
-- Not an optimisation: at most one version is live.
create unique index projection_live on projector.projection (name) where live;

-- No number is used twice, also where checkpoints were deleted by hand.
create sequence projector.version_numbers as integer;

create table projector.projection_quarantine (
    version integer not null,
    position bigint not null,
    error text not null,
    quarantined_at timestamptz not null default now(),
    primary key (version, position)
);
comment on table projector.projection_quarantine is 'Events that could not be projected. They were passed over, loudly; a rebuild stops at them.';

-- One row a request, from its first event on; analysts see it once it has ended. Facts that several events tell are those
-- of the usage, else of the authorization, else of the release, whichever order they came in.
create table read_models.requests (
    version integer not null,
    request_id uuid not null,
    -- The time inside the UUIDv7 request_id, so that everything about a request meets in one partition.
    created_at timestamptz not null,
    account_id uuid not null,
    livemode boolean not null,
    -- The three slots, as the fold needs them.
    hold_credits numeric(20, 9),
    hold_counts boolean,
    rated_credits numeric(20, 9),
    ending text check (ending in ('deducted', 'released', 'expired')),
    charged_credits numeric(20, 9),
    -- The ending took effect.
    ended boolean not null,
    api_key_id uuid,
    model_id text,
    served_model_id text,
    provider text,
    upstream text,
    request_type text,
    streamed boolean,
    price_version integer,
    input_tokens bigint not null,
    cached_tokens bigint not null,
    cache_write_tokens bigint not null,
    output_tokens bigint not null,
    reasoning_tokens bigint not null,
    images bigint not null,
    searches bigint not null,
    cost_usd numeric(20, 12) not null,
    usage_source text check (usage_source in ('provider', 'estimated')),
    provider_request_id text,
    latency_ms bigint,
    ttft_ms bigint,
    status text check (status in ('success', 'error', 'cancelled')),
    error_message text,
    finished_at timestamptz,
    position bigint not null,
    -- The id leads: a batch looks its requests up by id, and people do so without the time.
    primary key (request_id, created_at, version),
    constraint requests_charge_within_hold check (charged_credits <= hold_credits)
) partition by list (version);
-- "What did this account do lately" is what the API and support ask. No other index: each costs every request a write.
create index requests_account on read_models.requests (account_id, created_at);

create table read_models.credit_balances (
    version integer not null,
    account_id uuid not null,
    tier text not null,
    livemode boolean not null,
    bought numeric(20, 9) not null default 0,
    charged numeric(20, 9) not null default 0,
    held numeric(20, 9) not null default 0,
    -- Borne by the platform: for the operator, never for the customer.
    lost numeric(20, 9) not null default 0,
    position bigint not null,
    updated_at timestamptz not null,
    primary key (account_id, version)
) partition by list (version);

create table read_models.credit_transactions (
    version integer not null,
    position bigint not null,
    account_id uuid not null,
    request_id uuid,
    kind text not null check (kind in ('top_up', 'adjustment')),
    amount numeric(20, 9) not null,
    reference text not null,
    made_by text not null,
    reason text not null,
    livemode boolean not null,
    created_at timestamptz not null,
    primary key (position, version)
) partition by list (version);
-- An account's statement, newest first.
create index credit_transactions_account on read_models.credit_transactions (account_id, position);

create table read_models.api_keys (
    version integer not null,
    id uuid not null,
    account_id uuid not null,
    key_hash text not null,
    key_prefix text not null,
    name text not null,
    is_active boolean not null,
    expires_at timestamptz,
    last_used_at timestamptz,
    created_at timestamptz not null,
    primary key (id, version)
) partition by list (version);
-- The list of an account's keys.
create index api_keys_account on read_models.api_keys (account_id);

create table read_models.usage_daily (
    version integer not null,
    account_id uuid not null,
    day date not null,
    model_id text not null,
    provider text not null,
    livemode boolean not null,
    requests bigint not null,
    failed bigint not null,
    cancelled bigint not null,
    input_tokens bigint not null,
    cached_tokens bigint not null,
    cache_write_tokens bigint not null,
    output_tokens bigint not null,
    reasoning_tokens bigint not null,
    images bigint not null,
    credits_used numeric(24, 9) not null,
    cost_usd numeric(24, 12) not null,
    primary key (account_id, day, model_id, provider, version)
) partition by list (version);
-- Reports over all accounts ask for a range of days.
create index usage_daily_day on read_models.usage_daily (day);

-- Lives of gateways that are over: what they authorize later holds nothing.
create table read_models.fenced_gateways (
    version integer not null,
    gateway uuid not null,
    position bigint not null,
    primary key (gateway, version)
) partition by list (version);

-- Prices by which usages are rated.
create table read_models.price_books (
    version integer not null,
    price_version integer not null,
    position bigint not null,
    book jsonb not null,
    primary key (price_version, version)
) partition by list (version);

-- The functions below do the few things that need the tables' owner: partitions come and go. They run with its rights, so
-- that the projector itself owns nothing and can drop nothing else.

create function projector.tables() returns text[] language sql immutable set search_path = pg_catalog, pg_temp
return array['requests', 'credit_balances', 'credit_transactions', 'api_keys', 'usage_daily', 'fenced_gateways', 'price_books'];

-- Adds the months of `requests` that are missing between two times; gives how many it added.
--
-- A month is attached as a finished table: that locks no reader out but from the default partition, which is empty unless a
-- request was made outside of all months. The caller sets lock_timeout, so that a long query on it holds up nobody.
create function projector.ensure_months(of_version integer, since timestamptz, until timestamptz) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    parent text := format('requests_%s', of_version);
    month timestamptz;
    last_month timestamptz := date_trunc('month', until at time zone 'UTC') at time zone 'UTC';
    month_table text;
    added integer := 0;
begin
    month := date_trunc('month', since at time zone 'UTC') at time zone 'UTC';
    if last_month > month + interval '20 years' then
        raise exception 'the months from % to % are too many', since, until;
    end if;
    while month <= last_month loop
        month_table := parent || to_char(month at time zone 'UTC', '_YYYY_MM');
        if to_regclass('read_models.' || month_table) is null then
            begin
                execute format('create table read_models.%I (like read_models.%I including all) with (fillfactor = 85)', month_table, parent);
                execute format('alter table read_models.%I attach partition read_models.%I for values from (%L) to (%L)',
                    parent, month_table, month, (month at time zone 'UTC' + interval '1 month') at time zone 'UTC');
                added := added + 1;
            exception
                -- Requests of that month are in the default partition already. They stay there, correct and slower to find.
                when check_violation then raise warning 'read_models.% keeps requests of %', parent || '_other', month;
            end;
        end if;
        month := (month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
    end loop;
    return added;
end
$$;

-- A new version, empty: the next number, with partitions of all tables. They are finished before they are attached, which
-- locks no reader out.
create function projector.create_version(since timestamptz, until timestamptz) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    new_version integer;
    table_name text;
    part text;
begin
    new_version := nextval('projector.version_numbers');
    foreach table_name in array projector.tables() loop
        part := format('%s_%s', table_name, new_version);
        if table_name = 'requests' then
            execute format('create table read_models.%I (like read_models.requests including all) partition by range (created_at)', part);
            execute format('create table read_models.%I partition of read_models.%I default', part || '_other', part);
            perform projector.ensure_months(new_version, since, until);
        else
            -- Rows of balances and days are updated again and again: room in the page keeps that off the indexes.
            execute format('create table read_models.%I (like read_models.%I including all) with (fillfactor = %s)', part, table_name,
                case when table_name in ('credit_balances', 'usage_daily', 'api_keys') then 70 else 100 end);
        end if;
        execute format('alter table read_models.%I attach partition read_models.%I for values in (%s)', table_name, part, new_version);
    end loop;
    insert into projector.projection (version) values (new_version);
    return new_version;
end
$$;

-- Versions that are there and not live: what a killed rebuild left, or what could not be dropped while it was read.
create function projector.leftover_versions() returns setof integer
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select p.version from projector.projection p where not p.live
    union
    select substring(c.relname from '_(\d+)$')::integer
    from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class parent on parent.oid = i.inhparent
    where parent.relnamespace = 'read_models'::regnamespace and parent.relname = any (projector.tables())
    except
    select p.version from projector.projection p where p.live
$$;

-- Drops one table's rows of a version that is not live. Waits for its readers, so the caller sets lock_timeout.
create function projector.drop_table_of_version(of_version integer, table_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from projector.projection where version = of_version and live) then
        raise exception 'version % is live', of_version;
    end if;
    if not table_name = any (projector.tables()) then
        raise exception '% is no read model', table_name;
    end if;
    execute format('drop table if exists read_models.%I', format('%s_%s', table_name, of_version));
end
$$;

-- Fresh statistics, before readers come.
create function projector.analyze_version(of_version integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    table_name text;
begin
    foreach table_name in array projector.tables() loop
        execute format('analyze read_models.%I', format('%s_%s', table_name, of_version));
    end loop;
end
$$;

-- Row count and checksum of each table of a version. The checksum is a sum over rows, so their order does not matter; the
-- version itself is left out, so two versions with the same rows have the same checksums. (The projector's sessions do
-- without sequential scans; here one is right.)
create function projector.checksums(of_version integer) returns table (table_name text, row_count bigint, checksum numeric)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = on as $$
declare
    columns text;
begin
    foreach table_name in array projector.tables() loop
        select string_agg(quote_ident(attname), ', ' order by attname) into columns from pg_attribute
            where attrelid = format('read_models.%I', table_name)::regclass and attnum > 0 and not attisdropped and attname <> 'version';
        return query execute format(
            'select %L, count(*), coalesce(sum(hash_record_extended(row(%s), 0)), 0)::numeric from read_models.%I where version = $1',
            table_name, columns, table_name) using of_version;
    end loop;
end
$$;

do $$
begin
    perform projector.create_version(now(), now() + interval '3 months');
    update projector.projection set live = true where version = 1;
end
$$;

revoke execute on all functions in schema projector from public;
grant usage on schema projector, read_models to layers_projector;
grant execute on all functions in schema projector to layers_projector;
grant select, insert, update, delete on projector.projection, projector.projection_quarantine to layers_projector;
grant select, insert, update, delete on read_models.requests, read_models.credit_balances, read_models.credit_transactions,
    read_models.api_keys, read_models.usage_daily, read_models.fenced_gateways, read_models.price_books to layers_projector;
