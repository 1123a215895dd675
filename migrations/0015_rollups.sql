-- Usage summed up in more ways, prices and lifetime sums as tables, months that are retired, and what one account may see.
--
-- | table | a row is | for |
-- |---|---|---|
-- | usage_by_day | account, day, key, model, provider | accounts and keys by day; the view usage_daily |
-- | usage_hourly | the same by hour; split by month, the oldest of which can be dropped | what happened today |
-- | usage_monthly | account, month, model, provider | rankings of accounts, months compared |
-- | model_daily | day, model, provider | all that is asked over all accounts |
-- | latency_daily | day, model, provider, and how slow, in steps of 6 % or less | percentiles, over any days and models |
--
-- The release before goes on beside it: its projector writes usage_daily and knows nothing of these tables. So a version says
-- up to where they hold (`rollups_position`). Where that is not where the version is, the views do not show them: usage_daily is
-- then what that projector wrote, the new views are empty. The projector of this release fills them from `requests` when it
-- takes the version over, in one transaction, before it reads on. (docs/decisions/0015-rollups.md)

alter table projector.projection add column rollups_position bigint;
comment on column projector.projection.rollups_position is 'The rollups hold up to here: the position, unless an older projector has moved it since.';

-- A day of a month's requests, of all accounts. They lie in the order in which they came, so ranges of pages are enough to find a
-- range of times, and cost a writer nothing.
create index requests_created on read_models.requests using brin (created_at) with (autosummarize = on);

-- Nil where a request was made without a key. The account leads: most ask for one account's days.
create table read_models.usage_by_day (
    version integer not null,
    account_id uuid not null,
    day date not null,
    api_key_id uuid not null,
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
    primary key (account_id, day, api_key_id, model_id, provider, version)
) partition by list (version);
-- Reports over all accounts ask for a range of days. Many rows have one day, so the index is small.
create index usage_by_day_day on read_models.usage_by_day (day);

create table read_models.usage_hourly (
    version integer not null,
    account_id uuid not null,
    hour timestamptz not null,
    api_key_id uuid not null,
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
    primary key (account_id, hour, api_key_id, model_id, provider, version)
) partition by list (version);
create index usage_hourly_hour on read_models.usage_hourly (hour);

create table read_models.usage_monthly (
    version integer not null,
    account_id uuid not null,
    month date not null,
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
    primary key (account_id, month, model_id, provider, version)
) partition by list (version);
-- Rankings of accounts read all rows of a month.
create index usage_monthly_month on read_models.usage_monthly (month);

-- The day leads: who asks for one model in a year reads some thousand rows.
create table read_models.model_daily (
    version integer not null,
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
    primary key (day, model_id, provider, livemode, version)
) partition by list (version);

-- How slow answers are, as counts that can be added up over any rows: a percentile of many days and models is exact but for the
-- width of a bucket. A bucket holds the times whose first five binary digits are the same, so up to 32 ms it is one millisecond wide
-- and above that 1/16 of its lower end or less: its middle is off by 1/32 (3.2 %) at most.
create table read_models.latency_daily (
    version integer not null,
    day date not null,
    measure text not null check (measure in ('latency', 'ttft')),
    model_id text not null,
    provider text not null,
    livemode boolean not null,
    from_ms bigint not null,
    below_ms bigint not null,
    requests bigint not null,
    primary key (day, measure, model_id, provider, livemode, from_ms, version)
) partition by list (version);

-- How many binary digits of a time are dropped by its bucket.
create function projector.latency_shift(ms bigint) returns integer language sql immutable parallel safe
return width_bucket(ms, array[
    32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 524288, 1048576, 2097152,
    4194304, 8388608, 16777216, 33554432, 67108864, 134217728, 268435456, 536870912, 1073741824, 2147483648,
    4294967296, 8589934592, 17179869184, 34359738368, 68719476736, 137438953472, 274877906944, 549755813888,
    1099511627776, 2199023255552, 4398046511104, 8796093022208, 17592186044416, 35184372088832, 70368744177664,
    140737488355328, 281474976710656, 562949953421312, 1125899906842624, 2251799813685248, 4503599627370496,
    9007199254740992, 18014398509481984, 36028797018963968, 72057594037927936, 144115188075855872, 288230376151711744,
    576460752303423488, 1152921504606846976, 2305843009213693952, 4611686018427387904]::bigint[]);

-- Months of which nothing is kept, by table: all before this time were dropped. What is told of their requests later is counted
-- in the sums that remain and in the journal, from the ledger's events, and makes no row again.
create table projector.kept_months (
    version integer not null,
    table_name text not null,
    since timestamptz not null,
    primary key (version, table_name)
);
comment on table projector.kept_months is 'From when on each table is kept; without a row, from the beginning.';

create or replace function projector.tables() returns text[] language sql immutable set search_path = pg_catalog, pg_temp
return array['requests', 'credit_balances', 'credit_transactions', 'api_keys', 'usage_daily', 'fenced_gateways', 'price_books',
    'journal', 'usage_by_day', 'usage_hourly', 'usage_monthly', 'model_daily', 'latency_daily'];

-- Those of them that are split by month, by which column.
create function projector.monthly_tables(out table_name text, out split_by text) returns setof record language sql immutable
set search_path = pg_catalog, pg_temp
as $$ values ('requests', 'created_at'), ('usage_hourly', 'hour') $$;

-- Adds the months of a table that are missing between two times; gives how many it added. A month is attached as a finished table
-- (0002). What was retired does not come back.
create function projector.ensure_months_of(of_table text, of_version integer, since timestamptz, until timestamptz) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    parent text := format('%s_%s', of_table, of_version);
    kept timestamptz := (select k.since from projector.kept_months k where k.version = of_version and k.table_name = of_table);
    month timestamptz := date_trunc('month', greatest(since, kept) at time zone 'UTC') at time zone 'UTC';
    last_month timestamptz := date_trunc('month', until at time zone 'UTC') at time zone 'UTC';
    month_table text;
    added integer := 0;
begin
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
                -- Rows of that month are in the default partition already. They stay there, correct and slower to find.
                when check_violation then raise warning 'read_models.% keeps rows of %', parent || '_other', month;
            end;
        end if;
        month := (month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
    end loop;
    return added;
end
$$;

-- The same for all tables that are split by month.
create or replace function projector.ensure_months(of_version integer, since timestamptz, until timestamptz) returns integer
language sql security definer set search_path = pg_catalog, pg_temp as $$
    select sum(projector.ensure_months_of(m.table_name, of_version, since, until))::integer from projector.monthly_tables() m
$$;

-- As before (0002), and what is noted of the table's months goes with it.
create or replace function projector.drop_table_of_version(of_version integer, table_name text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from projector.projection where version = of_version and live) then
        raise exception 'version % is live', of_version;
    end if;
    if not table_name = any (projector.tables()) then
        raise exception '% is no read model', table_name;
    end if;
    execute format('drop table if exists read_models.%I', format('%s_%s', table_name, of_version));
    delete from projector.kept_months k where k.version = of_version and k.table_name = drop_table_of_version.table_name;
end
$$;

-- One table's partition of a version: finished, then attached, which locks no reader out.
create function projector.add_partition(of_table text, of_version integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    part text := format('%s_%s', of_table, of_version);
    split_by text := (select m.split_by from projector.monthly_tables() m where m.table_name = of_table);
begin
    if split_by is not null then
        execute format('create table read_models.%I (like read_models.%I including all) partition by range (%I)', part, of_table, split_by);
        execute format('create table read_models.%I partition of read_models.%I default', part || '_other', part);
    else
        -- Rows of balances and days are updated again and again: room in the page keeps that off the indexes.
        execute format('create table read_models.%I (like read_models.%I including all) with (fillfactor = %s)', part, of_table,
            case when of_table in ('credit_balances', 'api_keys', 'usage_monthly', 'model_daily', 'latency_daily') then 70
                 when of_table in ('usage_daily', 'usage_by_day') then 85 else 100 end);
    end if;
    execute format('alter table read_models.%I attach partition read_models.%I for values in (%s)', of_table, part, of_version);
end
$$;

create or replace function projector.create_version(since timestamptz, until timestamptz) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    new_version integer := nextval('projector.version_numbers');
begin
    perform projector.add_partition(t, new_version) from unnest(projector.tables()) t;
    perform projector.ensure_months(new_version, since, until);
    insert into projector.projection (version) values (new_version);
    return new_version;
end
$$;

-- Drops the months of a table before a time; gives how many. Waits for its readers, so the caller sets lock_timeout.
create function projector.retire_months(of_version integer, of_table text, before timestamptz) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    split text := (select m.split_by from projector.monthly_tables() m where m.table_name = of_table);
    parent text := format('%s_%s', of_table, of_version);
    part text;
    cut timestamptz := date_trunc('month', before at time zone 'UTC') at time zone 'UTC';
    dropped integer := 0;
begin
    if split is null then
        raise exception '% is not split by month', of_table;
    end if;
    for part in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = to_regclass(format('read_models.%I', parent))
            and substring(c.relname from '_(\d{4}_\d{2})$') < to_char(cut at time zone 'UTC', 'YYYY_MM')
    loop
        execute format('drop table read_models.%I', part);
        dropped := dropped + 1;
    end loop;
    -- Older than all months that there were.
    execute format('delete from read_models.%I where %I < $1', parent || '_other', split) using cut;
    insert into projector.kept_months as k (version, table_name, since) values (of_version, of_table, cut)
        on conflict (version, table_name) do update set since = greatest(k.since, excluded.since);
    return dropped;
end
$$;

-- Fills the rollups of a version from its requests, a month at a time. Months whose requests were dropped keep the sums that they have.
create function projector.fill_rollups(of_version integer) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = on as $$
declare
    kept timestamptz := coalesce((select k.since from projector.kept_months k
        where k.version = of_version and k.table_name = 'requests'), '-infinity');
    kept_hours timestamptz := coalesce((select k.since from projector.kept_months k
        where k.version = of_version and k.table_name = 'usage_hourly'), '-infinity');
    since date := (kept at time zone 'UTC')::date;
    part regclass;
begin
    delete from read_models.usage_daily where version = of_version;
    delete from read_models.usage_by_day where version = of_version and day >= since;
    delete from read_models.usage_hourly where version = of_version and hour >= kept;
    delete from read_models.usage_monthly where version = of_version and month >= since;
    delete from read_models.model_daily where version = of_version and day >= since;
    delete from read_models.latency_daily where version = of_version and day >= since;
    for part in
        select i.inhrelid from pg_inherits i
        where i.inhparent = to_regclass(format('read_models.%I', 'requests_' || of_version)) order by i.inhrelid::regclass::text
    loop
        execute format($sql$
            insert into read_models.usage_by_day
            select $1, r.account_id, (r.created_at at time zone 'UTC')::date, coalesce(r.api_key_id, '00000000-0000-0000-0000-000000000000'),
                coalesce(r.model_id, ''), coalesce(r.provider, ''), bool_and(r.livemode),
                count(*), count(*) filter (where r.status = 'error'), count(*) filter (where r.status = 'cancelled'),
                sum(r.input_tokens), sum(r.cached_tokens), sum(r.cache_write_tokens), sum(r.output_tokens), sum(r.reasoning_tokens),
                sum(r.images), sum(coalesce(r.charged_credits, 0)), sum(r.cost_usd)
            from %s r where r.ended group by 1, 2, 3, 4, 5, 6 order by 3
            $sql$, part) using of_version;
        execute format($sql$
            insert into read_models.usage_hourly
            select $1, r.account_id, date_trunc('hour', r.created_at at time zone 'UTC') at time zone 'UTC',
                coalesce(r.api_key_id, '00000000-0000-0000-0000-000000000000'), coalesce(r.model_id, ''), coalesce(r.provider, ''),
                bool_and(r.livemode),
                count(*), count(*) filter (where r.status = 'error'), count(*) filter (where r.status = 'cancelled'),
                sum(r.input_tokens), sum(r.cached_tokens), sum(r.cache_write_tokens), sum(r.output_tokens), sum(r.reasoning_tokens),
                sum(r.images), sum(coalesce(r.charged_credits, 0)), sum(r.cost_usd)
            from %s r where r.ended and r.created_at >= $2 group by 1, 2, 3, 4, 5, 6 order by 3
            $sql$, part) using of_version, kept_hours;
        execute format($sql$
            insert into read_models.latency_daily
            select $1, (r.created_at at time zone 'UTC')::date, m.measure, coalesce(r.model_id, ''), coalesce(r.provider, ''), r.livemode,
                (m.ms >> s.shift) << s.shift, ((m.ms >> s.shift) << s.shift) + (1::bigint << s.shift), count(*)
            from %s r
            cross join lateral (values ('latency', r.latency_ms), ('ttft', r.ttft_ms)) as m(measure, ms)
            cross join lateral projector.latency_shift(m.ms) as s(shift)
            where r.ended and r.status = 'success' and m.ms is not null group by 1, 2, 3, 4, 5, 6, 7, 8
            $sql$, part) using of_version;
    end loop;
    insert into read_models.usage_monthly
        select of_version, d.account_id, date_trunc('month', d.day::timestamp)::date, d.model_id, d.provider, bool_and(d.livemode),
            sum(d.requests), sum(d.failed), sum(d.cancelled), sum(d.input_tokens), sum(d.cached_tokens),
            sum(d.cache_write_tokens), sum(d.output_tokens), sum(d.reasoning_tokens), sum(d.images),
            sum(d.credits_used), sum(d.cost_usd)
        from read_models.usage_by_day d where d.version = of_version and d.day >= since group by 2, 3, 4, 5;
    insert into read_models.model_daily
        select of_version, d.day, d.model_id, d.provider, d.livemode,
            sum(d.requests), sum(d.failed), sum(d.cancelled), sum(d.input_tokens), sum(d.cached_tokens),
            sum(d.cache_write_tokens), sum(d.output_tokens), sum(d.reasoning_tokens), sum(d.images),
            sum(d.credits_used), sum(d.cost_usd)
        from read_models.usage_by_day d where d.version = of_version and d.day >= since group by 2, 3, 4, 5 order by 2;
end
$$;

do $$
begin
    perform projector.add_partition(t, p.version)
        from projector.projection p, unnest(array['usage_by_day', 'usage_hourly', 'usage_monthly', 'model_daily', 'latency_daily']) t;
    -- The same months as `requests` has, whose partitions are named by them.
    perform projector.ensure_months_of('usage_hourly', p.version, min(months.month) at time zone 'UTC', max(months.month) at time zone 'UTC')
        from projector.projection p
        join pg_inherits i on i.inhparent = to_regclass('read_models.requests_' || p.version)
        join pg_class c on c.oid = i.inhrelid
        cross join lateral (select to_date(substring(c.relname from '_(\d{4}_\d{2})$'), 'YYYY_MM')::timestamp as month) months
        where months.month is not null group by p.version;
end
$$;

revoke execute on all functions in schema projector from public;
grant execute on all functions in schema projector to layers_projector;
-- Only the functions of the owner add partitions.
revoke execute on function projector.add_partition, projector.ensure_months_of from layers_projector;
grant select, insert, update, delete on read_models.usage_by_day, read_models.usage_hourly, read_models.usage_monthly,
    read_models.model_daily, read_models.latency_daily to layers_projector;
grant select on projector.kept_months to layers_projector;

-- ---- What people query ----

create or replace view public.usage_daily as
select
    d.account_id, d.day, d.model_id, d.provider, d.livemode, d.requests, d.failed, d.cancelled, d.input_tokens,
    d.cached_tokens, d.cache_write_tokens, d.output_tokens, d.reasoning_tokens, d.images, d.credits_used, d.cost_usd,
    nullif(d.api_key_id, '00000000-0000-0000-0000-000000000000') as api_key_id
from read_models.usage_by_day d
where d.version = (
    select p.version from projector.projection p where p.name = 'read_models' and p.live and p.rollups_position = p.position)
union all
-- As long as a projector of the release before keeps the live version.
select
    d.account_id, d.day, d.model_id, d.provider, d.livemode, d.requests, d.failed, d.cancelled, d.input_tokens,
    d.cached_tokens, d.cache_write_tokens, d.output_tokens, d.reasoning_tokens, d.images, d.credits_used, d.cost_usd,
    null::uuid
from read_models.usage_daily d
where d.version = (
    select p.version from projector.projection p
    where p.name = 'read_models' and p.live and p.rollups_position is distinct from p.position);
comment on view public.usage_daily is 'usage_logs summed up by account, day, key, model and provider. Days of which usage_logs keeps nothing any more are here all the same.';
comment on column public.usage_daily.api_key_id is 'The key that asked; null in test mode without a key.';

create view public.usage_hourly as
select
    h.account_id, h.hour, nullif(h.api_key_id, '00000000-0000-0000-0000-000000000000') as api_key_id,
    h.model_id, h.provider, h.livemode, h.requests, h.failed, h.cancelled, h.input_tokens, h.cached_tokens,
    h.cache_write_tokens, h.output_tokens, h.reasoning_tokens, h.images, h.credits_used, h.cost_usd
from read_models.usage_hourly h
where h.version = (
    select p.version from projector.projection p where p.name = 'read_models' and p.live and p.rollups_position = p.position);

comment on view public.usage_hourly is 'usage_logs summed up by account, hour, key, model and provider, for as long as hours are kept.';
comment on column public.usage_hourly.account_id is 'Who pays.';
comment on column public.usage_hourly.hour is 'Begin of the hour of created_at.';
comment on column public.usage_hourly.api_key_id is 'The key that asked; null in test mode without a key.';
comment on column public.usage_hourly.model_id is 'The model that was asked and is charged.';
comment on column public.usage_hourly.provider is 'Who made the model.';
comment on column public.usage_hourly.livemode is 'False for a sandbox account.';
comment on column public.usage_hourly.requests is 'Requests that have ended, however they went.';
comment on column public.usage_hourly.failed is 'Those of them with status error.';
comment on column public.usage_hourly.cancelled is 'Those of them with status cancelled.';
comment on column public.usage_hourly.input_tokens is 'Tokens read, cached ones among them.';
comment on column public.usage_hourly.cached_tokens is 'Input tokens found in the provider''s cache.';
comment on column public.usage_hourly.cache_write_tokens is 'Input tokens put into the provider''s cache.';
comment on column public.usage_hourly.output_tokens is 'Tokens written, reasoning among them.';
comment on column public.usage_hourly.reasoning_tokens is 'Output tokens that the models thought with.';
comment on column public.usage_hourly.images is 'Images made.';
comment on column public.usage_hourly.credits_used is 'Charged, credits.';
comment on column public.usage_hourly.cost_usd is 'The providers'' cost, US$.';

create view public.usage_monthly as
select
    m.account_id, m.month, m.model_id, m.provider, m.livemode, m.requests, m.failed, m.cancelled, m.input_tokens,
    m.cached_tokens, m.cache_write_tokens, m.output_tokens, m.reasoning_tokens, m.images, m.credits_used, m.cost_usd
from read_models.usage_monthly m
where m.version = (
    select p.version from projector.projection p where p.name = 'read_models' and p.live and p.rollups_position = p.position);

comment on view public.usage_monthly is 'usage_logs summed up by account, month, model and provider. Kept for ever.';
comment on column public.usage_monthly.account_id is 'Who pays.';
comment on column public.usage_monthly.month is 'First day of the month of created_at, UTC.';
comment on column public.usage_monthly.model_id is 'The model that was asked and is charged.';
comment on column public.usage_monthly.provider is 'Who made the model.';
comment on column public.usage_monthly.livemode is 'False for a sandbox account.';
comment on column public.usage_monthly.requests is 'Requests that have ended, however they went.';
comment on column public.usage_monthly.failed is 'Those of them with status error.';
comment on column public.usage_monthly.cancelled is 'Those of them with status cancelled.';
comment on column public.usage_monthly.input_tokens is 'Tokens read, cached ones among them.';
comment on column public.usage_monthly.cached_tokens is 'Input tokens found in the provider''s cache.';
comment on column public.usage_monthly.cache_write_tokens is 'Input tokens put into the provider''s cache.';
comment on column public.usage_monthly.output_tokens is 'Tokens written, reasoning among them.';
comment on column public.usage_monthly.reasoning_tokens is 'Output tokens that the models thought with.';
comment on column public.usage_monthly.images is 'Images made.';
comment on column public.usage_monthly.credits_used is 'Charged, credits.';
comment on column public.usage_monthly.cost_usd is 'The providers'' cost, US$.';

create view public.model_daily as
select
    m.day, m.model_id, m.provider, m.livemode, m.requests, m.failed, m.cancelled, m.input_tokens, m.cached_tokens,
    m.cache_write_tokens, m.output_tokens, m.reasoning_tokens, m.images, m.credits_used, m.cost_usd
from read_models.model_daily m
where m.version = (
    select p.version from projector.projection p where p.name = 'read_models' and p.live and p.rollups_position = p.position);

comment on view public.model_daily is 'usage_logs of all accounts summed up by day, model and provider. Kept for ever.';
comment on column public.model_daily.day is 'Day of created_at, UTC.';
comment on column public.model_daily.model_id is 'The model that was asked and is charged.';
comment on column public.model_daily.provider is 'Who made the model.';
comment on column public.model_daily.livemode is 'False for sandbox accounts.';
comment on column public.model_daily.requests is 'Requests that have ended, however they went.';
comment on column public.model_daily.failed is 'Those of them with status error.';
comment on column public.model_daily.cancelled is 'Those of them with status cancelled.';
comment on column public.model_daily.input_tokens is 'Tokens read, cached ones among them.';
comment on column public.model_daily.cached_tokens is 'Input tokens found in the provider''s cache.';
comment on column public.model_daily.cache_write_tokens is 'Input tokens put into the provider''s cache.';
comment on column public.model_daily.output_tokens is 'Tokens written, reasoning among them.';
comment on column public.model_daily.reasoning_tokens is 'Output tokens that the models thought with.';
comment on column public.model_daily.images is 'Images made.';
comment on column public.model_daily.credits_used is 'Charged, credits.';
comment on column public.model_daily.cost_usd is 'The providers'' cost, US$.';

create view public.latency_daily as
select l.day, l.measure, l.model_id, l.provider, l.livemode, l.from_ms, l.below_ms, l.requests
from read_models.latency_daily l
where l.version = (
    select p.version from projector.projection p where p.name = 'read_models' and p.live and p.rollups_position = p.position);

comment on view public.latency_daily is 'How many answers took how long, by day, model and provider: add up requests over the rows you want, and find the row in which the wanted share of them is reached. (from_ms + below_ms - 1) / 2 of that row is off by 3.2 % at most.';
comment on column public.latency_daily.day is 'Day of created_at, UTC.';
comment on column public.latency_daily.measure is 'latency: to the last byte of the provider''s answer; ttft: to the first. See usage_logs.latency_ms and ttft_ms.';
comment on column public.latency_daily.model_id is 'The model that was asked and is charged.';
comment on column public.latency_daily.provider is 'Who made the model.';
comment on column public.latency_daily.livemode is 'False for sandbox accounts.';
comment on column public.latency_daily.from_ms is 'They took at least so long, milliseconds.';
comment on column public.latency_daily.below_ms is 'And less than so long, milliseconds.';
comment on column public.latency_daily.requests is 'How many of them: with status success.';

-- The lifetime sums are found when they are asked for, an account's few rows each; a query that does not name them does not pay for them.
create or replace view public.credit_balances as
select
    b.account_id,
    b.bought - b.charged as balance,
    b.held,
    b.bought - b.charged - b.held as available,
    b.tier,
    b.livemode,
    b.bought,
    b.charged,
    b.position,
    b.updated_at,
    (select coalesce(sum(t.amount), 0) from read_models.credit_transactions t
        where t.version = b.version and t.account_id = b.account_id and t.kind = 'top_up') as topped_up,
    (select coalesce(sum(t.amount), 0) from read_models.credit_transactions t
        where t.version = b.version and t.account_id = b.account_id and t.kind = 'adjustment') as adjusted,
    b.lost,
    (select coalesce(sum(m.requests), 0)::bigint from public.usage_monthly m where m.account_id = b.account_id) as requests
from read_models.credit_balances b
where b.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on column public.credit_balances.topped_up is 'Bought since the account was opened, credits.';
comment on column public.credit_balances.adjusted is 'Given by corrections, or taken where it is below zero, since the account was opened, credits. With topped_up it is bought.';
comment on column public.credit_balances.lost is 'What its usage was worth beyond what could be charged: borne by the platform, and not to be shown to the customer. Credits.';
comment on column public.credit_balances.requests is 'Requests that have ended since the account was opened.';

create view public.model_prices as
select
    b.price_version,
    m.key as model_id,
    m.value->>'provider' as provider,
    m.value->>'name' as name,
    m.value->>'kind' as kind,
    m.value->'status'->>'state' as status,
    (m.value->'prices'->>'input')::numeric as input_usd,
    (m.value->'prices'->>'output')::numeric as output_usd,
    (m.value->'prices'->>'cache_read')::numeric as cache_read_usd,
    (m.value->'prices'->>'cache_write')::numeric as cache_write_usd,
    (m.value->>'per_image')::numeric as image_usd,
    (m.value->>'web_search_per_1k')::numeric as web_search_usd,
    coalesce((m.value->>'margin_bps')::numeric, (b.book->>'default_margin_bps')::numeric) / 100 as margin_percent,
    (m.value->>'context_window')::bigint as context_window,
    (m.value->>'max_output_tokens')::bigint as max_output_tokens,
    coalesce(m.value->'tiers', '[]') as tiers,
    b.position,
    e.recorded_at as published_at
from read_models.price_books b
cross join lateral jsonb_each(b.book->'models') m
left join ledger.events e on e.position = b.position
where b.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on view public.model_prices is 'What each model costs, by version of the price book: a request is charged by the version in usage_logs.price_version. Charge = the provider''s cost and the margin on it; 1 US$ is 100 credits.';
comment on column public.model_prices.price_version is 'Version of the price book: 1, 2, 3 …';
comment on column public.model_prices.model_id is 'The model.';
comment on column public.model_prices.provider is 'Who made it.';
comment on column public.model_prices.name is 'For people.';
comment on column public.model_prices.kind is 'language, embedding or image.';
comment on column public.model_prices.status is 'active, or retired: not sold any more.';
comment on column public.model_prices.input_usd is 'The provider''s price of input tokens, US$ a million; null: not sold by token.';
comment on column public.model_prices.output_usd is 'The provider''s price of output tokens, US$ a million.';
comment on column public.model_prices.cache_read_usd is 'The provider''s price of input tokens found in its cache, US$ a million; null: as input.';
comment on column public.model_prices.cache_write_usd is 'The provider''s price of input tokens put into its cache, US$ a million; null: as input.';
comment on column public.model_prices.image_usd is 'The provider''s price of an image, US$; null: not sold by image.';
comment on column public.model_prices.web_search_usd is 'The provider''s price of web searches, US$ a thousand.';
comment on column public.model_prices.margin_percent is 'Our share on top of the provider''s price, percent.';
comment on column public.model_prices.context_window is 'Tokens that fit in, input and output together.';
comment on column public.model_prices.max_output_tokens is 'Tokens that one answer can have.';
comment on column public.model_prices.tiers is 'Prices that replace these for the whole request from min_input_tokens on, US$ a million tokens.';
comment on column public.model_prices.position is 'Position of the event that published this version.';
comment on column public.model_prices.published_at is 'When the ledger recorded that event.';

-- The time in a request's id is its created_at: `where request_id = … and created_at = request_time(…)` looks into one month.
create function public.request_time(request_id uuid) returns timestamptz language sql immutable strict parallel safe
    set search_path = pg_catalog, pg_temp
    as $$ select to_timestamp(('x' || translate(left(request_id::text, 13), '-', ''))::bit(48)::bigint / 1000.0::float8) $$;
comment on function public.request_time is 'When a request came: the time inside its id, by which usage_logs is split.';

grant select on public.usage_hourly, public.usage_monthly, public.model_daily, public.latency_daily, public.model_prices
    to layers_gateway, layers_ledger, layers_projector, layers_analyst;

-- ---- What one account may see ----
--
-- `projector grant-account` makes a role for one account. It sees views of the same names in a schema of its own, each of them
-- limited to the account that the role was made for. Which one that is stands in a table by the role that logged in, which a session
-- cannot change (no setting is asked). The views are security barriers: what a session brings along (a function of its own in a
-- condition, for instance) sees a row only after it was found to be the account's. Policies on the tables would need rights on the
-- tables themselves, which analysts do not have either, and would be evaluated for everybody (docs/decisions/0015-rollups.md).

create table projector.account_roles (
    role_name name primary key,
    account_id uuid not null unique,
    granted_at timestamptz not null default now()
);
comment on table projector.account_roles is 'Roles that see one account.';

do $$
begin
    create role layers_account nologin;
exception
    when duplicate_object or unique_violation then null;
end
$$;

create schema account;
do $$
declare
    view_name text;
    columns text;
    one record;
begin
    -- Not among them: the journal, which has what the platform lost, and prices, with what providers are paid by model.
    foreach view_name in array array['credit_balances', 'usage_logs', 'usage_daily', 'usage_hourly', 'usage_monthly',
        'credit_transactions', 'credit_history', 'api_keys'] loop
        select string_agg(format('v.%I', attname), ', ' order by attnum) into columns from pg_attribute
            where attrelid = format('public.%I', view_name)::regclass and attnum > 0 and not attisdropped
                and (view_name, attname) not in (('credit_balances', 'lost'), ('api_keys', 'key_hash'));
        execute format('create view account.%I with (security_barrier = true) as select %s from public.%I v where v.account_id = (
            select r.account_id from projector.account_roles r where r.role_name = session_user)', view_name, columns, view_name);
        execute format('comment on view account.%I is %L', view_name,
            obj_description(format('public.%I', view_name)::regclass, 'pg_class') || ' Of one account.');
        for one in select attname, col_description(format('public.%I', view_name)::regclass, (
                select a.attnum from pg_attribute a where a.attrelid = format('public.%I', view_name)::regclass and a.attname = v.attname
            )) as told from pg_attribute v where v.attrelid = format('account.%I', view_name)::regclass and v.attnum > 0 loop
            execute format('comment on column account.%I.%I is %L', view_name, one.attname, one.told);
        end loop;
    end loop;
    create view account.projection as select p.name, p.version, p.position, p.as_of, p.history_from from public.projection p;
    comment on view account.projection is 'How far the read models have read the log.';
    for one in select attname, col_description('public.projection'::regclass, attnum) as told
            from pg_attribute where attrelid = 'public.projection'::regclass and attnum > 0 loop
        execute format('comment on column account.projection.%I is %L', one.attname, one.told);
    end loop;
end
$$;
grant usage on schema account to layers_account;
grant select on all tables in schema account to layers_account;

-- Makes the role of an account, or gives it another password.
create function projector.grant_account(account uuid, secret text) returns name
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    role_name name := 'layers_account_' || replace(account::text, '-', '');
    setting text;
begin
    if not exists (select from public.credit_balances b where b.account_id = account) then
        raise exception 'there is no account %', account using errcode = 'no_data_found';
    end if;
    if exists (select from pg_roles r where r.rolname = role_name) then
        execute format('alter role %I password %L', role_name, secret);
    else
        execute format('create role %I login nocreatedb nocreaterole connection limit 8 password %L in role layers_account', role_name, secret);
    end if;
    -- Beginnings that a session may change; what it may see does not follow from them.
    foreach setting in array array[
        'search_path = account, public',
        'default_transaction_read_only = on',
        'statement_timeout = ''60s''',
        'idle_in_transaction_session_timeout = ''60s'''
    ] loop
        execute format('alter role %I in database %I set %s', role_name, current_database(), setting);
    end loop;
    insert into projector.account_roles (role_name, account_id) values (role_name, account) on conflict do nothing;
    return role_name;
end
$$;

-- Takes the role of an account away and ends its sessions; false where there was none.
create function projector.revoke_account(account uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    gone name;
begin
    delete from projector.account_roles r where r.account_id = account returning r.role_name into gone;
    if gone is null then
        return false;
    end if;
    -- What it may have made for itself, in its temporary schema, must not keep it.
    execute format('grant %I to current_user', gone);
    perform pg_terminate_backend(a.pid) from pg_stat_activity a where a.usename = gone;
    execute format('drop owned by %I', gone);
    execute format('drop role %I', gone);
    return true;
end
$$;
revoke execute on function projector.grant_account, projector.revoke_account from public;
grant execute on function projector.grant_account, projector.revoke_account to layers_projector;
