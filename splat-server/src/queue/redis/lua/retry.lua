-- id owner spec progress: queues a job that has ended once more.
local id = ARGV[3]
if field(id, 'owner') ~= ARGV[4] then return {'none'} end
local state = field(id, 'state')
if state == 'queued' or state == 'running' then return {'state', state} end
for _, name in ipairs(redis.call('HKEYS', key_of(id))) do
    if string.sub(name, 1, 9) == 'artifact:' then redis.call('HDEL', key_of(id), name) end
end
redis.call('HDEL', key_of(id), 'started_ms', 'finished_ms', 'result', 'problem', 'artifacts_counted', 'reached')
redis.call('ZREM', P .. 'finished', id)
set(id, 'attempts', '0', 'cancel_requested', '0', 'spec', ARGV[5], 'progress', ARGV[6], 'stage', 'null', 'percent', '0',
    'place', int(next_of('place')))
count('unfinished_of', ARGV[4], 1)
queue(id, NOW)
state_event(id, 'queued', '')
return {'job', all_fields(id)}
