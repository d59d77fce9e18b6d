-- finished_from finished_before backoff_first backoff_longest random exhausted grace further only_unpinned lane...
local terms = {first = tonumber(ARGV[5]), longest = tonumber(ARGV[6]), exhausted = ARGV[8], grace = tonumber(ARGV[9]), further = tonumber(ARGV[10])}
math.randomseed(tonumber(ARGV[7]))
local only_unpinned = ARGV[11] == '1'
for i = 12, #ARGV do
    local stream = P .. 'tickets:' .. ARGV[i]
    tend(ARGV[i], terms)
    -- Workers that have not been seen for a day and hold nothing.
    if redis.call('EXISTS', stream) == 1 then
        for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, GROUP)) do
            if consumer[4] == 0 and consumer[6] > 86400000 then
                redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, consumer[2])
            end
        end
    end
end
local found = {}
local from = 0
repeat
    local page = redis.call('ZRANGEBYSCORE', P .. 'finished', ARGV[3], '(' .. ARGV[4], 'LIMIT', from, 100)
    from = from + 100
    for _, id in ipairs(page) do
        if #found < 200 and not (only_unpinned and field(id, 'pinned') == '1') then
            found[#found + 1] = field(id, 'owner')
            found[#found + 1] = id
        end
    end
until #page < 100 or #found == 200
return found
