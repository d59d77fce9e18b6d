-- Functions that all scripts share. Redis runs nothing else while a script runs, so each script is atomic.
--
-- Keys, all with the hash-tagged prefix P (ARGV[1]), so that a cluster stores them on one node:
--   P job:<id>                          hash    the job; JSON values are not parsed here (cjson changes numbers and empty lists)
--   P events:<id>                       stream  entry <sequence>-0: at, e
--   P leases:<lane>                     zset    running jobs, by the end of their lease
--   P ready:<lane>                      zset    priorities that have ready jobs
--   P ready:<lane>:<priority>           set     owners that have ready jobs of that priority
--   P ready:<lane>:<priority>:<owner>   zset    ready jobs, by place in the queue
--   P delayed:<lane>                    zset    queued jobs that are not ready, by the time when they will be
--   P queued, P running                 hash    lane -> number of jobs
--   P running_of, P unfinished_of       hash    owner -> number of jobs
--   P served                            hash    owner -> number of its latest claim, counted over all owners
--   P idempotency:<owner>               hash    key -> job id (26 characters) and fingerprint
--   P jobs_of:<owner>                   zset    jobs, in order of submission
--   P finished                          zset    jobs that have ended, by their end
--   P deleted                           zset    jobs deleted within the last 30 days, by time of deletion
--   P identity                          string  id of this queue
--   P shares                            hash    secret of a share link -> job
--   P bytes_of                          hash    owner -> bytes stored for all jobs
--   P usage:<day>                       hash    <owner>:jobs, <owner>:busy_ms; day: days since 1970 (UTC); kept for 92 days
--   P mode                              string  whether jobs are accepted and started, as a number
--   P questions:<id>                    list    questions to a running job as <time>:<question>, oldest first
--   P answer:<question>                 string  answer to a question
--   P count                             hash    counters: number, place, served

local P = ARGV[1]
local EVENTS_KEPT = tonumber(ARGV[2])

local time = redis.call('TIME')
local NOW = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function int(n) return string.format('%d', n) end
local function key_of(id) return P .. 'job:' .. id end
local function field(id, name) return redis.call('HGET', key_of(id), name) end
local function all_fields(id) return redis.call('HGETALL', key_of(id)) end
local function set(id, ...) redis.call('HSET', key_of(id), ...) end

-- Adds to a counter, and removes it if the result is zero or less.
local function count(name, of, by)
    if redis.call('HINCRBY', P .. name, of, by) <= 0 then redis.call('HDEL', P .. name, of) end
end

local function count_of(name, of) return tonumber(redis.call('HGET', P .. name, of) or '0') end

-- Adds to the owner's usage of today.
local function add_usage(owner, what, by)
    local key = P .. 'usage:' .. int(math.floor(NOW / 86400000))
    redis.call('HINCRBY', key, owner .. ':' .. what, int(by))
    redis.call('EXPIRE', key, 93 * 86400)
end

-- The owner's usage: jobs and milliseconds today, jobs and bytes stored.
local function usage_of(owner)
    local today = redis.call('HMGET', P .. 'usage:' .. int(math.floor(NOW / 86400000)), owner .. ':jobs', owner .. ':busy_ms')
    return {tonumber(today[1] or '0'), tonumber(today[2] or '0'), redis.call('ZCARD', P .. 'jobs_of:' .. owner), count_of('bytes_of', owner)}
end

-- Sets the bytes stored for a job.
local function keep_bytes(id, owner, bytes)
    local before = tonumber(field(id, 'bytes') or '0')
    set(id, 'bytes', int(bytes))
    count('bytes_of', owner, int(bytes - before))
end

local function next_of(counter) return redis.call('HINCRBY', P .. 'count', counter, 1) end

local function add_event(id, json)
    local sequence = redis.call('HINCRBY', key_of(id), 'last_event', 1)
    redis.call('XADD', P .. 'events:' .. id, 'MAXLEN', '=', EVENTS_KEPT, int(sequence) .. '-0', 'at', int(NOW), 'e', json)
end

-- Adds the event of a change of state. `stage` is stored as JSON.
local function state_event(id, state, message, stopping)
    local about = redis.call('HMGET', key_of(id), 'stage', 'percent')
    local percent = about[2]
    if state == 'succeeded' then percent = '100' end
    local data = '{"state":"' .. state .. '"' .. (stopping and ',"cancel_requested":true' or '') .. '}'
    add_event(id, '{"kind":"state","stage":' .. about[1] .. ',"percent":' .. percent ..
        ',"message":' .. cjson.encode(message) .. ',"data":' .. data .. '}')
    set(id, 'updated_ms', int(NOW))
end

-- Adds a job to the ready jobs.
local function make_ready(id)
    local job = redis.call('HMGET', key_of(id), 'lane', 'priority', 'owner', 'place')
    local lane, priority, owner = job[1], job[2], job[3]
    redis.call('ZADD', P .. 'ready:' .. lane, priority, priority)
    redis.call('SADD', P .. 'ready:' .. lane .. ':' .. priority, owner)
    redis.call('ZADD', P .. 'ready:' .. lane .. ':' .. priority .. ':' .. owner, job[4], id)
end

-- Removes a job from the ready jobs. False if it was not one of them.
local function remove_ready(id)
    local job = redis.call('HMGET', key_of(id), 'lane', 'priority', 'owner')
    local lane, priority, owner = job[1], job[2], job[3]
    local of_priority = P .. 'ready:' .. lane .. ':' .. priority
    local of_owner = of_priority .. ':' .. owner
    if redis.call('ZREM', of_owner, id) == 0 then return false end
    if redis.call('EXISTS', of_owner) == 0 then redis.call('SREM', of_priority, owner) end
    if redis.call('EXISTS', of_priority) == 0 then redis.call('ZREM', P .. 'ready:' .. lane, priority) end
    return true
end

-- Ends the lease of a running job, and counts the time that its worker held it.
local function end_lease(id)
    local job = redis.call('HMGET', key_of(id), 'lane', 'owner')
    redis.call('ZREM', P .. 'leases:' .. job[1], id)
    count('running', job[1], -1)
    count('running_of', job[2], -1)
    local since = field(id, 'claimed_ms')
    if since then add_usage(job[2], 'busy_ms', math.max(0, NOW - tonumber(since))) end
    redis.call('HDEL', key_of(id), 'worker', 'lease_until_ms', 'noticed_ms', 'claimed_ms')
end

-- Queues a job, which is ready from `run_after` on.
local function queue(id, run_after)
    local lane = field(id, 'lane')
    set(id, 'state', 'queued', 'run_after_ms', int(run_after))
    count('queued', lane, 1)
    if run_after > NOW then
        redis.call('ZADD', P .. 'delayed:' .. lane, run_after, id)
    else
        make_ready(id)
    end
end

local function finish(id, state)
    set(id, 'state', state, 'finished_ms', int(NOW))
    count('unfinished_of', field(id, 'owner'), -1)
    redis.call('ZADD', P .. 'finished', NOW, id)
end

-- Milliseconds to wait after attempt number `attempts`; as `Backoff::wait_ms`.
local function wait_ms(backoff, attempts)
    local wait = math.min(backoff.first * 2 ^ math.min(attempts - 1, 40), backoff.longest)
    return math.floor(wait - math.random() * wait / 2)
end

-- Removes questions of a list that are older than `kept` milliseconds.
local function drop_old_questions(key, kept)
    while true do
        local first = redis.call('LINDEX', key, 0)
        if not first or tonumber(string.match(first, '^%d+')) > NOW - kept then return end
        redis.call('LPOP', key)
    end
end

-- Whether the claim with this token is valid: until the job is requeued, even after the end of its lease.
local function held(id, token)
    local job = redis.call('HMGET', key_of(id), 'state', 'token')
    return job[1] == 'running' and job[2] == token
end

-- Sets the end of a running job's lease to `lease` milliseconds from now.
local function set_lease(id, lane, lease)
    redis.call('ZADD', P .. 'leases:' .. lane, NOW + lease, id)
    set(id, 'lease_until_ms', int(NOW + lease))
end

-- Handles an expired lease. The first call only records the time, and the job is requeued by a call `grace` milliseconds later. A
-- renewal in between moves the end of the lease past the recorded time, which invalidates the record.
local function requeue_expired(lane, id, terms)
    local job = redis.call('HMGET', key_of(id), 'attempts', 'max_attempts', 'cancel_requested', 'percent', 'reached',
        'lease_until_ms', 'noticed_ms')
    if not job[1] then return redis.call('ZREM', P .. 'leases:' .. lane, id) end
    local ends = tonumber(job[6] or '0')
    if terms.grace > 0 and not (job[7] and tonumber(job[7]) >= ends) then
        set(id, 'noticed_ms', int(math.max(NOW, ends)))
        redis.call('ZADD', P .. 'leases:' .. lane, NOW + terms.grace, id)
        return
    end
    local attempts = tonumber(job[1])
    if tonumber(job[4]) >= tonumber(job[5] or '0') + terms.further then
        attempts = 1
        set(id, 'attempts', '1', 'reached', job[4])
    end
    end_lease(id)
    if job[3] == '1' then
        finish(id, 'cancelled')
    elseif attempts >= tonumber(job[2]) then
        set(id, 'problem', (string.gsub(terms.exhausted, 'ATTEMPTS', int(attempts))))
        finish(id, 'dead')
    else
        queue(id, NOW + wait_ms(terms, attempts))
    end
    state_event(id, field(id, 'state'), 'Its worker was lost.')
end

-- Makes delayed jobs ready whose time has come, and handles expired leases.
-- `terms`: the backoff (`first`, `longest`), `grace` in milliseconds, `further` in per cent, and `exhausted`, a problem as JSON in
-- which ATTEMPTS is replaced by the number of attempts.
local function update_lane(lane, terms)
    local delayed = P .. 'delayed:' .. lane
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', NOW, 'LIMIT', 0, 100)) do
        redis.call('ZREM', delayed, id)
        make_ready(id)
    end
    -- Earlier versions stored leases as idle times of tickets in a stream.
    local bound = redis.call('HGETALL', P .. 'bound:' .. lane)
    for i = 2, #bound, 2 do
        local ends = field(bound[i], 'lease_until_ms')
        if ends then redis.call('ZADD', P .. 'leases:' .. lane, ends, bound[i]) end
    end
    redis.call('DEL', P .. 'bound:' .. lane, P .. 'tickets:' .. lane)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'leases:' .. lane, '-inf', '(' .. int(NOW), 'LIMIT', 0, 100)) do
        requeue_expired(lane, id, terms)
    end
end
