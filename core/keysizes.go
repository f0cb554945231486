package core

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/keyspace"
)

// keysizesStep is about how many keys are looked at while their shard is locked.
const keysizesStep = 256

// keysizesNames are the histograms of INFO keysizes in Redis's order. Streams have
// none.
var keysizesNames = []struct {
	typ  keyspace.Type
	name string
}{
	{keyspace.String, "strings_sizes"},
	{keyspace.List, "lists_items"},
	{keyspace.Set, "sets_items"},
	{keyspace.ZSet, "zsets_items"},
	{keyspace.Hash, "hashes_items"},
}

// sizes counts keys by size: place 0 has the empty ones, place n those from 2^(n-1) on.
type sizes [65]int64

// infoKeysizes is the section keysizes, in Redis 8's form: how many keys there are of
// which size, by database and type. Redis keeps that up to date with every write; here
// it is counted when it is asked for, by name, since that looks at every key.
func (db *DB) infoKeysizes(w *command.InfoWriter) {
	for n := range db.opts.Databases {
		counted := map[keyspace.Type]*sizes{}
		for _, h := range keysizesNames {
			counted[h.typ] = new(sizes)
		}
		for i := range db.ks.NumShards() {
			for walk := (keyspace.Walk{}); !walk.Ended; {
				if !w.Visit(i, func() {
					d := db.ks.Shard(i).DB(n)
					d.Step(&walk, keysizesStep, func(key []byte, e keyspace.Entry) {
						if s := counted[e.Type()]; s != nil {
							s[bits.Len(uint(sizeOf(d, key, e)))]++
						}
					})
				}) {
					return
				}
			}
		}
		for _, h := range keysizesNames {
			if text := counted[h.typ].String(); text != "" {
				w.Field(fmt.Sprintf("db%d_distrib_%s", n, h.name), text)
			}
		}
	}
}

// sizeOf is the length of a string, or how many elements a collection has.
func sizeOf(d *keyspace.DB, key []byte, e keyspace.Entry) int {
	if e.Type() == keyspace.String {
		return len(e.Bytes())
	}
	return d.Size(key, e.Type())
}

// String has the places that are not empty as "from=count", "2K=5" being from 2048 on.
func (s *sizes) String() string {
	var b strings.Builder
	for n, count := range s {
		if count == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(sizeLabel(n) + "=" + strconv.FormatInt(count, 10))
	}
	return b.String()
}

func sizeLabel(place int) string {
	if place == 0 {
		return "0"
	}
	exp := place - 1
	unit := min(exp/10, 6)
	return strconv.Itoa(1<<(exp-10*unit)) + []string{"", "K", "M", "G", "T", "P", "E"}[unit]
}
