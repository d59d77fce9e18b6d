-- id token lease
local id = ARGV[3]
if not held(id, ARGV[4]) then return {'lost'} end
local job = redis.call('HMGET', key_of(id), 'lane', 'cancel_requested')
hold(id, job[1], tonumber(ARGV[5]))
return {'held', job[2]}
