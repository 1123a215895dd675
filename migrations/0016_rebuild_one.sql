-- A rebuild that was killed is gone on with, and one table can be rebuilt alone. docs/decisions/0016-rebuild-resumed.md has each case.
--
-- All of it is added: a projector of the release before goes on beside it until it is replaced.

alter table projector.projection
    -- Of a version that is being built: by which program, over which tables' columns. Only the same goes on with it. A version that
    -- went live has none: it was followed since, and is what a rebuild is compared with.
    add column program text,
    -- Of a version that is built for the sake of one table: which.
    add column only_table text,
    -- How often rows of this version were replaced beside its follower, who then forgets what it remembers of them.
    add column repairs integer not null default 0;

-- Which tables and columns there are. A version that was begun before a migration is not gone on with after it.
create function projector.columns_mark() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
return (
    select md5(string_agg(format('%s.%s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod)), ', '
        order by c.relname, a.attnum))
    from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = 'read_models'::regnamespace and c.relname = any (projector.tables())
);

-- Row count and checksum of one table of a version, as projector.checksums gives of all.
create function projector.checksum(of_version integer, of_table text) returns table (row_count bigint, checksum numeric)
language plpgsql stable set search_path = pg_catalog, pg_temp set enable_seqscan = on as $$
declare
    columns text;
begin
    if not of_table = any (projector.tables()) then
        raise exception '% is no read model', of_table;
    end if;
    select string_agg(quote_ident(attname), ', ' order by attname) into columns from pg_attribute
        where attrelid = format('read_models.%I', of_table)::regclass and attnum > 0 and not attisdropped and attname <> 'version';
    return query execute format(
        'select count(*), coalesce(sum(hash_record_extended(row(%s), 0)), 0)::numeric from read_models.%I where version = $1',
        columns, of_table) using of_version;
end
$$;

-- Makes the rows of one table in one version those of another version: rows that differ go, rows that are missing come. Readers
-- see the rows before or after, as they see any transaction; the caller has the follower wait.
create function projector.replace_rows(of_table text, in_version integer, by_version integer)
returns table (removed bigint, added bigint)
language plpgsql set search_path = pg_catalog, pg_temp
    set enable_seqscan = on set enable_hashjoin = on set enable_mergejoin = on as $$
declare
    columns text;
    same_key text;
    same_row text;
begin
    if not of_table = any (projector.tables()) then
        raise exception '% is no read model', of_table;
    end if;
    select string_agg(quote_ident(attname), ', ' order by attnum),
        string_agg(format('a.%1$I is not distinct from b.%1$I', attname), ' and ' order by attnum)
    into columns, same_row from pg_attribute
    where attrelid = format('read_models.%I', of_table)::regclass and attnum > 0 and not attisdropped and attname <> 'version';
    select string_agg(format('a.%1$I = b.%1$I', k.attname), ' and ') into same_key
    from pg_index i join pg_attribute k on k.attrelid = i.indrelid and k.attnum = any (i.indkey)
    where i.indrelid = format('read_models.%I', of_table)::regclass and i.indisprimary and k.attname <> 'version';
    execute format(
        'delete from read_models.%1$I a where a.version = $1
            and not exists (select from read_models.%1$I b where b.version = $2 and %2$s and %3$s)',
        of_table, same_key, same_row) using in_version, by_version;
    get diagnostics removed = row_count;
    execute format(
        'insert into read_models.%1$I (version, %2$s)
         select $1, %2$s from read_models.%1$I b where b.version = $2
            and not exists (select from read_models.%1$I a where a.version = $1 and %3$s)',
        of_table, columns, same_key) using in_version, by_version;
    get diagnostics added = row_count;
    return next;
end
$$;

revoke execute on function projector.columns_mark, projector.checksum, projector.replace_rows from public;
grant execute on function projector.columns_mark, projector.checksum, projector.replace_rows to layers_projector;
