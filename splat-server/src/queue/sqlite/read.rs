//! Read-only operations.

use std::ops::Range;

use rusqlite::{Connection, ToSql, named_params};

use super::Sql;
use super::row::{self, Json, event, find_owned, signed, stored};
use crate::job::{Job, JobEvent, JobId, JobState, Lane, Owner, UnixMs};
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
    let found = connection.first("SELECT * FROM jobs WHERE secret = ?1", [secret], stored)?;
    Ok(found.map(|stored| stored.job))
}

pub(super) fn list(connection: &Connection, owners: &[Owner], query: &ListQuery) -> Result<Vec<Job>> {
    // For a single owner, the index returns them in order.
    let among = match owners {
        [_] => "owner = json_extract(:owners, '$[0]')",
        _ => "owner IN (SELECT value FROM json_each(:owners))",
    };
    let sql = format!(
        "SELECT * FROM jobs WHERE {among} AND (:state IS NULL OR state = :state)
         AND (:kind IS NULL OR kind = :kind)
         AND (:before IS NULL OR number < (SELECT number FROM jobs WHERE id = :before AND {among}))
         ORDER BY number DESC LIMIT :limit"
    );
    let values = named_params! {
        ":owners": Json(owners),
        ":state": query.state,
        ":kind": query.kind,
        ":before": query.before,
        ":limit": query.rows(),
    };
    Ok(connection.all(&sql, values, |row| stored(row).map(|stored| stored.job))?)
}

pub(super) fn events(connection: &Connection, id: &JobId, after: u64, limit: u32) -> Result<Vec<JobEvent>> {
    let sql = "SELECT * FROM events WHERE job = (SELECT number FROM jobs WHERE id = ?1) AND sequence > ?2
               ORDER BY sequence LIMIT ?3";
    Ok(connection.all(sql, (id, signed(after), limit), event)?)
}

pub(super) fn fate(connection: &Connection, id: &JobId) -> Result<Fate> {
    if let Some(state) = connection.first("SELECT state FROM jobs WHERE id = ?1", [id], |row| row.get(0))? {
        return Ok(Fate::Here(state));
    }
    let deleted = connection.value("SELECT EXISTS (SELECT 1 FROM deleted WHERE id = ?1)", [id])?;
    Ok(if deleted { Fate::Deleted } else { Fate::Unknown })
}

pub(super) fn identity(connection: &Connection) -> Result<String> {
    Ok(connection.value("SELECT id FROM identity", [])?)
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
    let values = (signed(when.start), signed(when.end), ENDED_AT_ONCE);
    Ok(connection.all(&sql, values, |row| Ok((row.get(0)?, row.get(1)?)))?)
}

pub(super) fn depth(connection: &Connection) -> Result<Vec<Depth>> {
    let count = |state: JobState, lane: Lane| {
        let sql = format!("SELECT count(*) FROM jobs WHERE state = '{}' AND lane = ?1", state.name());
        connection.value(&sql, [lane])
    };
    let depths = Lane::ALL.into_iter().map(|lane| {
        Ok(Depth { lane, queued: count(JobState::Queued, lane)?, running: count(JobState::Running, lane)? })
    });
    depths.collect()
}

/// Owners take turns. Ahead are jobs of higher priority, earlier ones of the same owner, the same number of each other owner's,
/// and one more of each owner whose turn comes first.
pub(super) fn ahead_of(connection: &Connection, id: &JobId) -> Result<u64> {
    let one = |sql: &str, values: &[(&str, &dyn ToSql)]| -> Result<Option<u64>> {
        Ok(connection.first(sql, values, |row| row.get(0))?)
    };
    let Some(mine) = row::find(connection, id)?.filter(|stored| stored.job.state == JobState::Queued) else {
        return Ok(0);
    };
    let (lane, priority, owner) = (mine.job.lane, mine.job.priority, mine.job.owner);
    let place = one("SELECT place FROM jobs WHERE number = :number", &[(":number", &mine.number)])?;
    let higher = one(
        "SELECT count(*) FROM jobs WHERE state = 'queued' AND lane = :lane AND priority > :priority",
        &[(":lane", &lane), (":priority", &priority)],
    )?;
    let turns = one(
        "SELECT count(*) FROM jobs WHERE state = 'queued' AND lane = :lane AND priority = :priority
         AND owner = :owner AND place < :place",
        &[(":lane", &lane), (":priority", &priority), (":owner", &owner), (":place", &place)],
    )?;
    let turns = turns.unwrap_or(0);
    let mut ahead = higher.unwrap_or(0) + turns;
    let owners: Vec<(Owner, u64)> = connection.all(
        "SELECT owner, count(*) FROM jobs WHERE state = 'queued' AND lane = ?1 AND priority = ?2 GROUP BY owner",
        (lane, priority),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (other, waiting) in owners.iter().filter(|(other, _)| *other != owner) {
        ahead += turns.min(*waiting);
        let same_turn = one(
            "SELECT place FROM jobs WHERE state = 'queued' AND lane = :lane AND priority = :priority
             AND owner = :owner ORDER BY place LIMIT 1 OFFSET :turns",
            &[(":lane", &lane), (":priority", &priority), (":owner", other), (":turns", &turns)],
        )?;
        ahead += u64::from(same_turn.is_some_and(|same_turn| Some(same_turn) < place));
    }
    Ok(ahead)
}
