-- Answers that were asked for with an `Idempotency-Key`, for as long as the key counts (docs/decisions/0012-idempotency.md). Gateways
-- write here, all of them the same rows, and forget them: these are the only texts of customers in the database.

create schema gateway;

create table gateway.answers (
    account_id uuid not null,
    -- SHA-256 of the key: what clients make their keys of is nobody's business.
    key_hash bytea not null check (length(key_hash) = 32),
    -- SHA-256 of route and body.
    asked_hash bytea not null check (length(asked_hash) = 32),
    -- The request that runs under the key, or has answered.
    request_id uuid not null,
    claimed_at timestamptz not null default now(),
    -- The row is as good as gone from then on.
    forget_at timestamptz not null,
    -- The answer; absent while the request runs.
    status smallint check (status between 200 and 599),
    -- Pairs of name and value.
    headers jsonb,
    -- Absent where it was larger than what is kept.
    body bytea,
    -- The claim: of all who come with a key, one inserts the row.
    primary key (account_id, key_hash),
    constraint answers_whole check ((status is null) = (headers is null) and (body is null or status is not null))
);
comment on table gateway.answers is 'First answers by idempotency key, for as long as the key counts.';
-- The sweeper looks for what is to be forgotten.
create index answers_forget on gateway.answers (forget_at);

-- What the books say of a request whose gateway has not said anything. Not its events: how it ended, and for how long nothing more
-- has come.
create function gateway.became_of(
    account uuid, request uuid, out authorized boolean, out used boolean, out ended boolean, out quiet_seconds double precision
) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select
        count(*) > 0,
        coalesce(bool_or(e.event_type in ('UsageRecorded', 'CreditsDeducted')), false),
        coalesce(bool_or(e.event_type in ('CreditsDeducted', 'AuthorizationReleased', 'AuthorizationExpired')), false),
        coalesce(extract(epoch from now() - max(e.recorded_at))::double precision, 0)
    from ledger.events e where e.request_id = request and e.account_id = account
$$;
revoke execute on function gateway.became_of from public;

grant usage on schema gateway to layers_gateway;
grant select, insert, update, delete on gateway.answers to layers_gateway;
grant execute on function gateway.became_of to layers_gateway;
