-- id owner remembered_for: deletes a job that has ended.
local id, owner = ARGV[3], ARGV[4]
if field(id, 'owner') ~= owner then return {'none'} end
local state = field(id, 'state')
if state == 'queued' or state == 'running' then return {'state', state} end
local job = all_fields(id)
local key = field(id, 'idempotency_key')
if key then redis.call('HDEL', P .. 'idempotency:' .. owner, key) end
redis.call('ZREM', P .. 'finished', id)
local secret = field(id, 'secret')
if secret then redis.call('HDEL', P .. 'shares', secret) end
keep_bytes(id, owner, 0)
redis.call('ZREM', P .. 'jobs_of:' .. owner, id)
redis.call('DEL', key_of(id), P .. 'events:' .. id)
redis.call('ZREMRANGEBYSCORE', P .. 'deleted', '-inf', NOW - tonumber(ARGV[5]))
redis.call('ZADD', P .. 'deleted', NOW, id)
return {'job', job}
