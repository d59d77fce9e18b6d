-- owner state|'' kind|'' before|'' limit
local jobs = P .. 'jobs_of:' .. ARGV[3]
local state, kind, limit = ARGV[4], ARGV[5], tonumber(ARGV[7])
local upper = '+inf'
if ARGV[6] ~= '' then
    local number = redis.call('ZSCORE', jobs, ARGV[6])
    if not number then return {} end
    upper = '(' .. number
end
local found = {}
while #found < limit do
    local page = redis.call('ZREVRANGEBYSCORE', jobs, upper, '-inf', 'WITHSCORES', 'LIMIT', 0, 200)
    for i = 1, #page, 2 do
        local job = redis.call('HMGET', key_of(page[i]), 'state', 'kind')
        if (state == '' or job[1] == state) and (kind == '' or job[2] == kind) and #found < limit then
            found[#found + 1] = whole(page[i])
        end
        upper = '(' .. page[i + 1]
    end
    if #page < 400 then break end
end
return found
