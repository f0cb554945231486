package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/resp"
)

// script is Lua that this model knows: what it does is written a second time, in Go.
type script struct {
	lua string
	run func(k *call, keys, args []string) Reply
}

// scripts are those that EVAL may be given, by a name for templates.
var scripts = map[string]script{
	"move": { // over three shards, mostly; what was done before an error stays done
		`local v = redis.call('LPOP', KEYS[1])
if not v then return redis.error_reply('EMPTY nothing to move') end
redis.call('SADD', KEYS[2], v)
redis.call('HINCRBY', KEYS[3], v, 1)
return v`,
		func(k *call, keys, _ []string) Reply {
			v := k.must("LPOP", keys[0])
			if v.kind == resp.KindNull {
				return fault("EMPTY nothing to move")
			}
			k.must("SADD", keys[1], v.text)
			k.must("HINCRBY", keys[2], v.text, "1")
			return v
		},
	},
	"spread": {
		`for i, k in ipairs(KEYS) do redis.call('SET', k, ARGV[1] .. i) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('STRLEN', KEYS[1])`,
		func(k *call, keys, args []string) Reply {
			for i, key := range keys {
				k.must("SET", key, args[0]+fmt.Sprint(i+1))
			}
			k.must("PEXPIRE", keys[0], args[1])
			return k.must("STRLEN", keys[0])
		},
	},
	"draw": { // what it takes is a matter of chance, so it is told in any case
		`local m = redis.call('SPOP', KEYS[1])
if m then
  redis.pcall('RPUSH', KEYS[2], m)
  redis.pcall('ZINCRBY', KEYS[3], 1, m)
end
return m`,
		func(k *call, keys, _ []string) Reply {
			m := k.must("SPOP", keys[0])
			if m.kind != resp.KindNull {
				k.run([]string{"RPUSH", keys[1], m.text})
				k.run([]string{"ZINCRBY", keys[2], "1", m.text})
			}
			return m
		},
	},
	"push": {
		`redis.call('RPUSH', KEYS[1], ARGV[1], 'more')
return redis.call('LLEN', KEYS[1])`,
		func(k *call, keys, args []string) Reply {
			k.must("RPUSH", keys[0], args[0], "more")
			return k.must("LLEN", keys[0])
		},
	},
	"forgive": {
		`local r = redis.pcall('INCR', KEYS[1])
if type(r) == 'table' then r = 'failed' end
return redis.call('APPEND', KEYS[2], r)`,
		func(k *call, keys, _ []string) Reply {
			said := "failed"
			if r := k.run([]string{"INCR", keys[0]}); !r.IsError() {
				said = r.text
			}
			return k.must("APPEND", keys[1], said)
		},
	},
	"undeclared": {
		`redis.call('SET', 's' .. ARGV[1], 'x')
redis.call('DEL', 'l' .. ARGV[1])
return redis.call('EXISTS', 'h' .. ARGV[1])`,
		func(k *call, _, args []string) Reply {
			k.must("SET", "s"+args[0], "x")
			k.must("DEL", "l"+args[0])
			return k.must("EXISTS", "h"+args[0])
		},
	},
	"elsewhere": { // the client's database stays what it was
		`redis.call('SELECT', ARGV[1])
return redis.call('INCR', KEYS[1])`,
		func(k *call, keys, args []string) Reply {
			k.must("SELECT", args[0])
			return k.must("INCR", keys[0])
		},
	},
}

// library is one of functions that FUNCTION LOAD may be given.
type library struct {
	name, lua string
	functions map[string]func(k *call, keys, args []string) Reply
}

var libraries = []library{
	bumping("1"), bumping("10"),
	{"moving", `#!lua name=moving
redis.register_function('shift', function(keys) return redis.call('LMOVE', keys[1], keys[2], 'LEFT', 'RIGHT') end)`,
		map[string]func(k *call, keys, args []string) Reply{
			"shift": func(k *call, keys, _ []string) Reply {
				return k.must("LMOVE", keys[0], keys[1], "LEFT", "RIGHT")
			},
		}},
}

// bumping is a library that counts by a step of its own.
func bumping(by string) library {
	lua := `#!lua name=counting
redis.register_function('bump', function(keys, args)
  redis.call('HINCRBY', keys[1], args[1], ` + by + `)
  return redis.call('INCRBY', keys[2], ` + by + `)
end)`
	return library{"counting", lua, map[string]func(k *call, keys, args []string) Reply{
		"bump": func(k *call, keys, args []string) Reply {
			k.must("HINCRBY", keys[0], args[0], by)
			return k.must("INCRBY", keys[1], by)
		},
	}}
}

// Script is the text of a script that the model knows, for scenarios that are written
// by hand.
func Script(name string) string { return scripts[name].lua }

// Library is the text of a library of functions that the model knows.
func Library(name string) string {
	return libraries[slices.IndexFunc(libraries, func(l library) bool { return l.name == name })].lua
}

// raised is the panic that ends a script with an error of a command.
type raised struct{ reply Reply }

// must is redis.call in a script.
func (k *call) must(args ...string) Reply {
	r := k.run(args)
	if r.IsError() {
		panic(raised{r})
	}
	return r
}

// script runs one with the keys and arguments of EVAL or FCALL. An error ends it,
// and takes nothing back.
func (k *call) script(run func(k *call, keys, args []string) Reply) (r Reply) {
	db, n := k.db, k.int(k.args[2])
	rest := k.args[3:]
	k.require(n >= 0 && int(n) <= len(rest), "ERR Number of keys can't be greater than number of args")
	defer func() {
		k.db = db
		switch p := recover().(type) {
		case nil:
		case raised:
			r = p.reply
		default:
			panic(p)
		}
	}()
	return run(k, rest[:n], rest[n:])
}

func scriptCommands() map[string]command {
	return map[string]command{
		"eval": {3, true, func(k *call) Reply {
			for _, s := range scripts {
				if s.lua == k.args[1] {
					return k.script(s.run)
				}
			}
			panic(fmt.Sprintf("the model does not know this script: %s", k.args[1]))
		}},
		"fcall": {3, true, func(k *call) Reply {
			for _, l := range libraries {
				if run, is := l.functions[k.args[1]]; is && k.st.libs[l.name] == l.lua {
					return k.script(run)
				}
			}
			return fault("ERR Function not found")
		}},
		"function": {2, true, function},
	}
}

// function is FUNCTION LOAD [REPLACE] code, DELETE name and FLUSH.
func function(k *call) Reply {
	libs := maps.Clone(k.st.libs)
	if libs == nil {
		libs = map[string]string{}
	}
	reply := ok
	switch args := k.args[2:]; strings.ToLower(k.args[1]) {
	case "load":
		lua := args[len(args)-1]
		i := slices.IndexFunc(libraries, func(l library) bool { return l.lua == lua })
		if i < 0 {
			panic(fmt.Sprintf("the model does not know this library: %s", lua))
		}
		name := libraries[i].name
		_, there := libs[name]
		k.require(!there || len(args) > 1, "ERR Library already exists")
		libs[name], reply = lua, text(name)
	case "delete":
		_, there := libs[args[0]]
		k.require(there, "ERR Library not found")
		delete(libs, args[0])
	case "flush":
		clear(libs)
	default:
		k.fail("ERR unknown subcommand")
	}
	k.st.libs = libs
	return reply
}
