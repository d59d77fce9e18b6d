-- worker lease backoff_first backoff_longest random exhausted grace further lane...: claims the next job of these lanes.
local worker, lease = ARGV[3], tonumber(ARGV[4])
local terms = {first = tonumber(ARGV[5]), longest = tonumber(ARGV[6]), exhausted = ARGV[8], grace = tonumber(ARGV[9]), further = tonumber(ARGV[10])}
math.randomseed(tonumber(ARGV[7]))

-- Whether the list of numbers `a` is before `b` in lexicographic order.
local function before(a, b)
    for i = 1, #a do
        if a[i] ~= b[i] then return a[i] < b[i] end
    end
    return false
end

local best
local paused = redis.call('GET', P .. 'mode') == '1'
for i = 11, #ARGV do
    local lane = ARGV[i]
    update_lane(lane, terms)
    local priority = not (paused and lane ~= 'webhook') and redis.call('ZREVRANGE', P .. 'ready:' .. lane, 0, 0)[1]
    if priority then
        local of_priority = P .. 'ready:' .. lane .. ':' .. priority
        for _, owner in ipairs(redis.call('SMEMBERS', of_priority)) do
            local head = redis.call('ZRANGE', of_priority .. ':' .. owner, 0, 0, 'WITHSCORES')
            local rank = {-tonumber(priority), count_of('running_of', owner), count_of('served', owner), tonumber(head[2])}
            if not best or before(rank, best.rank) then
                best = {rank = rank, id = head[1], lane = lane, owner = owner}
            end
        end
    end
end
if not best then return {'none'} end

local id = best.id
remove_ready(id)
count('queued', best.lane, -1)
count('running', best.lane, 1)
count('running_of', best.owner, 1)
redis.call('HSET', P .. 'served', best.owner, next_of('served'))
redis.call('HINCRBY', key_of(id), 'attempts', 1)
redis.call('HINCRBY', key_of(id), 'token', 1)
redis.call('HSETNX', key_of(id), 'started_ms', int(NOW))
set(id, 'state', 'running', 'worker', worker, 'claimed_ms', int(NOW))
set_lease(id, best.lane, lease)
state_event(id, 'running', '')
return {'claimed', all_fields(id)}
