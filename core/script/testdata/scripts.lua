return 1
---
return 'a' .. 1 .. 2.5 .. 1/3 .. 1e15 .. 1e100 .. -0
---
return {1, 2, 'x', true, false, nil, 7}
---
return {ok='fine'}
---
return {err='MY problem'}
---
return {double=3.5}
---
return {map={a=1}}
---
return {set={a=true}}
---
return {big_number='1234567890123456789012345678901234567890'}
---
return {verbatim_string={format='txt', string='hello'}}
---
redis.setresp(3) return true
---
redis.setresp(3) return false
---
redis.setresp(4)
---
redis.setresp()
---
return redis.call()
---
return redis.pcall()
---
return redis.call('nosuch')
---
return {pcall(redis.call, 'nosuch')}
---
return redis.pcall('nosuch')
---
return redis.call('echo')
---
return redis.call('echo', {})
---
return redis.call('echo', 1.5)
---
return redis.call('echo', 2^53)
---
return redis.call('eval', 'return 1', 0)
---
return redis.sha1hex('')
---
return redis.sha1hex(1)
---
return redis.sha1hex()
---
return redis.error_reply('My Err')
---
return redis.error_reply('NOSPACE')
---
return redis.error_reply('-NOSPACE')
---
return redis.error_reply('')
---
return redis.error_reply(1)
---
return redis.status_reply('Yes')
---
return redis.status_reply()
---
return redis.log()
---
return redis.log(1)
---
return redis.log('x', 'y')
---
return redis.log(10, 'y')
---
return redis.log(redis.LOG_DEBUG, 'y')
---
return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING, redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REPL_ALL}
---
return {redis.REDIS_VERSION, redis.REDIS_VERSION_NUM}
---
return redis.set_repl(redis.REPL_ALL)
---
return redis.set_repl(9)
---
return redis.set_repl()
---
return {redis.replicate_commands(), redis.breakpoint(), redis.debug('x')}
---
return redis.acl_check_cmd('set', 'a', 'b')
---
return redis.acl_check_cmd('nosuch')
---
return redis.acl_check_cmd()
---
local t = {} for k in pairs(_G) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(string) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(table) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(math) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(redis) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(coroutine) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(cjson) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(cmsgpack) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(bit) do t[#t+1] = k end table.sort(t) return t
---
local t = {} for k in pairs(struct) do t[#t+1] = k end table.sort(t) return t
---
return foo
---
return _G.foo
---
foo = 1
---
_G.foo = 1
---
rawset(_G, 'foo', 1)
---
return rawget(_G, 'foo')
---
setmetatable(_G, {})
---
getmetatable(_G).__index = {}
---
redis.call = 1
---
string.x = 1
---
getmetatable('').__index = 1
---
table.insert(redis, 1)
---
table.sort(redis)
---
table.remove(string)
---
setmetatable(redis, {})
---
return os
---
return io.open
---
return debug
---
return require
---
return dofile
---
return print
---
return type(_G)
---
return {type(1), type('x'), type(nil), type({}), type(print_ == nil), type(type), type(cjson.null)}
---
local a return a.b
---
local a return a.b.c
---
local t = {} return t.a.b
---
local t = {} t.a.b = 1
---
local t = {} return t.x()
---
local t = {} return t:x()
---
local f return f()
---
return redis.nosuch()
---
return ('x').y.z
---
return nil + 1
---
local a = {} return a + 1
---
local a = 'x' return a + 1
---
local a return a .. 'x'
---
local t = {} return 'x' .. t.y
---
return 'x' .. {}
---
return 1 < 'x'
---
return {} < {}
---
return nil < 1
---
return #nil
---
local a return #a
---
for i = 'x', 2 do end
---
for i = 1, 'x' do end
---
for i = 1, 2, {} do end
---
error('plain')
---
error('level 2', 2)
---
error('no place', 0)
---
error({err='TABLE error'})
---
error()
---
error(nil)
---
error(12)
---
local function f() error('deep') end
local function g() f() end
g()
---
return {pcall(error, 'x')}
---
return {pcall(error, {err='E x'})}
---
return {pcall(error)}
---
return {pcall(function() return 1, 2, 3 end)}
---
return {xpcall(function() error('x') end, function(e) return 'handled: ' .. e end)}
---
return {xpcall(function() return 'fine' end, function(e) return e end)}
---
return {select('#', 1, nil, 3), select(2, 'a', 'b', 'c')}
---
return select(-1, 'a', 'b')
---
return select(0)
---
return {unpack({1, 2, 3})}
---
return {unpack({1, 2, 3}, 2)}
---
return {unpack({}, 1, 1e8)}
---
return {unpack()}
---
return {tonumber('0x10'), tonumber('  12  '), tonumber('1e2'), tonumber('z', 36), tonumber('7', 8), tonumber('')}
---
return {tostring(1e15), tostring(123456789012345678), tostring(0.1), tostring(1/0), tostring(-1/0), tostring(nil), tostring(true)}
---
return {math.floor(1.5), math.ceil(1.5), math.abs(-2), math.max(1, 5, 3), math.min(4, 2), math.fmod(7, 3), math.pow(2, 10), math.huge == 1/0}
---
return {math.modf(3.7)}
---
return {math.frexp(8)}
---
math.randomseed(10) return {math.random(1000000), math.random(1000000), tostring(math.random()), math.random(5, 9)}
---
return math.random(0)
---
return math.random(3, 1)
---
return math.random(1, 2, 3)
---
local t = {5, 3, 1, 4} table.sort(t) return t
---
local t = {5, 3, 1, 4} table.sort(t, function(a, b) return a > b end) return t
---
local t = {5, 'x'} table.sort(t)
---
local t = {3,1,2} table.sort(t, function(a, b) return true end) return #t
---
local t = {1, 2, 3} table.insert(t, 2, 'x') return t
---
local t = {1, 2, 3} return {table.remove(t), table.remove(t, 1), table.remove({}), #t}
---
return table.concat({1, 2.5, 'x'}, ', ')
---
return table.concat({1, {}, 3})
---
return table.concat({1, 2, 3}, '-', 2, 3)
---
local n = 0 table.foreach({1, 2}, function(k, v) n = n + k * v end) return n
---
local t = {} table.foreachi({5, 6}, function(i, v) t[i] = v end) return t
---
return {table.maxn({1, 2, [10] = 1}), table.getn({1, 2})}
---
return table.insert({1}, 1, 2, 3)
---
return table.setn({}, 1)
---
return string.rep('ab', 3)
---
return #string.rep('x', 1000)
---
return string.gfind('x', 'y')
---
return loadstring('return 1 + 1')()
---
return {loadstring('return +')}
---
return {loadstring('x = = 1', '=name')}
---
return {loadstring('x = = 1', '@name')}
---
return {loadstring('for')}
---
return {loadstring('if x then')}
---
return {loadstring('local x = "abc')}
---
return {loadstring("return 'a\nb'")}
---
return {loadstring('x = }')}
---
return {loadstring('return 1e')}
---
return {loadstring('x')}
---
return {loadstring('f() = 1')}
---
return {loadstring('break')}
---
return {loadstring('return ...')}
---
return {loadstring('function f() return ... end')}
---
return {loadstring('a.b:c = 1')}
---
return {loadstring('return 1 return 2')}
---
return {loadstring('--[[ x')}
---
return {loadstring('x = [[ y')}
---
return {loadstring('x = [=y')}
---
return {loadstring('local function 1() end')}
---
return {loadstring('x = "\\300"')}
---
return {loadstring('while true do\n\nx = 1')}
---
return {loadstring('f(\n1')}
---
return {loadstring('x = {1, 2')}
---
return {loadstring('for i = 1 do end')}
---
return {loadstring('for i in 1')}
---
return {loadstring('f\n(1)')}
---
return {loadstring(string.rep('(', 300))}
---
return {loadstring('return ' .. string.rep('-', 300) .. '1')}
---
return {loadstring(string.dump(function() end))}
---
return {loadstring('error("in chunk")')}
---
loadstring('\n\nerror("in chunk")', '@file.lua')()
---
loadstring('error("in string")')()
---
local i = 0 return load(function() i = i + 1 if i == 1 then return 'return ' elseif i == 2 then return '5' end end)()
---
return {load(function() return {} end)}
---
local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
return {coroutine.resume(co, 1), select(2, coroutine.resume(co, 10)), coroutine.status(co), coroutine.resume(co)}
---
local f = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) return {f(), f(), f()}
---
local co = coroutine.create(function() error('inside') end) return {coroutine.resume(co)}
---
return coroutine.create(print_)
---
local t = setmetatable({}, {__index = function(t, k) return k .. '!' end}) return t.x
---
local t = setmetatable({}, {__call = function(self, a) return a end}) return t(5)
---
local t = setmetatable({}, {__concat = function(a, b) return 'joined' end}) return {t .. 'x', 'x' .. t, 1 .. t}
---
local t = setmetatable({}, {__tostring = function() return 'me' end}) return tostring(t)
---
local t = setmetatable({}, {__metatable = 'no'}) return {getmetatable(t), pcall(setmetatable, t, {})}
---
local a = setmetatable({}, {__eq = function() return true end}) return a == a
---
local mt = {__lt = function() return true end} return setmetatable({}, mt) < setmetatable({}, mt)
---
local mt = {__add = function(a, b) return 'sum' end, __unm = function() return 'neg' end, } local t = setmetatable({}, mt) return {t + 1, 1 + t, -t}
---
local t = {} t[nil] = 1
---
local t = {} t[0/0] = 1
---
rawset({}, nil, 1)
---
return {rawequal('a', 'a'), rawequal({}, {}), rawget({5}, 1)}
---
return next({})
---
return {next({7})}
---
return ipairs()
---
return ipairs(nil)
---
return pairs(nil)
---
return setmetatable(1, {})
---
return setmetatable({}, 1)
---
return getmetatable()
---
return tostring()
---
return tonumber()
---
return assert(false)
---
return assert(nil, 'because')
---
return {assert(1, 2, 3)}
---
return string.rep()
---
return string.rep('x', {})
---
return ('x'):rep({})
---
return ('x'):nosuch()
---
return string.char(300)
---
return string.char('x')
---
return string.format('%d', 'x')
---
return string.format('%s')
---
return string.format('%s %q', 'a', 'b\n"c"\0')
---
return string.format('%5.2f|%-5d|%05d|%x|%g', 3.14159, 42, 42, 255, 1e20)
---
return cjson.encode({[1]=1,[20]=2})
---
return cjson.encode({[1]=1,[2]=2,[4]=4})
---
return cjson.encode({a=print_})
---
return cjson.encode(function() end)
---
return cjson.encode({[true]=1})
---
return cjson.encode(1/0)
---
return cjson.encode()
---
return cjson.decode()
---
return cjson.decode({})
---
local t = {} t.t = t return cjson.encode(t)
---
return cjson.decode(string.rep('[', 1001))
---
return cjson.encode_max_depth(0)
---
return cjson.encode_number_precision(20)
---
return cjson.encode_sparse_array('x')
---
return cjson.encode_max_depth(1, 2)
---
return cmsgpack.pack()
---
local t = {} t.t = t return cmsgpack.pack(t)
---
return cmsgpack.unpack('\255\255')
---
return cmsgpack.unpack('\193')
---
return cmsgpack.unpack('\221\255\255\255\255')
---
return cmsgpack.unpack()
---
return struct.pack('i33', 1)
---
return struct.pack('c10', 'x')
---
return struct.pack('z', 1)
---
return struct.unpack('>I2h', '\1\2\3\4')
---
return struct.unpack('I8', 'x')
---
return bit.band()
---
return bit.tohex(255, -4)
---
local function f() return f() end return 1
---
return {collectgarbage('collect'), type(collectgarbage('count')), type(gcinfo())}
---
return collectgarbage('x')
---
return _VERSION
---
local x <const> = 1
---
#!/usr/bin/lua
return 1
---
#!lua flags=no-writes
return 1
---
#!lua flags=nosuch
return 1
---
#!lua name=x
return 1
---
#!lua
error('second line')
---
return {1, {2, {3, {4}}}, 'end'}
---
return 3.99
---
return -3.99
---
return 2^62
---
return nil
---
return
---
local t = {'a', 'b'} t.x = 1 return t
---
return {err='x', ok='y'}
---
return {ok=1}
---
return {err=1}
---
return {ok="a\r\nb"}
---
return {err="a\r\nb"}
---
return ARGV[1], KEYS[1]
---
return #ARGV + #KEYS
---
KEYS = 1
---
KEYS[1] = 'x' return KEYS
---
local a, b, c = 1 return {a, b == nil, c == nil}
---
local s = 0 for i = 10, 1, -3 do s = s + i end return s
---
local s = '' for w in string.gmatch('one two  three', '%a+') do s = s .. w .. ';' end return s
---
local i = 0 repeat local j = i i = i + 1 until j > 3 return i
---
return 7 % 3 + -7 % 3 + 7 % -3 + 2 ^ 3 ^ 2
---
return 'a' < 'b' and 'B' < 'a' and 'a' <= 'a'
---
return 10 == '10'
---
return '10' + 5
---
return '0x10' + 1
---
return not nil and 1 or 2
---
return (function(...) local a, b = ... return select('#', ...) + a + b end)(1, 2, 3)
---
return (function(...) return arg.n end)(1, 2, 3)
---
return "a\65\066\0c\z"
---
return #"a\0b"
---
return [==[
line]]]==]
---
local t = {n = 1, [2] = 'two', 'one'; 'TWO'} return {t[1], t[2], t.n}
---
return 0x7fffffffffffffff
---
return 1 --[[ comment ]] + --[==[ another ]==] 2 -- rest
---
local t = {} for i = 1, 10 do t[i] = i end for i = 1, 5 do t[i] = nil end return #t == 10 or #t == 0
---
local x = 1 local f = function() return x end pcall(error, 'e') x = 2 return f()
---
local x = 1 local f = function() return x end redis.pcall('nosuch') x = 2 return f()
---
local saved pcall(function() local x = 1 saved = function() x = x + 1 return x end error('e') end) local a, b, c, d = 7, 8, 9, 10 return {saved(), saved(), a, b, c, d}
---
local saved xpcall(function() local x = 1 saved = function() x = x + 1 return x end error('e') end, function(e) return e end) local a, b, c, d = 7, 8, 9, 10 return {saved(), saved(), a, b, c, d}
---
local n = 0 local function inc() n = n + 1 end for i = 1, 3 do pcall(function() inc() error('x') end) n = n + 10 end return n
---
local n = 0 local function inc() n = n + 1 end for i = 1, 3 do xpcall(function() inc() error('x') end, function(e) inc() return e end) n = n + 10 end return n
---
local t = {} for i = 1, 3 do t[i] = function() i = i + 1 return i end end return {t[1](), t[1](), t[2](), t[3]()}
---
local function deep(n) if n == 0 then error('bottom') end return 1 + deep(n - 1) end return {pcall(deep, 5000)}
---
coroutine.yield(1)
---
local co = coroutine.create(function() pcall(function() coroutine.yield(1) end) return 'after' end) return {coroutine.resume(co)}
---
local co = coroutine.create(function() return {pcall(coroutine.yield, 1)} end) return select(2, coroutine.resume(co))
---
return {coroutine.running() == nil, pcall(coroutine.running)}
---
local co = coroutine.create(function() table.sort({3, 2, 1}, function(a, b) coroutine.yield(1) return a < b end) end) return {coroutine.resume(co)}
---
local f = coroutine.wrap(function() error('wrapped') end) return {pcall(f)}
---
local f = coroutine.wrap(function() return 1 end) f() return f()
---
local function nest(n) if n == 0 then return 'x' end return select(2, pcall(nest, n - 1)) end return nest(50)
---
local ok, e = pcall(function() local t = nil; return t.x end) return e
---
local co = coroutine.create(function() local t = nil; return t.x end) return {coroutine.resume(co)}
---
return {xpcall(function() local t = nil; return t.x end, function(e) return e .. '!' end)}
---
return {xpcall(function() error('a') end, function(e) error('b') end)}
---
local n = 0 local t = setmetatable({}, {__index = function(t, k) n = n + 1 if n > 3 then error('idx') end return t[k .. 'x'] end}) return {pcall(function() return t.a end)}
---
local s = 0 for i = 1, '4' do s = s + i end return s
---
local r = {} for i = ' 2 ', '0x10', '4' do r[#r+1] = type(i) .. i end return r
---
local r = {} for i = '3', 1, '-1' do r[#r+1] = i end return r
---
local n = 0 for i = 1, #{1, 2} .. '' do n = n + 1 end return n
---
local r = {} local function f() return '1', 5 end for i = f(), (f()) + 2 do r[#r+1] = i end return r
---
local r = {} local function f(...) for i = 1, ... do r[#r+1] = i end end f('3', 9) return r
---
local t = {n = '2'} local r = {} for i = t.n, t['n'] * 2, t.n do r[#r+1] = tostring(i) end return r
---
for i = 'x', 2 do end
---
for i = '', 2 do end
---
for i = 1, 'x' do end
---
for i = 1, '' do end
---
for i = 1, nil do end
---
for i = 1, 2, {} do end
---
for i = 1, 2, '1e' do end
---
for i = nil, 2 do end
---
local t = {}
for i = 1,
  t.x do end
---
return {pcall(function() for i = 1, true do end end)}
---
for i = 1, nosuch do end
---
local x for i = 1, x.y do end
---
local n = 0 for i = 1, tonumber('3') do for j = '1', i do n = n + j end end return n
---
for k in pairs(_G) do if string.byte(k) == 0 then return k end end return 'none'
