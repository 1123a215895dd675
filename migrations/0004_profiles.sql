-- Names and addresses of people. An ordinary table beside the read models: no event ever carries them, so a person who asks
-- to be forgotten is forgotten by deleting a row.

create table public.profiles (
    account_id uuid primary key,
    email text,
    name text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);
comment on table public.profiles is 'Who is behind an account. Not in the ledger, and not for analysts.';
comment on column public.profiles.account_id is 'Whose.';
comment on column public.profiles.email is 'Address.';
comment on column public.profiles.name is 'Name.';
comment on column public.profiles.created_at is 'When it was first set.';
comment on column public.profiles.updated_at is 'When it was last changed.';

grant select, insert, update, delete on public.profiles to layers_projector;
grant select on public.profiles to layers_gateway;
