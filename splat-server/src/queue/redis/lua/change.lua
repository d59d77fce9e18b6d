-- id owner (field value|'')...: sets or removes fields that the owner may change.
-- Fields: title, pinned, share (JSON), and secret, the one of the share link.
local id = ARGV[3]
if field(id, 'owner') ~= ARGV[4] then return {'none'} end
for i = 5, #ARGV, 2 do
    local name, value = ARGV[i], ARGV[i + 1]
    local before = field(id, name)
    if name == 'secret' and before then redis.call('HDEL', P .. 'shares', before) end
    if value == '' then
        redis.call('HDEL', key_of(id), name)
    else
        set(id, name, value)
        if name == 'secret' then redis.call('HSET', P .. 'shares', value, id) end
    end
end
return {'job', all_fields(id)}
