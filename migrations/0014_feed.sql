-- The live feed of an account: what happened to its credits, in the order of the ledger, from the ledger's own events.
--
-- Gateways read by a function, as for receipts: one that is taken over can ask for accounts whose ids it knows, and not walk
-- through the events of all. What an operator does with leases and keys is not among them: it moves no credits.
--
-- `about` is the event by which an ending (or a correction) says of which model and key it is: its request's usage; else its
-- authorization.
create function ledger.events_of_account(account uuid, after bigint, until bigint, at_most integer)
    returns table ("position" bigint, recorded_at timestamptz, event bytea, about bytea)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select e.position, e.recorded_at, e.event, a.event
        from ledger.events e
        left join lateral (
            select r.event from ledger.events r
            where r.request_id = e.request_id and r.account_id = account
                and e.event_type in (''CreditsDeducted'', ''AuthorizationExpired'', ''CreditsAdjusted'')
                and r.event_type in (''UsageRecorded'', ''RequestAuthorized'')
            order by r.event_type desc limit 1
        ) a on true
        where e.account_id = account and e.position > after and e.position <= until
            and e.event_type in (''AccountOpened'', ''CreditsAdded'', ''CreditsAdjusted'', ''RequestAuthorized'', ''UsageRecorded'',
                ''CreditsDeducted'', ''AuthorizationReleased'', ''AuthorizationExpired'')
        order by e.position limit least(at_most, 1000)';
revoke execute on function ledger.events_of_account from public;
grant execute on function ledger.events_of_account to layers_gateway;
