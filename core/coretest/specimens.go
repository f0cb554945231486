package coretest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spillwaydb/spillway/core/coretest/model"
	"github.com/spillwaydb/spillway/core/resp"
)

// Specimen is one of what an engine can hold: a key, of one type in one encoding, or a
// library of functions.
type Specimen struct {
	Name     string // its type and a word, "hash listpackex"
	DB       int
	Key      string // of a library: none
	Encoding string // as OBJECT ENCODING says it; "": that does not matter here
	Newer    bool   // Redis 7.0 has no such thing
	Make     [][]string
}

// Type is the type of the key, as TYPE says it.
func (s *Specimen) Type() string {
	typ, _, _ := strings.Cut(s.Name, " ")
	return typ
}

// deadline is one behind the end of every test, in milliseconds.
const deadline = "4102444800123"

// Specimens are a value of every type, in each of its encodings and at the edges of
// what it may hold, with deadlines and without, in several databases, and libraries
// of functions. Their commands go to one client in this order.
func Specimens() []Specimen {
	var all []Specimen
	for _, family := range [][]Specimen{stringSpecimens(), listSpecimens(), setSpecimens(), hashSpecimens(), streamSpecimens()} {
		all = append(all, family...)
	}
	for i := range all { // the key is the name, but for those of which the key is the point
		if s := &all[i]; s.Key == "" {
			s.Key = s.Name
			for _, args := range s.Make {
				fill(args, s.Key)
			}
		}
	}
	for _, typ := range []string{"string", "list", "set", "zset", "hash", "stream"} { // each with a deadline
		for i := range all {
			if s := all[i]; s.Type() == typ {
				with := Specimen{Name: typ + " deadline", Key: typ + " deadline", DB: 9}
				for _, args := range s.Make {
					args = append([]string(nil), args...)
					for j, a := range args {
						if a == s.Key {
							args[j] = with.Key
						}
					}
					with.Make = append(with.Make, args)
				}
				with.Make = append(with.Make, []string{"PEXPIREAT", with.Key, deadline})
				all = append(all, with)
				break
			}
		}
	}
	return append(all,
		Specimen{Name: "string no name", DB: 9, Make: [][]string{{"SET", "", "v"}}},
		Specimen{Name: "string last database", Key: "k", DB: 15, Make: [][]string{{"SET", "k", "15"}}},
		Specimen{Name: "string other database", Key: "k", DB: 1, Make: [][]string{{"SET", "k", "1"}}},
		Specimen{Name: "library plain", Make: [][]string{{"FUNCTION", "LOAD", "#!lua name=plain\nredis.register_function('plain', function() return 1 end)"}}},
		Specimen{Name: "library flags", Make: [][]string{{"FUNCTION", "LOAD", "#!lua name=flags\nredis.register_function{function_name='reads', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}, description='reads'}"}}},
	)
}

// fill puts the key where a command has a *.
func fill(args []string, key string) {
	for i, a := range args {
		if a == "*" {
			args[i] = key
		}
	}
}

// many is a command of n elements.
func many(verb string, n int, element func(i int) []string) []string {
	args := []string{verb, "*"}
	for i := range n {
		args = append(args, element(i)...)
	}
	return args
}

func one(i int) []string  { return []string{strconv.Itoa(i)} }
func pair(i int) []string { return []string{strconv.Itoa(i), "v" + strconv.Itoa(i)} }

// noise is n bytes that do not compress.
func noise(n int) string {
	b, x := make([]byte, n), uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

func stringSpecimens() []Specimen {
	return []Specimen{
		{Name: "string int", Encoding: "int", Make: [][]string{{"SET", "*", "12345"}}},
		{Name: "string smallest", Encoding: "int", Make: [][]string{{"SET", "*", "-9223372036854775808"}}},
		{Name: "string zeros", Encoding: "embstr", Make: [][]string{{"SET", "*", "007"}}},
		{Name: "string empty", Encoding: "embstr", Make: [][]string{{"SET", "*", ""}}},
		{Name: "string embstr", Encoding: "embstr", Make: [][]string{{"SET", "*", "hello"}}},
		{Name: "string raw", Encoding: "raw", Make: [][]string{{"SET", "*", strings.Repeat("x", 100)}, {"APPEND", "*", "y"}}},
		{Name: "string noise", Make: [][]string{{"SET", "*", noise(70_000)}}},
		{Name: "string large", Make: [][]string{{"SET", "*", strings.Repeat("0123456789", 120_000)}}},
		{Name: "string bits", Make: [][]string{{"SETBIT", "*", "99999", "1"}, {"BITFIELD", "*", "SET", "u63", "3", "9223372036854775807"}}},
		{Name: "string sparse", Make: [][]string{{"PFADD", "*", "a", "b", "c"}}},
		{Name: "string dense", Make: [][]string{many("PFADD", 5000, one)}},
		{Name: "string any bytes", Key: "\xff\r\n \"$*", Make: [][]string{{"SET", "\xff\r\n \"$*", "\x00\r\n\xfe"}}},
	}
}

func listSpecimens() []Specimen {
	return []Specimen{
		{Name: "list listpack", Encoding: "quicklist", Make: [][]string{{"RPUSH", "*", "a", "-5", "", "a"}}}, // as Redis 7.0 says it
		{Name: "list quicklist", Encoding: "quicklist", Make: [][]string{many("RPUSH", 9000, one)}},
		{Name: "list wide", Make: [][]string{{"RPUSH", "*", noise(20_000), "127", "-128", "32767", "-8388608", "2147483647", "-9223372036854775808", "", noise(63), noise(64), strings.Repeat("y", 5000)}}},
	}
}

func setSpecimens() []Specimen {
	long := strings.Repeat("x", 100)
	return []Specimen{
		{Name: "set intset", Encoding: "intset", Make: [][]string{{"SADD", "*", "3", "-70000", "5000000000"}}},
		{Name: "set shorts", Encoding: "intset", Make: [][]string{{"SADD", "*", "-32768", "32767", "0"}}},
		{Name: "set ends", Encoding: "intset", Make: [][]string{{"SADD", "*", "-9223372036854775808", "9223372036854775807"}}},
		{Name: "set listpack", Encoding: "listpack", Make: [][]string{{"SADD", "*", "a", "1", "", "\x00"}}},
		{Name: "set hashtable", Encoding: "hashtable", Make: [][]string{{"SADD", "*", long, "1"}, many("SADD", 200, one)}},
		{Name: "zset listpack", Encoding: "listpack", Make: [][]string{{"ZADD", "*", "1.5", "a", "-inf", "b", "0.1", "7"}}},
		{Name: "zset skiplist", Encoding: "skiplist", Make: [][]string{{"ZADD", "*", "inf", long, "0.1", "n"}, many("ZADD", 200, pair)}},
		{Name: "zset scores", Make: [][]string{{"ZADD", "*", "-0", "zero", "5e-324", "least", "1.7976931348623157e308", "most", "0.1", "tenth", "0.1", "tie", "9007199254740993", "odd", "-inf", ""}}},
		{Name: "zset places", Make: [][]string{{"GEOADD", "*", "13.361389", "38.115556", "Palermo", "15.087269", "37.502669", "Catania"}}},
	}
}

func hashSpecimens() []Specimen {
	long := strings.Repeat("x", 100)
	return []Specimen{
		{Name: "hash listpack", Encoding: "listpack", Make: [][]string{{"HSET", "*", "f", "v", "n", "42", "", "", "\x00", "\xff"}}},
		{Name: "hash hashtable", Encoding: "hashtable", Make: [][]string{{"HSET", "*", long, "v"}, many("HSET", 100, pair)}},
		{Name: "hash listpackex", Encoding: "listpackex", Newer: true, Make: [][]string{
			{"HSET", "*", "f", "v", "n", "42", "g", "w"}, {"HPEXPIREAT", "*", deadline, "FIELDS", "1", "n"}, {"HPEXPIREAT", "*", "4102444800122", "FIELDS", "1", "g"},
		}},
		{Name: "hash fields", Newer: true, Make: [][]string{ // a large one
			many("HSET", 700, pair), {"HPEXPIREAT", "*", deadline, "FIELDS", "3", "7", "8", "299"}, {"HPEXPIREAT", "*", "4202444800122", "FIELDS", "1", "5"},
		}},
		{Name: "hash both", Newer: true, Make: [][]string{ // and one of the key
			{"HSET", "*", "f", "v", long, long}, {"HPEXPIREAT", "*", deadline, "FIELDS", "2", "f", long}, {"PEXPIREAT", "*", "4102444800999"},
		}},
		{Name: "hash persisted", Make: [][]string{
			{"HSET", "*", "f", "v", "n", "42"}, {"HPEXPIREAT", "*", deadline, "FIELDS", "1", "n"}, {"HPERSIST", "*", "FIELDS", "1", "n"},
		}},
	}
}

func streamSpecimens() []Specimen {
	add := func(n int) (cmds [][]string) {
		for i := range n {
			cmds = append(cmds, []string{"XADD", "*", fmt.Sprint("5-", i+1), "f", "v" + strconv.Itoa(i), "n", strconv.Itoa(i)})
		}
		return cmds
	}
	return []Specimen{
		{Name: "stream stream", Encoding: "stream", Make: append(add(250), // several nodes, entries deleted, groups, what is pending of them, one of that deleted
			[]string{"XDEL", "*", "5-3", "5-120"}, []string{"XTRIM", "*", "MAXLEN", "245"},
			[]string{"XGROUP", "CREATE", "*", "g", "0"}, []string{"XGROUP", "CREATE", "*", "idle", "$", "ENTRIESREAD", "7"},
			[]string{"XREADGROUP", "GROUP", "g", "c1", "COUNT", "120", "STREAMS", "*", ">"},
			[]string{"XREADGROUP", "GROUP", "g", "c2", "COUNT", "5", "STREAMS", "*", ">"},
			[]string{"XREADGROUP", "GROUP", "g", "c1", "COUNT", "3", "STREAMS", "*", "0"},
			[]string{"XGROUP", "CREATECONSUMER", "*", "g", "c3"}, []string{"XDEL", "*", "5-9", "5-11"})},
		{Name: "stream empty", Make: [][]string{{"XGROUP", "CREATE", "*", "g", "0", "MKSTREAM"}}},
		{Name: "stream emptied", Make: append(add(3), []string{"XTRIM", "*", "MAXLEN", "0"})},
		{Name: "stream dangling", Make: append(add(1), []string{"XGROUP", "CREATE", "*", "g", "0"}, []string{"XREADGROUP", "GROUP", "g", "c", "STREAMS", "*", ">"}, []string{"XTRIM", "*", "MAXLEN", "0"})},
		{Name: "stream numbered", Make: append(add(3), []string{"XSETID", "*", "7-1", "ENTRIESADDED", "1000", "MAXDELETEDID", "6-9"})},
		{Name: "stream set back", Make: append(add(9), []string{"XDEL", "*", "5-8", "5-9"}, []string{"XSETID", "*", "5-7"}, []string{"XADD", "*", "5-8", "f", "again"})},
		{Name: "stream last", Make: [][]string{{"XADD", "*", "18446744073709551615-18446744073709551614", "f", "v"}, {"XADD", "*", "18446744073709551615-18446744073709551615", "f", "v"}}},
		{Name: "stream claimed", Make: append(add(6), // counts, times and owners that no delivery gives
			[]string{"XGROUP", "CREATE", "*", "g", "0"}, []string{"XREADGROUP", "GROUP", "g", "c1", "COUNT", "4", "STREAMS", "*", ">"},
			[]string{"XCLAIM", "*", "g", "c2", "0", "5-1", "TIME", "1234567890123", "RETRYCOUNT", "77", "LASTID", "5-5"},
			[]string{"XCLAIM", "*", "g", "c3", "0", "5-2", "JUSTID"}, []string{"XCLAIM", "*", "g", "c3", "0", "5-6", "TIME", "5", "FORCE", "JUSTID"}, []string{"XACK", "*", "g", "5-3"})},
		{Name: "stream groups", Make: append(add(5), // read to here, to there, and nobody knows how far
			[]string{"XGROUP", "CREATE", "*", "a", "5-2", "ENTRIESREAD", "2"}, []string{"XGROUP", "CREATE", "*", "b", "5-4"}, []string{"XGROUP", "SETID", "*", "a", "5-3", "ENTRIESREAD", "3"},
			[]string{"XGROUP", "CREATE", "*", "\x00", "$"}, []string{"XGROUP", "CREATECONSUMER", "*", "\x00", "\r\n"}, []string{"XGROUP", "CREATE", "*", "gone", "0"}, []string{"XGROUP", "DESTROY", "*", "gone"})},
		{Name: "stream wide", Make: [][]string{
			append([]string{"XADD", "*", "1-1"}, many("", 300, pair)[2:]...), {"XADD", "*", "1-2", "", ""}, {"XADD", "*", "2-0", "noise", noise(9000)}, {"XADD", "*", "3-0", "a", "1", "b", "2"}, {"XADD", "*", "3-1", "a", "3", "b", "4"},
		}},
	}
}

// Contents is everything that an engine, or a redis-server, holds at the time now
// (Unix milliseconds), in a form that is equal where that is: what [model.Read] finds
// by commands, and the digest of it. do is the only client.
func Contents(now int64, do func(args ...string) (resp.Value, error)) (string, error) {
	s, err := model.Read(do)
	if err != nil {
		return "", err
	}
	v, err := do("DEBUG", "DIGEST")
	if err == nil {
		err = v.Err()
	}
	if err != nil {
		return "", err
	}
	_, err = do("SELECT", "0")
	return fmt.Sprintf("%sdigest %s\n", s.Text(now), v.Text()), err
}

// ContentsDiff is where two texts of [Contents] differ: the lines that only got has
// behind "+", those that only want has behind "-", each as far as it tells what it is of.
func ContentsDiff(got, want string) string {
	if got == want {
		return ""
	}
	var out strings.Builder
	only := func(sign string, of, other string) {
		there := map[string]bool{}
		for line := range strings.Lines(other) {
			there[line] = true
		}
		for line := range strings.Lines(of) {
			if !there[line] {
				fmt.Fprintf(&out, "%s %.600s\n", sign, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	only("+", got, want)
	only("-", want, got)
	return out.String()
}
