-- What becomes of the quarantine's entries, what came more than once, and what kind of error a request met.
--
-- All of it is added: a ledger, a projector and gateways of the release before go on beside it until they are replaced.

alter table ledger.quarantine
    add column state text not null default 'open' check (state in ('open', 'replayed', 'dismissed')),
    -- Of the event that says so.
    add column position bigint,
    -- Why it was refused again when it was replayed last.
    add column retry_reason text,
    add column retried_at timestamptz,
    add constraint quarantine_closed check ((state = 'open') = (position is null));
-- Operators and metrics ask for the few that are open.
create index quarantine_open on ledger.quarantine (id) where state = 'open';
grant update (state, position, retry_reason, retried_at, emitter, seq) on ledger.quarantine to layers_ledger;

create function ledger.refuse_loss() returns trigger language plpgsql as $$
begin
    raise exception 'ledger.quarantine keeps every message as it came: % is refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
create trigger quarantine_is_kept before delete or update of id, received_at, generation, stream_seq, subject, reason, message
    on ledger.quarantine for each row execute function ledger.refuse_loss();
create trigger quarantine_no_truncate before truncate on ledger.quarantine
    for each statement execute function ledger.refuse_loss();

-- A fact about the stream, not about the books: it is in no event, and nothing is decided by it.
create table ledger.repeats (
    emitter uuid primary key,
    count bigint not null check (count > 0),
    last_at timestamptz not null default now()
);
comment on table ledger.repeats is 'How often each emitter''s messages came again and were dropped.';
grant select, insert, update on ledger.repeats to layers_ledger;

alter table read_models.requests add column error_code text;

-- At the end of the view, as always; the rest is as it was.
create or replace view public.usage_logs as
select
    r.request_id,
    r.account_id,
    r.api_key_id,
    r.model_id,
    r.served_model_id,
    r.provider,
    r.request_type,
    r.input_tokens,
    r.cached_tokens,
    r.cache_write_tokens,
    r.output_tokens,
    r.reasoning_tokens,
    r.images,
    r.cost_usd,
    coalesce(r.charged_credits, 0) as credits_used,
    r.hold_credits,
    r.latency_ms,
    r.ttft_ms,
    r.streamed,
    r.status,
    r.error_message,
    r.usage_source,
    r.price_version,
    r.provider_request_id,
    r.upstream,
    r.livemode,
    r.position,
    r.created_at,
    r.finished_at,
    r.searches,
    r.ending,
    -- Rows of a projector that did not know the column have none.
    coalesce(r.error_code, case when r.error_message is not null then 'unspecified' end) as error_code
from read_models.requests r
where r.ended
    and r.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on column public.usage_logs.error_code is 'What kind of thing went wrong; null: nothing. Of an answer that had begun: provider_error, provider_timeout, cut_stream, client_gone, gateway_stopped. Of a request that was released: refused, undecided, provider_failed, client_gone, gateway_failed. gateway_silent: the ledger ended it. unspecified: it was not said.';
