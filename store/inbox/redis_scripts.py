"""What the inbox asks of Redis: one Lua script an operation, so that each happens wholly or not at all.

KEYS are ``store.inbox.redis.Keys`` in their order: the stream of posts, the hash of their digests, the stream
of dead letters. A lease is one consumer of the group, ``END:HOST:NONCE``, whose name says when it ends; see
docs/decisions/083-redis-inbox.md. Everything that can be refused is asked before the first write.
"""

from __future__ import annotations

GROUP = "workers"
"""The one consumer group."""

_SHARED = """
local posts, digests, dead, group = KEYS[1], KEYS[2], KEYS[3], 'workers'

local function field(entry, name)
  local fields = entry[2]
  for n = 1, #fields, 2 do
    if fields[n] == name then return fields[n + 1] end
  end
  return ''
end

local function read(id)
  return redis.call('XRANGE', posts, id, id)[1]
end

local function named(flat)
  local map = {}
  for n = 1, #flat, 2 do map[flat[n]] = flat[n + 1] end
  return map
end

-- When a lease ends; a consumer that is no lease of ours (somebody read by hand) has ended already.
local function ends(consumer)
  return tonumber(string.match(consumer, '^(%-?%d+):') or '') or -math.huge
end

-- Id of the last post that was ever leased; nil without a group.
local function cursor()
  local groups = redis.pcall('XINFO', 'GROUPS', posts)
  if groups.err then
    if redis.call('XLEN', posts) > 0 then error(groups) end
    return nil
  end
  for _, flat in ipairs(groups) do
    local each = named(flat)
    if each.name == group then return each['last-delivered-id'] end
  end
end

local function leases()
  local names = {}
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', posts, group)) do
    names[#names + 1] = named(flat)
  end
  return names
end

local function pending(consumer, limit)
  return redis.call('XPENDING', posts, group, '-', '+', limit, consumer)
end

-- Whether the lease still has the post. After a FLUSHALL no lease has anything.
local function holds(consumer, id)
  local rows = redis.pcall('XPENDING', posts, group, id, id, 1, consumer)
  if rows.err then
    if string.find(rows.err, 'NOGROUP', 1, true) then return false end
    error(rows)
  end
  return #rows > 0
end

local function forget(entry)
  redis.call('HDEL', digests, field(entry, 'digest'))
end

local function remove(consumer, id)
  redis.call('XACK', posts, group, id)
  redis.call('XDEL', posts, id)
  if #pending(consumer, 1) == 0 then redis.call('XGROUP', 'DELCONSUMER', posts, group, consumer) end
end
"""

# Draining must go on when memory is full: it is what makes room.
_DRAINS = "#!lua flags=allow-oom" + _SHARED

PUT = (
    "#!lua"
    + _SHARED
    + """
local at, new, seen = ARGV[1], {}, {}
for n = 2, #ARGV, 2 do
  local digest = ARGV[n]
  local id = redis.call('HGET', digests, digest)
  -- The digest of a post that somebody deleted by hand keeps nothing out.
  if not seen[digest] and not (id and read(id)) then
    seen[digest] = true
    new[#new + 1] = n
  end
end
for _, n in ipairs(new) do
  local id = redis.call('XADD', posts, '*', 'body', ARGV[n + 1], 'at', at, 'digest', ARGV[n])
  redis.call('HSET', digests, ARGV[n], id)
end
return #new
"""
)
"""ARGV: time, then digest and body of each post. Returns how many were added."""

LEASE = (
    _DRAINS
    + """
local now, limit, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local last = cursor()
if last == nil then
  if redis.call('XLEN', posts) == 0 then return {} end
  redis.call('XGROUP', 'CREATE', posts, group, '0')
  last = '0-0'
end
local ended, over = {}, {}
for _, each in ipairs(leases()) do
  if ends(each.name) <= now then
    over[#over + 1] = each.name
    for _, row in ipairs(pending(each.name, limit)) do ended[#ended + 1] = row[1] end
  end
end
table.sort(ended, function(one, two)
  local a, b = string.match(one, '(%d+)-(%d+)')
  local c, d = string.match(two, '(%d+)-(%d+)')
  if a == c then return tonumber(b) < tonumber(d) end
  return tonumber(a) < tonumber(c)
end)
-- What was leased before is older than everything that was not: ids rise.
local found = {}
for n = 1, math.min(limit, #ended) do
  local claimed = redis.call('XCLAIM', posts, group, lease, 0, ended[n])[1]
  if claimed then found[#found + 1] = claimed end
end
local room = limit - #found
if room > 0 and #redis.call('XRANGE', posts, '(' .. last, '+', 'COUNT', 1) > 0 then
  local streams = redis.call('XREADGROUP', 'GROUP', group, lease, 'COUNT', room, 'STREAMS', posts, '>')
  for _, entry in ipairs(streams[1][2]) do found[#found + 1] = entry end
end
for _, name in ipairs(over) do
  if #pending(name, 1) == 0 then redis.call('XGROUP', 'DELCONSUMER', posts, group, name) end
end
local tries, result = {}, {}
if #found > 0 then
  for _, row in ipairs(pending(lease, limit)) do tries[row[1]] = row[4] end
end
for n, entry in ipairs(found) do result[n] = {entry[1], field(entry, 'body'), tries[entry[1]]} end
return result
"""
)
"""ARGV: time, how many, name of the new lease. Returns ``[id, body, tries]`` of each post, oldest first."""

RETURN = (
    _DRAINS
    + """
for n = 2, #ARGV, 2 do
  if holds(ARGV[1], ARGV[n]) then
    redis.call('XCLAIM', posts, group, 'returned', 0, ARGV[n], 'RETRYCOUNT', ARGV[n + 1] - 1, 'JUSTID')
  end
end
if #pending(ARGV[1], 1) == 0 then redis.call('XGROUP', 'DELCONSUMER', posts, group, ARGV[1]) end
"""
)
"""ARGV: a lease, then id and tries of each of its posts: as if they had not been leased."""

ACKNOWLEDGE = (
    _DRAINS
    + """
local done = 0
for n = 1, #ARGV, 2 do
  local id, lease = ARGV[n], ARGV[n + 1]
  if holds(lease, id) then
    local entry = read(id)
    if entry then
      forget(entry)
      done = done + 1
    end
    remove(lease, id)
  end
end
return done
"""
)
"""ARGV: id and lease of each post. Returns how many were there and held."""

BURY = (
    _DRAINS
    + """
local id, lease = ARGV[1], ARGV[2]
if holds(lease, id) then
  local entry = read(id)
  if entry then
    redis.call('HLEN', digests)
    redis.call('XADD', dead, '*', 'body', field(entry, 'body'), 'at', ARGV[3], 'reason', ARGV[4])
    forget(entry)
  end
  remove(lease, id)
end
"""
)
"""ARGV: id, lease, time, reason."""

DEPTH = (
    "#!lua flags=no-writes"
    + _SHARED
    + """
local now, all, held, oldest = tonumber(ARGV[1]), redis.call('XLEN', posts), 0, nil
local function consider(entry)
  local at = entry and tonumber(field(entry, 'at'))
  if at and (not oldest or at < oldest) then oldest = at end
end
local last = cursor()
if last then
  for _, each in ipairs(leases()) do
    if ends(each.name) > now then
      held = held + each.pending
    else
      for _, row in ipairs(pending(each.name, 1)) do consider(read(row[1])) end
    end
  end
end
consider(redis.call('XRANGE', posts, last and '(' .. last or '-', '+', 'COUNT', 1)[1])
return {math.max(all - held, 0), held, redis.call('XLEN', dead), oldest and string.format('%.0f', oldest) or '',
  redis.call('HLEN', digests), last and 1 or 0}
"""
)
"""ARGV: time. Returns waiting, leased, dead, time of the oldest waiting (or ''), digests, whether there is a group."""

PRUNE = (
    _DRAINS
    + """
local gone = 0
for n = 1, #ARGV, 2 do
  if redis.call('HGET', digests, ARGV[n]) == ARGV[n + 1] and not read(ARGV[n + 1]) then
    gone = gone + redis.call('HDEL', digests, ARGV[n])
  end
end
return gone
"""
)
"""ARGV: digest and id of each post; forgets the digests whose post is gone. Returns how many."""

INDEX = (
    "#!lua"
    + _SHARED
    + """
local added, last = 0, ''
for _, entry in ipairs(redis.call('XRANGE', posts, ARGV[1], '+', 'COUNT', 500)) do
  local digest = field(entry, 'digest')
  if digest ~= '' then added = added + redis.call('HSETNX', digests, digest, entry[1]) end
  last = entry[1]
end
return {added, last}
"""
)
"""ARGV: where to begin. Notes the digests of 500 posts; returns how many were missing, and the last id."""
