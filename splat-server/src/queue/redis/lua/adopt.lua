-- from to: moves all jobs of one owner to another.
local from, to = ARGV[3], ARGV[4]
if from == to then return 0 end
local jobs = redis.call('ZRANGE', P .. 'jobs_of:' .. from, 0, -1, 'WITHSCORES')
for i = 1, #jobs, 2 do
    local id, number = jobs[i], jobs[i + 1]
    local job = redis.call('HMGET', key_of(id), 'lane', 'priority', 'place', 'idempotency_key')
    local of_priority = P .. 'ready:' .. job[1] .. ':' .. job[2]
    if redis.call('ZREM', of_priority .. ':' .. from, id) == 1 then
        redis.call('ZADD', of_priority .. ':' .. to, job[3], id)
        redis.call('SADD', of_priority, to)
    end
    if redis.call('EXISTS', of_priority .. ':' .. from) == 0 then redis.call('SREM', of_priority, from) end
    if job[4] then
        local known = redis.call('HGET', P .. 'idempotency:' .. from, job[4])
        -- An idempotency key that both have used stays with the new owner's job.
        if known and redis.call('HSETNX', P .. 'idempotency:' .. to, job[4], known) == 0 then
            redis.call('HDEL', key_of(id), 'idempotency_key')
        end
        redis.call('HDEL', P .. 'idempotency:' .. from, job[4])
    end
    set(id, 'owner', to)
    redis.call('ZADD', P .. 'jobs_of:' .. to, number, id)
end
redis.call('DEL', P .. 'jobs_of:' .. from)
for _, name in ipairs({'running_of', 'unfinished_of', 'bytes_of'}) do
    local of_old = count_of(name, from)
    if of_old > 0 then
        count(name, to, int(of_old))
        redis.call('HDEL', P .. name, from)
    end
end
return #jobs / 2
