-- id owner kind lane priority max_attempts spec progress idempotency_key|'' fingerprint keyed max_waiting max_unfinished bytes
-- most_bytes|'' most_jobs|'' most_busy_ms|'': submits a job, or finds the one that was submitted with the same id or key.
local id, owner, kind, lane, priority = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local key, fingerprint = ARGV[11], ARGV[12]
local keyed = ARGV[13] == '1'

if keyed then
    local earlier = redis.call('HGET', P .. 'idempotency:' .. owner, key)
    if earlier then
        if string.sub(earlier, 27) ~= fingerprint then return {'reused'} end
        return {'found', all_fields(string.sub(earlier, 1, 26))}
    end
end
local known = field(id, 'owner')
if known then
    if known ~= owner then return {'reused'} end
    return {'found', all_fields(id)}
end
local waiting = count_of('queued', lane)
if waiting >= tonumber(ARGV[14]) then return {'full', waiting} end
local unfinished = count_of('unfinished_of', owner)
if unfinished >= tonumber(ARGV[15]) then return {'owner_full', unfinished} end
if lane ~= 'webhook' then
    if redis.call('GET', P .. 'mode') == '2' then return {'draining'} end
    local usage = usage_of(owner)
    local most = function(i) return ARGV[i] ~= '' and tonumber(ARGV[i]) or math.huge end
    if usage[4] + tonumber(ARGV[16]) > most(17) or usage[1] >= most(18) or usage[2] >= most(19) then
        return {'used_up', usage}
    end
    add_usage(owner, 'jobs', 1)
end

local number = next_of('number')
set(id, 'id', id, 'owner', owner, 'kind', kind, 'lane', lane, 'priority', priority, 'place', int(next_of('place')),
    'number', int(number), 'state', 'queued', 'attempts', '0', 'max_attempts', ARGV[8], 'cancel_requested', '0',
    'created_ms', int(NOW), 'updated_ms', int(NOW), 'spec', ARGV[9], 'progress', ARGV[10], 'stage', 'null',
    'percent', '0', 'token', '0', 'last_event', '0')
if keyed then
    redis.call('HSET', P .. 'idempotency:' .. owner, key, id .. fingerprint)
    set(id, 'idempotency_key', key)
end
redis.call('ZADD', P .. 'jobs_of:' .. owner, number, id)
count('unfinished_of', owner, 1)
keep_bytes(id, owner, tonumber(ARGV[16]))
queue(id, NOW)
state_event(id, 'queued', '')
return {'created', all_fields(id)}
