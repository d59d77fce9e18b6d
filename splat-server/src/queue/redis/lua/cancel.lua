-- id owner: cancels a queued job, or requests the cancellation of a running one.
local id = ARGV[3]
if field(id, 'owner') ~= ARGV[4] then return {'none'} end
local job = redis.call('HMGET', key_of(id), 'state', 'lane', 'cancel_requested')
if job[1] == 'queued' then
    if not remove_ready(id) then redis.call('ZREM', P .. 'delayed:' .. job[2], id) end
    count('queued', job[2], -1)
    set(id, 'cancel_requested', '1')
    finish(id, 'cancelled')
    state_event(id, 'cancelled', '')
elseif job[1] == 'running' and job[3] ~= '1' then
    set(id, 'cancel_requested', '1')
    state_event(id, 'running', '', true)
end
return {'job', all_fields(id)}
