-- id question kept most: a question to a job. The list is empty before long, since whoever asks waits for `kept` at most.
local key = P .. 'questions:' .. ARGV[3]
drop_old_questions(key, tonumber(ARGV[5]))
local waiting = redis.call('LLEN', key)
if waiting >= tonumber(ARGV[6]) then return {'full', waiting} end
redis.call('RPUSH', key, int(NOW) .. ':' .. ARGV[4])
redis.call('PEXPIRE', key, ARGV[5])
return {'asked'}
