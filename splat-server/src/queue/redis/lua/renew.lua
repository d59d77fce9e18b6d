-- id token lease: extends the lease of a claim.
local id = ARGV[3]
if not held(id, ARGV[4]) then return {'lost'} end
local job = redis.call('HMGET', key_of(id), 'lane', 'cancel_requested')
set_lease(id, job[1], tonumber(ARGV[5]))
return {'held', job[2]}
