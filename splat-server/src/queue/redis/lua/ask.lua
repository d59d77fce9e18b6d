-- id question kept most: adds a question to a running job, unless `most` are pending. The list expires after `kept` milliseconds, which
-- is as long as a client waits.
local key = P .. 'questions:' .. ARGV[3]
drop_old_questions(key, tonumber(ARGV[5]))
local waiting = redis.call('LLEN', key)
if waiting >= tonumber(ARGV[6]) then return {'full', waiting} end
redis.call('RPUSH', key, int(NOW) .. ':' .. ARGV[4])
redis.call('PEXPIRE', key, ARGV[5])
return {'asked'}
