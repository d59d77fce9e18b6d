-- state|'' kind|'' before|'' limit owner...
local state, kind, limit = ARGV[3], ARGV[4], tonumber(ARGV[6])
-- The next jobs of each owner, newest first; their numbers count over all owners.
local lines = {}
local upper = '+inf'
if ARGV[5] ~= '' then
    local before
    for i = 7, #ARGV do before = before or redis.call('ZSCORE', P .. 'jobs_of:' .. ARGV[i], ARGV[5]) end
    if not before then return {} end
    upper = '(' .. before
end
for i = 7, #ARGV do lines[#lines + 1] = {key = P .. 'jobs_of:' .. ARGV[i], upper = upper, page = {}, at = 1} end
local function head(line)
    if line.at > #line.page and line.upper then
        line.page = redis.call('ZREVRANGEBYSCORE', line.key, line.upper, '-inf', 'WITHSCORES', 'LIMIT', 0, 200)
        line.at = 1
        line.upper = #line.page == 400 and '(' .. line.page[400] or nil
    end
    return line.page[line.at], tonumber(line.page[line.at + 1])
end
local found = {}
while #found < limit do
    local newest, newest_number
    for _, line in ipairs(lines) do
        local id, number = head(line)
        if id and (not newest or number > newest_number) then newest, newest_number = line, number end
    end
    if not newest then break end
    local id = newest.page[newest.at]
    newest.at = newest.at + 2
    local job = redis.call('HMGET', key_of(id), 'state', 'kind')
    if (state == '' or job[1] == state) and (kind == '' or job[2] == kind) then found[#found + 1] = whole(id) end
end
return found
