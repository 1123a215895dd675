-- The log as a Merkle tree (RFC 6962): hashes that prove what is in it, and signed checkpoints of it. The event at position p
-- is leaf p - 1; its hash is sha256('\x00' || event).

-- The right edge: roots of the full subtrees that the events fall into, the largest first. It moves in the update that moves
-- the position. tree_size is behind the position only in a database from before the tree, until the ledger has filled it.
alter table ledger.head
    add column tree_size bigint not null default 0,
    add column tree_peaks bytea not null default '',
    add constraint head_tree_within check (tree_size between 0 and position),
    add constraint head_tree_peaks check (length(tree_peaks) = 32 * bit_count(tree_size::bit(64)));

create table ledger.tiles (
    level smallint not null check (level between 0 and 7),
    index bigint not null check (index >= 0),
    -- 1 to 256 hashes of 32 bytes.
    hashes bytea not null check (length(hashes) between 32 and 8192 and length(hashes) % 32 = 0),
    primary key (level, index),
    -- The leaves of the last, partial one are the last events, 255 at most: hashed again whenever they are asked for.
    constraint tiles_leaves_are_full check (level > 0 or length(hashes) = 8192)
);
comment on table ledger.tiles is
    'The tree''s hashes in tiles of 256 (C2SP tlog-tiles). Level 0: leaves. Above: roots of full tiles of the level below. Derived.';
-- Hashes do not compress.
alter table ledger.tiles alter column hashes set storage external;

create function ledger.only_grow_tiles() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' then
        if old.level = new.level and old.index = new.index and length(old.hashes) < 8192
            and substr(new.hashes, 1, length(old.hashes)) = old.hashes then
            return new;
        end if;
    end if;
    raise exception 'ledger.tiles only grows: % is refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
create trigger tiles_only_grow before update or delete on ledger.tiles
    for each row execute function ledger.only_grow_tiles();
create trigger tiles_no_truncate before truncate on ledger.tiles
    for each statement execute function ledger.only_grow_tiles();

create table ledger.checkpoints (
    -- Positions that it covers, from the first.
    size bigint primary key check (size >= 1),
    root bytea not null check (length(root) = 32),
    -- The signed note (C2SP tlog-checkpoint), as it is given out.
    note text not null,
    created_at timestamptz not null default now()
);
comment on table ledger.checkpoints is 'What the ledger has signed, for ever: a log that once was so long had this root.';

create function ledger.refuse_checkpoint_change() returns trigger language plpgsql as $$
begin
    raise exception 'ledger.checkpoints is append-only: % is refused', tg_op using errcode = 'insufficient_privilege';
end
$$;
create trigger checkpoints_append_only before update or delete on ledger.checkpoints
    for each row execute function ledger.refuse_checkpoint_change();
create trigger checkpoints_no_truncate before truncate on ledger.checkpoints
    for each statement execute function ledger.refuse_checkpoint_change();

grant select, insert, update on ledger.tiles to layers_ledger;
grant select, insert on ledger.checkpoints to layers_ledger;

-- What gateways read for receipts and for the public form of the tree. Not the events: of those, one request's of one account,
-- a price book's, and hashes.
grant usage on schema ledger to layers_gateway;
grant select on ledger.tiles, ledger.checkpoints to layers_gateway;

create function ledger.events_of_request(account uuid, request uuid) returns table ("position" bigint, event bytea)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select e.position, e.event from ledger.events e where e.request_id = request and e.account_id = account order by e.position';
create function ledger.event_of_price_book(version integer) returns table ("position" bigint, event bytea)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select e.position, e.event from ledger.price_books b join ledger.events e using (position) where b.version = $1';
-- Of the positions after `after` up to `until`, a tile's worth at most.
create function ledger.leaf_hashes(after bigint, until bigint) returns table ("position" bigint, hash bytea)
    language sql stable security definer set search_path = pg_catalog, pg_temp
    as 'select e.position, sha256(''\x00''::bytea || e.event) from ledger.events e
        where e.position > after and e.position <= until and until - after <= 256 order by e.position';
revoke execute on function ledger.events_of_request, ledger.event_of_price_book, ledger.leaf_hashes from public;
grant execute on function ledger.events_of_request, ledger.event_of_price_book, ledger.leaf_hashes to layers_gateway;
