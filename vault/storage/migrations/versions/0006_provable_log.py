"""The log grows inside the database, by one function alone; what is published, proved and watched has its tables.

No office writes a leaf or the edge itself: ``log_grow`` does, with its owner's rights. It takes a look's leaf only
when that is, to the byte, what the row's own columns make (``docs/formats/access-log.md``), a day's leaf only
from the keeper, and computes the tree's edge (RFC 6962) where the lock is held. ``log_append`` runs with the
caller's own rights and first makes sure that collecting stays within proved cases and that no honey record is
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
"""

# what a leaf must be: made of its row's columns, with its own use; and a day's, which has no columns
LEAVES = r"""
create function log_leaf(
    leaf bytea, entry bytea, staff bytea, ref text, tag bytea, reader bytea, moment timestamptz
) returns bytea language sql immutable set search_path = '' as $$
    select pg_catalog.convert_to(
        '{"case":' || coalesce('"' || ref || '"', 'null')
        || ',"entry":"' || pg_catalog.encode(pg_catalog.sha256(entry), 'hex')
        || '","staff":"' || pg_catalog.encode(pg_catalog.sha256(staff || reader), 'hex')
        || '","tag":' || coalesce('"' || pg_catalog.encode(tag, 'hex') || '"', 'null')
        || ',"time":"' || pg_catalog.to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        || '","use":"' || substring(
            pg_catalog.encode(pg_catalog.substr(leaf, pg_catalog.octet_length(leaf) - 39, 32), 'escape')
            from '^[0-9a-f]{32}$')
        || '","v":1}', 'UTF8')
    where pg_catalog.octet_length(reader) = 16 and coalesce(pg_catalog.octet_length(tag), 16) = 16
        and coalesce(ref, 'A') ~ '^[A-Z0-9-]{1,32}$'
$$;
create function log_day(leaf bytea, entry bytea, staff bytea, more text)
returns bytea language sql stable set search_path = '' as $$
    select leaf where entry = '' and staff = '' and more is null
        and session_user in (current_user, pg_catalog.current_database() || '_keeper')
        and pg_catalog.encode(leaf, 'escape') ~ ('^\{"day":"[0-9]{4}-[0-9]{2}-[0-9]{2}","map":"[0-9a-f]{64}",'
            || '"size":(0|[1-9][0-9]{0,18}),"tags":(0|[1-9][0-9]{0,18}),"v":1\}$')
$$;
revoke all on function log_leaf(bytea, bytea, bytea, text, bytea, bytea, timestamptz) from public;
revoke all on function log_day(bytea, bytea, bytea, text) from public;
"""

GROW = """
create function log_grow(
    leaves bytea[], entries bytea[], staffs bytea[], refs text[], tags bytea[], readers bytea[], times timestamptz[]
) returns bigint language plpgsql security definer set search_path = '' as $$
declare
    first bigint;
    size_now bigint;
    rest bigint;
    packed bytea;
    tall integer;
    hashed bytea;
begin
    if exists (
        select from unnest(leaves, entries, staffs, refs, tags, readers, times)
            as given (leaf, entry, staff, ref, tag, reader, time)
        where leaf is null or leaf is distinct from case when time is null
            then public.log_day(leaf, entry, staff, coalesce(ref, tag::text, reader::text))
            else public.log_leaf(leaf, entry, staff, ref, tag, reader, time) end
    ) then
        raise exception 'a leaf is not what its row makes' using errcode = 'invalid_parameter_value';
    end if;
    perform pg_catalog.pg_advisory_xact_lock(7042);
    select edge.size, edge.hashes into strict first, packed from public.log_edge edge;
    tall := pg_catalog.octet_length(packed);
    if tall <> 32 * pg_catalog.length(pg_catalog.replace(first::bit(64)::text, '0', '')) then
        raise exception 'the edge does not fit its size' using errcode = 'data_corrupted';
    end if;
    size_now := first;
    foreach hashed in array leaves loop
        hashed := pg_catalog.sha256('\\x00'::bytea || hashed);
        rest := size_now;
        while rest & 1 = 1 loop
            hashed := pg_catalog.sha256('\\x01'::bytea || pg_catalog.substr(packed, tall - 31, 32) || hashed);
            tall := tall - 32;
            packed := pg_catalog.substr(packed, 1, tall);
            rest := rest >> 1;
        end loop;
        packed := packed || hashed;
        tall := tall + 32;
        size_now := size_now + 1;
    end loop;
    insert into public.log_leaves (idx, leaf, entry, staff, case_ref, tag, reader, at)
        select first + n - 1, leaf, entry, staff, ref, tag, reader, time
        from unnest(leaves, entries, staffs, refs, tags, readers, times)
            with ordinality as given (leaf, entry, staff, ref, tag, reader, time, n);
    update public.log_edge set size = size_now, hashes = packed;
    return first;
end
$$;
revoke all on function log_grow(bytea[], bytea[], bytea[], text[], bytea[], bytea[], timestamptz[]) from public;
"""

APPEND = """
create function log_append(
    leaves bytea[], entries bytea[], staffs bytea[], refs text[], tags bytea[], readers bytea[], times timestamptz[],
    proved_cases text[], proved_subjects text[], marks bytea[], heard boolean,
    out first bigint, out why text, out hits integer[]
) language plpgsql set search_path = '' as $$
begin
    if pg_catalog.cardinality(proved_cases) > 0 then -- apart: most offices may not even name the table of cases
        if exists (
            select from unnest(proved_cases, proved_subjects) as claimed (ref, subject)
            where not exists (
                select from public.cases c join public.case_events e on e.case_ref = c.ref
                where c.ref = claimed.ref and c.subject = claimed.subject and e.event = 'identity_proved'
            )
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
    first := public.log_grow(leaves, entries, staffs, refs, tags, readers, times);
end
$$;
revoke all on function log_append(
    bytea[], bytea[], bytea[], text[], bytea[], bytea[], timestamptz[], text[], text[], bytea[], boolean
) from public;
"""


def upgrade() -> None:
    """Make tables and functions."""
    for statement in (TABLES, LEAVES, GROW, APPEND):
        op.get_bind().exec_driver_sql(statement)  # as it stands: a colon in it names no parameter


def downgrade() -> None:
    """Take them away."""
    op.execute(
        "drop function log_append, log_grow, log_day, log_leaf;"
        " drop table log_progress, log_claims, log_tiles, log_days;"
        " alter table log_checkpoints drop column cosigned;"
        " alter table log_leaves drop column reader, drop column at"
    )
