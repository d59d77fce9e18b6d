//! Read-only operations.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Rows, ToSql, named_params};

use super::row::{self, COLUMNS, event, find_owned, signed, stored, to_json};
use super::unavailable;
use crate::job::{Job, JobEvent, JobId, JobKind, JobState, Lane, Owner, UnixMs};
use crate::queue::{Depth, Fate, ListQuery, Result};

/// Maximum jobs returned by [`ended`].
const ENDED_AT_ONCE: u32 = 100;

pub(super) fn get(connection: &Connection, owner: &Owner, id: &JobId) -> Result<Option<Job>> {
    Ok(find_owned(connection, owner, id)?.map(|stored| stored.job))
}

pub(super) fn find(connection: &Connection, id: &JobId) -> Result<Option<Job>> {
    Ok(row::find(connection, id)?.map(|stored| stored.job))
}

pub(super) fn shared(connection: &Connection, secret: &JobId) -> Result<Option<Job>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE secret = ?1"))
        .and_then(|mut statement| {
            statement.query_row([secret.as_str()], |row| Ok(stored(row).map(|stored| stored.job))).optional()
        })
        .map_err(unavailable)?
        .transpose()
}

pub(super) fn list(connection: &Connection, owners: &[Owner], query: &ListQuery) -> Result<Vec<Job>> {
    // For a single owner, the index returns them in order.
    let among = match owners {
        [_] => "owner = json_extract(:owners, '$[0]')",
        _ => "owner IN (SELECT value FROM json_each(:owners))",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM jobs WHERE {among} AND (:state IS NULL OR state = :state)
         AND (:kind IS NULL OR kind = :kind)
         AND (:before IS NULL OR number < (SELECT number FROM jobs WHERE id = :before AND {among}))
         ORDER BY number DESC LIMIT :limit"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(unavailable)?;
    let rows = statement
        .query(named_params! {
            ":owners": to_json(owners)?,
            ":state": query.state.map(JobState::name),
            ":kind": query.kind.map(JobKind::name),
            ":before": query.before.as_ref().map(JobId::as_str),
            ":limit": query.rows(),
        })
        .map_err(unavailable)?;
    collect(rows, |row| stored(row).map(|stored| stored.job))
}

pub(super) fn events(connection: &Connection, id: &JobId, after: u64, limit: u32) -> Result<Vec<JobEvent>> {
    let mut statement = connection
        .prepare_cached(
            "SELECT sequence, at_ms, events.kind, stage, percent, message, data FROM events
             WHERE job = (SELECT number FROM jobs WHERE id = ?1) AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        )
        .map_err(unavailable)?;
    let rows = statement.query((id.as_str(), signed(after), limit)).map_err(unavailable)?;
    collect(rows, event)
}

pub(super) fn fate(connection: &Connection, id: &JobId) -> Result<Fate> {
    let one = |sql: &str| -> Result<Option<String>> {
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([id.as_str()], |row| row.get(0)).optional())
            .map_err(unavailable)
    };
    if let Some(state) = one("SELECT state FROM jobs WHERE id = ?1")? {
        let known = JobState::from_name(&state).ok_or_else(|| super::row::unknown("state", &state))?;
        return Ok(Fate::Here(known));
    }
    let deleted = one("SELECT id FROM deleted WHERE id = ?1")?.is_some();
    Ok(if deleted { Fate::Deleted } else { Fate::Unknown })
}

pub(super) fn identity(connection: &Connection) -> Result<String> {
    connection
        .prepare_cached("SELECT id FROM identity")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
        .map_err(unavailable)
}

pub(super) fn ended(connection: &Connection, when: Range<UnixMs>) -> Result<Vec<(Owner, JobId)>> {
    named(connection, when, "")
}

pub(super) fn expired(connection: &Connection, before: UnixMs) -> Result<Vec<(Owner, JobId)>> {
    named(connection, 0..before, "AND NOT pinned")
}

fn named(connection: &Connection, when: Range<UnixMs>, further: &str) -> Result<Vec<(Owner, JobId)>> {
    let sql = format!(
        "SELECT owner, id FROM jobs WHERE finished_ms >= ?1 AND finished_ms < ?2 {further} ORDER BY finished_ms LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql).map_err(unavailable)?;
    let rows = statement.query((signed(when.start), signed(when.end), ENDED_AT_ONCE)).map_err(unavailable)?;
    collect(rows, |row| {
        let id: String = row.get(1).map_err(unavailable)?;
        let id = id.parse().map_err(|_| super::row::unknown("job id", &id))?;
        Ok((Owner(row.get(0).map_err(unavailable)?), id))
    })
}

pub(super) fn depth(connection: &Connection) -> Result<Vec<Depth>> {
    let count = |sql: &str, lane: Lane| -> Result<u64> {
        let count: i64 = connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row([lane.name()], |row| row.get(0)))
            .map_err(unavailable)?;
        Ok(u64::try_from(count).unwrap_or(0))
    };
    Lane::ALL
        .into_iter()
        .map(|lane| {
            Ok(Depth {
                lane,
                queued: count("SELECT count(*) FROM jobs WHERE state = 'queued' AND lane = ?1", lane)?,
                running: count("SELECT count(*) FROM jobs WHERE state = 'running' AND lane = ?1", lane)?,
            })
        })
        .collect()
}

/// Owners take turns. Ahead are jobs of higher priority, earlier ones of the same owner, the same number of each other owner's,
/// and one more of each owner whose turn comes first.
pub(super) fn ahead_of(connection: &Connection, id: &JobId) -> Result<u64> {
    let one = |sql: &str, values: &[(&str, &dyn ToSql)]| -> Result<Option<i64>> {
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(values, |row| row.get(0)).optional())
            .map_err(unavailable)
    };
    let Some(mine) = row::find(connection, id)?.filter(|stored| stored.job.state == JobState::Queued) else {
        return Ok(0);
    };
    let (lane, priority, owner) = (mine.job.lane.name(), mine.job.priority, &mine.job.owner.0);
    let place = one("SELECT place FROM jobs WHERE number = :number", &[(":number", &mine.number)])?;
    let higher = one(
        "SELECT count(*) FROM jobs WHERE state = 'queued' AND lane = :lane AND priority > :priority",
        &[(":lane", &lane), (":priority", &priority)],
    )?;
    let turns = one(
        "SELECT count(*) FROM jobs WHERE state = 'queued' AND lane = :lane AND priority = :priority
         AND owner = :owner AND place < :place",
        &[(":lane", &lane), (":priority", &priority), (":owner", owner), (":place", &place)],
    )?;
    let turns = turns.unwrap_or(0);
    let mut ahead = higher.unwrap_or(0) + turns;
    let mut statement = connection
        .prepare_cached(
            "SELECT owner, count(*) FROM jobs WHERE state = 'queued' AND lane = ?1 AND priority = ?2 GROUP BY owner",
        )
        .map_err(unavailable)?;
    let rows = statement.query((lane, priority)).map_err(unavailable)?;
    let owners = collect(rows, |row| {
        Ok((row.get::<_, String>(0).map_err(unavailable)?, row.get::<_, i64>(1).map_err(unavailable)?))
    })?;
    for (other, waiting) in owners.iter().filter(|(other, _)| other != owner) {
        ahead += turns.min(*waiting);
        let same_turn = one(
            "SELECT place FROM jobs WHERE state = 'queued' AND lane = :lane AND priority = :priority
             AND owner = :owner ORDER BY place LIMIT 1 OFFSET :turns",
            &[(":lane", &lane), (":priority", &priority), (":owner", other), (":turns", &turns)],
        )?;
        ahead += i64::from(same_turn.is_some_and(|same_turn| Some(same_turn) < place));
    }
    Ok(u64::try_from(ahead).unwrap_or(0))
}

/// Maps every row through `read`.
pub(super) fn collect<T>(
    mut rows: Rows<'_>,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(unavailable)? {
        all.push(read(row)?);
    }
    Ok(all)
}
