-- state|'' kind|'' before|'' limit owner...: a page of the owners' jobs, newest first.
local state, kind, limit = ARGV[3], ARGV[4], tonumber(ARGV[6])
-- For each owner, the next part of its list, newest first. Jobs are numbered over all owners, which gives their order.
local lists = {}
local upper = '+inf'
if ARGV[5] ~= '' then
    local before
    for i = 7, #ARGV do before = before or redis.call('ZSCORE', P .. 'jobs_of:' .. ARGV[i], ARGV[5]) end
    if not before then return {} end
    upper = '(' .. before
end
for i = 7, #ARGV do lists[#lists + 1] = {key = P .. 'jobs_of:' .. ARGV[i], upper = upper, page = {}, at = 1} end
local function head(list)
    if list.at > #list.page and list.upper then
        list.page = redis.call('ZREVRANGEBYSCORE', list.key, list.upper, '-inf', 'WITHSCORES', 'LIMIT', 0, 200)
        list.at = 1
        list.upper = #list.page == 400 and '(' .. list.page[400] or nil
    end
    return list.page[list.at], tonumber(list.page[list.at + 1])
end
local found = {}
while #found < limit do
    local newest, newest_number
    for _, list in ipairs(lists) do
        local id, number = head(list)
        if id and (not newest or number > newest_number) then newest, newest_number = list, number end
    end
    if not newest then break end
    local id = newest.page[newest.at]
    newest.at = newest.at + 2
    local job = redis.call('HMGET', key_of(id), 'state', 'kind')
    if (state == '' or job[1] == state) and (kind == '' or job[2] == kind) then found[#found + 1] = all_fields(id) end
end
return found
