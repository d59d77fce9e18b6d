-- finished_from finished_before backoff_first backoff_longest random exhausted grace further only_unpinned lane...:
-- owners and ids of the first 100 jobs that ended in this time range.
local terms = {first = tonumber(ARGV[5]), longest = tonumber(ARGV[6]), exhausted = ARGV[8], grace = tonumber(ARGV[9]), further = tonumber(ARGV[10])}
math.randomseed(tonumber(ARGV[7]))
local only_unpinned = ARGV[11] == '1'
for i = 12, #ARGV do update_lane(ARGV[i], terms) end
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
