-- id kept: takes the oldest pending question to a job.
local key = P .. 'questions:' .. ARGV[3]
drop_old_questions(key, tonumber(ARGV[4]))
local next = redis.call('LPOP', key)
if not next then return {'none'} end
return {'question', string.sub(next, string.find(next, ':', 1, true) + 1)}
