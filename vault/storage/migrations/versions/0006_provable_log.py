"""The log grows inside the database, by one function alone; what is published, proved and watched has its tables.

No office writes a leaf or the edge itself. ``log_grow`` makes a look's leaf from its row
(``docs/formats/access-log.md``), and ``log_close`` takes a day's leaf from the keeper; with their owner's rights
both call ``log_extend``, which computes the tree's edge (RFC 6962) where the lock is held. ``log_append`` runs with
the caller's own rights and first makes sure that collecting stays within proved cases and that no honey record is
touched unheard.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
alter table log_leaves add column reader bytea, add column at timestamptz;
create index log_leaves_by_reader on log_leaves (reader, idx);
create index log_leaves_by_time on log_leaves using brin (at);
create table log_days (
    day date primary key,
    idx bigint not null unique,
    size bigint not null
);
create table log_tiles (
    tree text not null,
    level integer not null,
    idx bigint not null,
    hashes bytea not null,
    first bytea,
    primary key (tree, level, idx)
);
create table log_claims (
    name text primary key,
    digest bytea not null
);
alter table log_checkpoints add column cosigned text;
create table log_progress (
    task text primary key,
    position bigint not null,
    at timestamptz not null
);
create table readers (
    actor text primary key,
    roles text[] not null,
    seen_at timestamptz not null
);
"""

EXTEND = r"""
create function log_extend(
    leaves bytea[], entries bytea[], staffs bytea[], refs text[], tags bytea[], readers bytea[], times timestamptz[]
) returns bigint language plpgsql set search_path = '' as $$
declare
    first bigint;
    size_now bigint;
    rest bigint;
    packed bytea;
    tall integer;
    hashed bytea;
begin
    perform pg_catalog.pg_advisory_xact_lock(7042);
    select edge.size, edge.hashes into strict first, packed from public.log_edge edge;
    tall := pg_catalog.octet_length(packed);
    if tall <> 32 * pg_catalog.length(pg_catalog.replace(first::bit(64)::text, '0', '')) then
        raise exception 'the edge does not fit its size' using errcode = 'data_corrupted';
    end if;
    size_now := first;
    foreach hashed in array leaves loop
        hashed := pg_catalog.sha256('\x00'::bytea || hashed);
        rest := size_now;
        while rest & 1 = 1 loop
            hashed := pg_catalog.sha256('\x01'::bytea || pg_catalog.substr(packed, tall - 31, 32) || hashed);
            tall := tall - 32;
            packed := pg_catalog.substr(packed, 1, tall);
            rest := rest >> 1;
        end loop;
        packed := packed || hashed;
        tall := tall + 32;
        size_now := size_now + 1;
    end loop;
    insert into public.log_leaves (idx, leaf, entry, staff, case_ref, tag, reader, at)
        select first + n - 1, leaf, entry, staff, ref, tag, reader, moment
        from unnest(leaves, entries, staffs, refs, tags, readers, times)
            with ordinality as row (leaf, entry, staff, ref, tag, reader, moment, n);
    update public.log_edge set size = size_now, hashes = packed;
    return first;
end
$$;
revoke all on function log_extend(bytea[], bytea[], bytea[], text[], bytea[], bytea[], timestamptz[]) from public;
"""

GROW = r"""
create function log_grow(
    uses bytea[], entries bytea[], staffs bytea[], refs text[], tags bytea[], readers bytea[], times timestamptz[]
) returns bigint language plpgsql security definer set search_path = '' as $$
declare
    leaves bytea[];
    fits boolean;
begin
    select pg_catalog.array_agg(pg_catalog.convert_to(
            '{"case":' || coalesce('"' || row.ref || '"', 'null')
            || ',"entry":"' || pg_catalog.encode(pg_catalog.sha256(row.entry), 'hex')
            || '","staff":"' || pg_catalog.encode(pg_catalog.sha256(row.staff || row.reader), 'hex')
            || '","tag":' || coalesce('"' || pg_catalog.encode(row.tag, 'hex') || '"', 'null')
            || ',"time":"' || pg_catalog.to_char(row.moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            || '","use":"' || pg_catalog.encode(row.use, 'hex') || '","v":1}', 'UTF8') order by row.n),
        pg_catalog.bool_and((row.entry is not null and row.staff is not null
            and row.moment = pg_catalog.date_trunc('second', row.moment)
            and row.moment >= '2000-01-01T00:00:00Z' and row.moment < '9999-01-01T00:00:00Z'
            and pg_catalog.octet_length(row.use) = 16 and pg_catalog.octet_length(row.reader) = 16
            and coalesce(pg_catalog.octet_length(row.tag), 16) = 16
            and coalesce(row.ref, 'A') ~ '^[A-Z0-9-]{1,32}$') is true)
        into leaves, fits
        from unnest(uses, entries, staffs, refs, tags, readers, times)
            with ordinality as row (use, entry, staff, ref, tag, reader, moment, n);
    if not fits then
        raise exception 'of this no leaf is made' using errcode = 'invalid_parameter_value';
    end if;
    return public.log_extend(coalesce(leaves, '{}'), entries, staffs, refs, tags, readers, times);
end
$$;
revoke all on function log_grow(bytea[], bytea[], bytea[], text[], bytea[], bytea[], timestamptz[]) from public;
"""

CLOSE = r"""
create function log_close(leaf bytea) returns bigint language plpgsql security definer set search_path = '' as $$
begin
    if (pg_catalog.encode(leaf, 'escape') ~ ('^\{"day":"[0-9]{4}-[0-9]{2}-[0-9]{2}","map":"[0-9a-f]{64}",'
            || '"size":(0|[1-9][0-9]{0,18}),"tags":(0|[1-9][0-9]{0,18}),"v":1\}$')) is not true then
        raise exception 'this is no leaf of a day' using errcode = 'invalid_parameter_value';
    end if;
    return public.log_extend(
        array[leaf], array[''::bytea], array[''::bytea], array[null::text], array[null::bytea], array[null::bytea],
        array[null::timestamptz]
    );
end
$$;
revoke all on function log_close(bytea) from public;
"""

APPEND = """
create function log_append(
    uses bytea[], entries bytea[], staffs bytea[], refs text[], tags bytea[], readers bytea[], times timestamptz[],
    proved_cases text[], proved_subjects text[], marks bytea[], heard boolean,
    out first bigint, out why text, out hits integer[]
) language plpgsql as $$
begin
    if pg_catalog.cardinality(proved_cases) > 0 then -- apart: most offices may not even name the table of cases
        if exists (
            select from unnest(proved_cases, proved_subjects) as claimed (ref, subject)
            where ( -- one value a claim: each is looked up by its key, where "not exists" would join all cases
                select true from public.cases c join public.case_events e on e.case_ref = c.ref
                where c.ref = claimed.ref and c.subject = claimed.subject and e.event = 'identity_proved' limit 1
            ) is not true
        ) then
            why := 'unproved';
            return;
        end if;
    end if;
    if not heard then
        if marks is null then
            if exists (select from public.honey) then
                why := 'unmarked';
                return;
            end if;
        else
            select pg_catalog.array_agg(n) into hits
                from unnest(marks) with ordinality as given (mark, n) join public.honey using (mark);
            if hits is not null then
                why := 'honey';
                return;
            end if;
        end if;
    end if;
    first := public.log_grow(uses, entries, staffs, refs, tags, readers, times);
end
$$;
revoke all on function log_append(
    bytea[], bytea[], bytea[], text[], bytea[], bytea[], timestamptz[], text[], text[], bytea[], boolean
) from public;
"""


def upgrade() -> None:
    """Make tables and functions."""
    for statement in (TABLES, EXTEND, GROW, CLOSE, APPEND):
        op.get_bind().exec_driver_sql(statement)  # as it stands: a colon in it names no parameter


def downgrade() -> None:
    """Take them away."""
    op.execute(
        "drop function log_append, log_close, log_grow, log_extend;"
        " drop table readers, log_progress, log_claims, log_tiles, log_days;"
        " alter table log_checkpoints drop column cosigned;"
        " alter table log_leaves drop column reader, drop column at"
    )
