-- What people and programs query: the live version of the read models, under stable names. A view's columns are a promise;
-- new ones are added at the end.

create view public.projection as
select p.name, p.version, p.position, p.as_of
from projector.projection p
where p.live;

comment on view public.projection is 'How far the read models have read the log.';
comment on column public.projection.name is 'Which read models.';
comment on column public.projection.version is 'Counts the rebuilds.';
comment on column public.projection.position is 'The last event whose rows are there: a place in the ledger''s one order.';
comment on column public.projection.as_of is 'When the ledger recorded that event.';

create view public.credit_balances as
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
    b.updated_at
from read_models.credit_balances b
where b.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on view public.credit_balances is 'Each account''s credits. 1 credit is US$ 0.01.';
comment on column public.credit_balances.account_id is 'Who pays.';
comment on column public.credit_balances.balance is 'Posted: bought less charged, credits.';
comment on column public.credit_balances.held is 'Set aside for requests that are running, credits.';
comment on column public.credit_balances.available is 'What can still be spent: balance less held, credits.';
comment on column public.credit_balances.tier is 'Plan: free, starter, pro, team or bench.';
comment on column public.credit_balances.livemode is 'False for a sandbox account: its credits are not money.';
comment on column public.credit_balances.bought is 'Added and adjusted since the account was opened, credits.';
comment on column public.credit_balances.charged is 'Charged for requests since the account was opened, credits.';
comment on column public.credit_balances.position is 'Position of the last event that changed this row.';
comment on column public.credit_balances.updated_at is 'When the ledger recorded that event.';

create view public.usage_logs as
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
    r.ending
from read_models.requests r
where r.ended
    and r.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on view public.usage_logs is 'One row a request that has ended. Ask for a range of created_at where you can: the table is split by month.';
comment on column public.usage_logs.request_id is 'UUIDv7; the client saw it as x-request-id.';
comment on column public.usage_logs.account_id is 'Who pays.';
comment on column public.usage_logs.api_key_id is 'The key that asked; null in test mode without a key.';
comment on column public.usage_logs.model_id is 'The model that was asked and is charged.';
comment on column public.usage_logs.served_model_id is 'The model that answered, in the provider''s words.';
comment on column public.usage_logs.provider is 'Who made the model.';
comment on column public.usage_logs.request_type is 'chat, embedding or image.';
comment on column public.usage_logs.input_tokens is 'Tokens read, cached ones among them.';
comment on column public.usage_logs.cached_tokens is 'Input tokens found in the provider''s cache.';
comment on column public.usage_logs.cache_write_tokens is 'Input tokens put into the provider''s cache.';
comment on column public.usage_logs.output_tokens is 'Tokens written, reasoning among them.';
comment on column public.usage_logs.reasoning_tokens is 'Output tokens that the model thought with.';
comment on column public.usage_logs.images is 'Images made.';
comment on column public.usage_logs.cost_usd is 'The provider''s cost by the price book, US$.';
comment on column public.usage_logs.credits_used is 'What the customer was charged, credits: US$ 0.01 each.';
comment on column public.usage_logs.hold_credits is 'The most that the request could have cost, set aside while it ran, credits; null if it was never authorized.';
comment on column public.usage_logs.latency_ms is 'From the arrival of the request to the last byte of the provider''s answer, or to its end without one, milliseconds.';
comment on column public.usage_logs.ttft_ms is 'From the arrival of the request to the first byte of the provider''s answer, milliseconds.';
comment on column public.usage_logs.streamed is 'Whether the client wanted the answer chunk by chunk.';
comment on column public.usage_logs.status is 'success, error, or cancelled (the client left).';
comment on column public.usage_logs.error_message is 'What went wrong.';
comment on column public.usage_logs.usage_source is 'provider: its own figures; estimated: counted from what was sent and delivered; null: nothing was used.';
comment on column public.usage_logs.price_version is 'The price book that it was charged by.';
comment on column public.usage_logs.provider_request_id is 'The provider''s own id for its answer.';
comment on column public.usage_logs.upstream is 'Which provider connection was asked.';
comment on column public.usage_logs.livemode is 'False for a sandbox account.';
comment on column public.usage_logs.position is 'Position of the last event that told something about the request.';
comment on column public.usage_logs.created_at is 'When the request came. The time inside request_id.';
comment on column public.usage_logs.finished_at is 'When it ended.';
comment on column public.usage_logs.searches is 'Web searches that the provider bills for.';
comment on column public.usage_logs.ending is 'deducted: charged; released: nothing charged; expired: ended by the ledger since its gateway fell silent.';

create view public.usage_daily as
select
    d.account_id,
    d.day,
    d.model_id,
    d.provider,
    d.livemode,
    d.requests,
    d.failed,
    d.cancelled,
    d.input_tokens,
    d.cached_tokens,
    d.cache_write_tokens,
    d.output_tokens,
    d.reasoning_tokens,
    d.images,
    d.credits_used,
    d.cost_usd
from read_models.usage_daily d
where d.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on view public.usage_daily is 'usage_logs summed up by account, day, model and provider.';
comment on column public.usage_daily.account_id is 'Who pays.';
comment on column public.usage_daily.day is 'Day of created_at, UTC.';
comment on column public.usage_daily.model_id is 'The model that was asked and is charged.';
comment on column public.usage_daily.provider is 'Who made the model.';
comment on column public.usage_daily.livemode is 'False for a sandbox account.';
comment on column public.usage_daily.requests is 'Requests that have ended, however they went.';
comment on column public.usage_daily.failed is 'Those of them with status error.';
comment on column public.usage_daily.cancelled is 'Those of them with status cancelled.';
comment on column public.usage_daily.input_tokens is 'Tokens read, cached ones among them.';
comment on column public.usage_daily.cached_tokens is 'Input tokens found in the provider''s cache.';
comment on column public.usage_daily.cache_write_tokens is 'Input tokens put into the provider''s cache.';
comment on column public.usage_daily.output_tokens is 'Tokens written, reasoning among them.';
comment on column public.usage_daily.reasoning_tokens is 'Output tokens that the models thought with.';
comment on column public.usage_daily.images is 'Images made.';
comment on column public.usage_daily.credits_used is 'Charged, credits.';
comment on column public.usage_daily.cost_usd is 'The providers'' cost, US$.';

create view public.credit_transactions as
select t.position, t.account_id, t.request_id, t.kind, t.amount, t.reference, t.made_by, t.reason, t.livemode, t.created_at
from read_models.credit_transactions t
where t.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on view public.credit_transactions is 'Credits that were added or adjusted. Charges are in usage_logs.';
comment on column public.credit_transactions.position is 'Position of the event in the ledger.';
comment on column public.credit_transactions.account_id is 'Whose credits.';
comment on column public.credit_transactions.request_id is 'The request that an adjustment settles, if it does.';
comment on column public.credit_transactions.kind is 'top_up or adjustment.';
comment on column public.credit_transactions.amount is 'Credits; less than zero takes.';
comment on column public.credit_transactions.reference is 'The caller''s reference: a payment''s id, for instance.';
comment on column public.credit_transactions.made_by is 'Who did it.';
comment on column public.credit_transactions.reason is 'Why.';
comment on column public.credit_transactions.livemode is 'False for a sandbox account.';
comment on column public.credit_transactions.created_at is 'When.';

create view public.api_keys as
select k.id, k.account_id, k.key_hash, k.key_prefix, k.name, k.is_active, k.expires_at, k.last_used_at, k.created_at
from read_models.api_keys k
where k.version = (select p.version from projector.projection p where p.name = 'read_models' and p.live);

comment on view public.api_keys is 'API keys. The secrets are kept nowhere.';
comment on column public.api_keys.id is 'The key''s own id.';
comment on column public.api_keys.account_id is 'Whose.';
comment on column public.api_keys.key_hash is 'SHA-256 of the secret, 64 hexadecimal digits.';
comment on column public.api_keys.key_prefix is 'The secret''s first characters, by which people tell keys apart.';
comment on column public.api_keys.name is 'What its owner calls it.';
comment on column public.api_keys.is_active is 'False once it was revoked.';
comment on column public.api_keys.expires_at is 'From when on it is refused; null: never.';
comment on column public.api_keys.last_used_at is 'When a request was authorized with it last.';
comment on column public.api_keys.created_at is 'When it was issued.';

-- What analysts see under the same name: no hashes.
create schema analyst;
create view analyst.api_keys as
select k.id, k.account_id, k.key_prefix, k.name, k.is_active, k.expires_at, k.last_used_at, k.created_at
from public.api_keys k;

comment on view analyst.api_keys is 'API keys, without their hashes.';
comment on column analyst.api_keys.id is 'The key''s own id.';
comment on column analyst.api_keys.account_id is 'Whose.';
comment on column analyst.api_keys.key_prefix is 'The secret''s first characters, by which people tell keys apart.';
comment on column analyst.api_keys.name is 'What its owner calls it.';
comment on column analyst.api_keys.is_active is 'False once it was revoked.';
comment on column analyst.api_keys.expires_at is 'From when on it is refused; null: never.';
comment on column analyst.api_keys.last_used_at is 'When a request was authorized with it last.';
comment on column analyst.api_keys.created_at is 'When it was issued.';

grant select on public.projection, public.credit_balances, public.usage_logs, public.usage_daily, public.credit_transactions,
    public.api_keys to layers_gateway, layers_ledger, layers_projector;
grant select on public.projection, public.credit_balances, public.usage_logs, public.usage_daily, public.credit_transactions
    to layers_analyst;
grant usage on schema analyst to layers_analyst;
grant select on analyst.api_keys to layers_analyst;

-- An analyst's forgotten query must not hold back vacuum, nor a swap of the read models.
do $$
declare
    setting text;
begin
    foreach setting in array array[
        'search_path = analyst, public',
        'default_transaction_read_only = on',
        'statement_timeout = ''60s''',
        'idle_in_transaction_session_timeout = ''60s'''
    ] loop
        execute format('alter role layers_analyst in database %I set %s', current_database(), setting);
    end loop;
end
$$;
