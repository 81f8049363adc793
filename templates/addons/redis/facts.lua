#!lua flags=no-writes
-- What `paas addons info` and a backup's manifest say.
local function said(section, name)
    return redis.call('INFO', section):match('\n' .. name .. ':([^\r\n]*)')
end

local keys = 0
for count in redis.call('INFO', 'keyspace'):gmatch('keys=(%d+)') do
    keys = keys + tonumber(count)
end
return cjson.encode({
    version = said('server', 'redis_version'),
    size = tonumber(said('memory', 'used_memory_dataset')),
    tables = keys,
    connections = tonumber(said('clients', 'connected_clients')) - 1,
})
