package core

import (
	"math"
	"strconv"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// limitParams are the parameters of packed collections, under each of the
// names Redis knows them by.
func (db *DB) limitParams() []command.Param {
	entries := func(v string) (int64, error) { return intBetween(v, 0, math.MaxInt64) }
	size := func(v string) (int64, error) { return intBetween(v, math.MinInt32, math.MaxInt32) }
	var out []command.Param
	for _, p := range []struct {
		names []string
		parse func(v string) (int64, error)
		field func(l *keyspace.Limits) *int
	}{
		{[]string{"hash-max-listpack-entries", "hash-max-ziplist-entries"}, entries, func(l *keyspace.Limits) *int { return &l.HashEntries }},
		{[]string{"hash-max-listpack-value", "hash-max-ziplist-value"}, ParseMemory, func(l *keyspace.Limits) *int { return &l.HashValue }},
		{[]string{"zset-max-listpack-entries", "zset-max-ziplist-entries"}, entries, func(l *keyspace.Limits) *int { return &l.ZSetEntries }},
		{[]string{"zset-max-listpack-value", "zset-max-ziplist-value"}, ParseMemory, func(l *keyspace.Limits) *int { return &l.ZSetValue }},
		{[]string{"list-max-listpack-size", "list-max-ziplist-size"}, size, func(l *keyspace.Limits) *int { return &l.ListSize }},
		{[]string{"set-max-intset-entries"}, entries, func(l *keyspace.Limits) *int { return &l.IntsetEntries }},
		{[]string{"set-max-listpack-entries"}, entries, func(l *keyspace.Limits) *int { return &l.SetEntries }},
		{[]string{"set-max-listpack-value"}, ParseMemory, func(l *keyspace.Limits) *int { return &l.SetValue }},
	} {
		for _, name := range p.names {
			out = append(out, command.Param{
				Name: name,
				Get: func() string {
					l := db.ks.Limits()
					return strconv.Itoa(*p.field(&l))
				},
				Set: func(v string) error {
					n, err := p.parse(v)
					if err != nil {
						return err
					}
					db.setMu.Lock()
					defer db.setMu.Unlock()
					l := db.ks.Limits()
					*p.field(&l) = int(n)
					db.ks.SetLimits(l)
					return nil
				},
			})
		}
	}
	return out
}
