#!lua flags=no-writes
-- A command of the app's, such as LLEN queue. Nothing that writes is run, and what is answered has to be one number.
local words = {}
for word in ARGV[1]:gmatch('%S+') do
    words[#words + 1] = word
end
local found = redis.call(unpack(words))
if type(found) == 'table' then
    return redis.error_reply('it answers ' .. (found.ok and 'a word' or 'a list') .. ', not one number')
end
return found and tostring(found):sub(1, 200)
