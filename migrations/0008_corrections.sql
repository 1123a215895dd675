-- A correction takes what an account has and leaves the rest to the platform; that it is a repeat is known by what was
-- asked, which is what it took and what it left.
alter table ledger.refs add column loss bigint not null default 0 check (loss >= 0);
comment on column ledger.refs.loss is 'What it left to the platform, nanocredits.';

update ledger.refs set loss = data.loss
from ledger.events e
cross join lateral (
    select (coalesce(convert_from(e.event, 'UTF8')::json->'data'->>'loss', '0')::numeric * 1000000000)::bigint as loss
) data
where e.position = refs.position and e.event_type = 'CreditsAdjusted' and data.loss > 0;
