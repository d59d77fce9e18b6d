-- id: approximate number of jobs that will be claimed before this one.
local id = ARGV[3]
local job = redis.call('HMGET', key_of(id), 'state', 'lane', 'priority', 'owner', 'place')
if job[1] ~= 'queued' then return 0 end
local lane, priority, mine = job[2], job[3], job[4]
local ahead = 0
for _, higher in ipairs(redis.call('ZRANGEBYSCORE', P .. 'ready:' .. lane, '(' .. priority, '+inf')) do
    local of_priority = P .. 'ready:' .. lane .. ':' .. higher
    for _, owner in ipairs(redis.call('SMEMBERS', of_priority)) do
        ahead = ahead + redis.call('ZCARD', of_priority .. ':' .. owner)
    end
end
-- Owners take turns. Before this job, each other owner gets as many jobs claimed as this owner does, and one more if its next one is
-- earlier in the queue.
local of_priority = P .. 'ready:' .. lane .. ':' .. priority
local turns = redis.call('ZCOUNT', of_priority .. ':' .. mine, '-inf', '(' .. job[5])
ahead = ahead + turns
for _, owner in ipairs(redis.call('SMEMBERS', of_priority)) do
    if owner ~= mine then
        local line = of_priority .. ':' .. owner
        ahead = ahead + math.min(redis.call('ZCARD', line), turns)
        local same_turn = redis.call('ZRANGE', line, turns, turns, 'WITHSCORES')
        if same_turn[2] and tonumber(same_turn[2]) < tonumber(job[5]) then ahead = ahead + 1 end
    end
end
return ahead
