-- id token ending value message backoff_first backoff_longest random: ends a claim.
-- value: the result if `ending` is `succeeded`; the problem if it is `failed` or `retry`.
local id, ending, value, message = ARGV[3], ARGV[5], ARGV[6], ARGV[7]
if not held(id, ARGV[4]) then return {'lost'} end
math.randomseed(tonumber(ARGV[10]))
local job = redis.call('HMGET', key_of(id), 'attempts', 'max_attempts', 'cancel_requested')
local attempts = tonumber(job[1])
if job[3] == '1' and (ending == 'retry' or ending == 'released') then ending, message = 'cancelled', '' end

end_lease(id)
if ending == 'succeeded' then
    set(id, 'result', value)
    redis.call('HDEL', key_of(id), 'problem')
    finish(id, 'succeeded')
elseif ending == 'failed' then
    set(id, 'problem', value)
    finish(id, 'failed')
elseif ending == 'cancelled' then
    finish(id, 'cancelled')
elseif ending == 'retry' then
    set(id, 'problem', value)
    if attempts >= tonumber(job[2]) then
        finish(id, 'dead')
    else
        queue(id, NOW + wait_ms({first = tonumber(ARGV[8]), longest = tonumber(ARGV[9])}, attempts))
    end
else
    set(id, 'attempts', int(math.max(attempts - 1, 0)))
    queue(id, NOW)
end
state_event(id, field(id, 'state'), message)
return {'finished', all_fields(id)}
