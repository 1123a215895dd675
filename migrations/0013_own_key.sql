-- What a customer is told of the key that asks: its name, its limits, and what of them is spent, by the ledger's own word, so
-- that a key's cap is shown as it is applied. Never the hash, and only a key of the account that asks. The period is the one
-- that the cap is counted in now, by its first day.
create function ledger.key_of_account(of_account uuid, of_key uuid, of_period date) returns table (
    name text, key_prefix text, expires_at timestamptz, created_at timestamptz, held bigint, charged bigint
) language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select k.name, k.key_prefix, k.expires_at, k.created_at, coalesce(s.held, 0), coalesce(s.charged, 0)
        from ledger.keys k left join ledger.key_spending s on s.api_key_id = k.api_key_id and s.period_from = of_period
        where k.api_key_id = of_key and k.account_id = of_account
$$;
revoke execute on function ledger.key_of_account from public;
grant execute on function ledger.key_of_account to layers_gateway;

comment on column public.usage_logs.request_type is 'The route: chat, response, message, embedding or image.';
