-- id token progress|'' stage percent bytes|'' number_of_events event... (name artifact)...: stores a worker's report.
local id = ARGV[3]
if not held(id, ARGV[4]) then return {'lost'} end
if ARGV[5] ~= '' then set(id, 'progress', ARGV[5], 'stage', ARGV[6], 'percent', ARGV[7]) end
if ARGV[8] ~= '' then keep_bytes(id, field(id, 'owner'), tonumber(ARGV[8])) end
local events = tonumber(ARGV[9])
for i = 10, 9 + events do add_event(id, ARGV[i]) end
-- Artefacts are fields of the job named `artifact:<name>`. A value is a four-digit sequence number, followed by JSON.
for i = 10 + events, #ARGV, 2 do
    local name = 'artifact:' .. ARGV[i]
    local known = field(id, name)
    local order = known and string.sub(known, 1, 4)
        or string.format('%04d', redis.call('HINCRBY', key_of(id), 'artifacts_counted', 1))
    set(id, name, order .. ARGV[i + 1])
end
set(id, 'updated_ms', int(NOW))
return {'held', field(id, 'cancel_requested')}
