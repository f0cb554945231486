package model

import (
	"fmt"
	"strconv"

	"github.com/spillwaydb/spillway/core/resp"
)

// Read asks an engine for everything it holds, by commands alone. do runs one
// command on a connection of its own; it must be the only client. Read checks
// on the way that the several answers about one key agree.
func Read(do func(args ...string) (resp.Value, error)) (*State, error) {
	r := reader{do: do}
	s := &State{libs: map[string]string{}}
	for _, l := range r.ask("FUNCTION", "LIST", "WITHCODE").Elems {
		of := fields(l)
		s.libs[string(of["library_name"].Str)] = string(of["library_code"].Str)
	}
	for n := range Databases {
		if got := r.ask("SELECT", strconv.Itoa(n)); r.err == nil && got.Text() != "OK" {
			break // it has fewer
		}
		for _, key := range r.ask("KEYS", "*").Elems {
			k := string(key.Str)
			v, err := r.value(k)
			if err != nil {
				return nil, fmt.Errorf("database %d, key %q: %w", n, k, err)
			}
			s.put(n, k, v)
		}
		if r.err != nil {
			return nil, r.err
		}
	}
	return s, nil
}

// reader keeps the first error.
type reader struct {
	do  func(args ...string) (resp.Value, error)
	err error
}

func (r *reader) ask(args ...string) resp.Value {
	if r.err != nil {
		return resp.Value{}
	}
	v, err := r.do(args...)
	r.err = err
	return v
}

func (r *reader) value(key string) (*value, error) {
	is := kind(r.ask("TYPE", key).Text())
	if !is.known() {
		return nil, unknownType(is)
	}
	v := newValue(is)
	var size int64
	switch v.kind {
	case kindString:
		got := r.ask("GET", key)
		v.str = string(got.Str)
		if size = r.ask("STRLEN", key).Int; size != int64(len(v.str)) {
			return nil, fmt.Errorf("STRLEN is %d, GET %q", size, v.str)
		}
	case kindList:
		size = r.ask("LLEN", key).Int
		for _, e := range r.ask("LRANGE", key, "0", "-1").Elems {
			v.list = append(v.list, string(e.Str))
		}
	case kindHash:
		size = r.ask("HLEN", key).Int
		e := r.ask("HGETALL", key).Elems
		for i := 0; i+1 < len(e); i += 2 {
			f := string(e[i].Str)
			v.hash[f] = string(e[i+1].Str)
			if at := r.ask("HPEXPIRETIME", key, "FIELDS", "1", f).Elems; len(at) == 1 && at[0].Int > 0 {
				v.date(f, at[0].Int)
			}
		}
	case kindSet:
		size = r.ask("SCARD", key).Int
		for _, e := range r.ask("SMEMBERS", key).Elems {
			v.hash[string(e.Str)] = ""
		}
	case kindZSet:
		size = r.ask("ZCARD", key).Int
		e := r.ask("ZRANGE", key, "0", "-1", "WITHSCORES").Elems
		for i := 0; i+1 < len(e); i += 2 {
			m := string(e[i].Str)
			score, err := strconv.ParseFloat(e[i+1].Text(), 64)
			if err != nil {
				return nil, err
			}
			v.zset[m] = score
			if by := r.ask("ZSCORE", key, m).Text(); by != e[i+1].Text() {
				return nil, fmt.Errorf("ZRANGE says %s has the score %s, ZSCORE says %s", m, e[i+1].Text(), by)
			}
		}
	case kindStream:
		var err error
		if v.stream, err = r.stream(key); err != nil {
			return nil, err
		}
	default:
		return nil, unknownType(v.kind)
	}
	if n := int64(len(v.list) + len(v.hash) + len(v.zset)); v.kind != kindString && v.kind != kindStream && (n != size || n == 0) {
		return nil, fmt.Errorf("a %s of %d elements says that it has %d", v.kind, n, size)
	}
	if d := r.ask("PEXPIRETIME", key).Int; d > 0 {
		v.deadline = d
	}
	return v, r.err
}
