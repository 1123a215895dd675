-- What an operator sees in the console beside the read models: how far the log is, which gateways hold credits, how old open holds
-- are, what the platform bore, what lies in quarantine. Sums and counts by functions, as for receipts: a gateway that is taken over
-- reads no message in quarantine and no request of an account whose id it does not know.

-- The log's end, and when it was written.
create function ledger.end_of_log(out "position" bigint, out recorded_at timestamptz)
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select h.position, e.recorded_at from ledger.head h left join ledger.events e on e.position = h.position
$$;

-- Lives of gateways that are not over, with the credits that they hold alone, nanocredits: `leased` can still be spent there,
-- `held` is set aside for requests that run.
create function ledger.open_lives() returns table (
    gateway uuid, state text, registered_at timestamptz, accounts bigint, leased bigint, held bigint
) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select v.gateway, v.state, v.registered_at, count(s.account_id),
        coalesce(sum(s.granted - s.returned - s.charged - s.held), 0)::bigint, coalesce(sum(s.held), 0)::bigint
    from ledger.lives v left join ledger.leases s on s.gateway = v.gateway and not s.closed
    where v.state <> 'fenced'
    group by v.gateway order by v.registered_at desc limit 200
$$;

-- Open holds by how long they have been open: up to so many seconds (null: longer), how many, and how much, nanocredits.
create function ledger.open_holds_by_age() returns table (up_to_seconds integer, holds bigint, amount bigint)
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select b.up_to, count(h.hold), coalesce(sum(h.hold), 0)::bigint
    from (values (0, 60), (60, 300), (300, 900), (900, 3600), (3600, null)) as b(from_seconds, up_to)
    left join ledger.holds h on h.hold is not null and h.charged is null and (h.ending is null or h.ending = 'deducted') and h.counts
        and (b.from_seconds = 0 or h.authorized_time <= now() - make_interval(secs => b.from_seconds))
        and (b.up_to is null or h.authorized_time > now() - make_interval(secs => b.up_to))
    group by b.from_seconds, b.up_to order by b.from_seconds
$$;

-- What the platform bore, nanocredits, by account; the largest first. `in_all` is the sum over all accounts of its kind.
create function ledger.losses(at_most integer) returns table (account_id uuid, livemode boolean, lost bigint, in_all numeric)
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select a.account_id, a.livemode, a.lost, sum(a.lost) over (partition by a.livemode)
    from ledger.accounts a where a.lost > 0 order by a.livemode desc, a.lost desc limit least(at_most, 100)
$$;

-- The open entries of the quarantine by reason. Not the messages: `ledger quarantine show` has them.
create function ledger.open_quarantine() returns table (reason text, entries bigint, first_id bigint, first_at timestamptz, last_at timestamptz)
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select q.reason, count(*), min(q.id), min(q.received_at), max(q.received_at)
    from ledger.quarantine q where q.state = 'open' group by q.reason order by count(*) desc, q.reason limit 50
$$;

-- Whose a request is: an operator has a request's id from a customer, and nothing else.
create function ledger.account_of_request(request uuid) returns uuid
    language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select e.account_id from ledger.events e where e.request_id = request and e.account_id is not null limit 1
$$;

revoke execute on function ledger.end_of_log, ledger.open_lives, ledger.open_holds_by_age, ledger.losses, ledger.open_quarantine,
    ledger.account_of_request from public;
grant execute on function ledger.end_of_log, ledger.open_lives, ledger.open_holds_by_age, ledger.losses, ledger.open_quarantine,
    ledger.account_of_request to layers_gateway;
