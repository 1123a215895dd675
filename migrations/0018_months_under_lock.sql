-- Months are added while nobody has planned a query of their table and not begun it yet.
--
-- PostgreSQL (15.18 at least) prunes partitions when a query begins by what it planned, and where a partition was attached in
-- between, it takes those that come after the new one in the order of the bounds for others: rows of the default partition, or of
-- later months, were not seen for that one query. Where the level above is pruned as well, as it is by version here, nothing says so.
-- So the lock that a drop takes is taken here too, for some milliseconds and where a month is missing; the caller's lock_timeout
-- keeps it from waiting long, and months are added long before they are needed.

alter function projector.ensure_months(integer, timestamptz, timestamptz) rename to add_months;

create function projector.ensure_months(of_version integer, since timestamptz, until timestamptz) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    parent text;
begin
    for parent in
        select c.relname from pg_class c
        where c.relnamespace = 'read_models'::regnamespace and c.relkind = 'p'
            and c.relname in (select format('%s_%s', t, of_version) from unnest(projector.tables()) t)
            and exists (
                select from generate_series(date_trunc('month', since at time zone 'UTC'), date_trunc('month', until at time zone 'UTC'),
                    interval '1 month') month
                where to_regclass(format('read_models.%I', c.relname || to_char(month, '_YYYY_MM'))) is null)
        order by 1
    loop
        execute format('lock table only read_models.%I in access exclusive mode', parent);
    end loop;
    return projector.add_months(of_version, since, until);
end
$$;

revoke execute on function projector.ensure_months, projector.add_months from public;
-- Only with the lock.
revoke execute on function projector.add_months from layers_projector;
grant execute on function projector.ensure_months to layers_projector;
